"""``flask changelog verify``: what it prints, and what a timer gets."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.changelog import Author, record
from tests.domain.test_changelog import unguarded

KEY = b"k" * 32


@pytest.fixture(autouse=True)
def three_entries(app: Flask, session: Session) -> None:
    """Written under the house's own key."""
    keys = app.extensions["postroom_keys"]
    app.extensions["postroom_keys"] = replace(keys, change_log=KEY)
    by = Author("Alice", None, datetime.now(UTC), KEY)
    for name in ("Firm mail", "gmail.com", "mail.ru"):
        record(session, by, "services.hide", subject="service:1", subject_name=name, changes={})


def verify(app: Flask) -> Result:
    return app.test_cli_runner().invoke(args=["changelog", "verify"])


def test_a_log_as_it_was_written_is_whole(app: Flask) -> None:
    done = verify(app)
    assert (done.exit_code, done.output) == (0, "The change log is whole.\n")


@pytest.mark.parametrize(("entry", "named"), [(1, 1), (2, 2), (3, 3), (1, 0)])
def test_an_altered_entry_is_named(app: Flask, session: Session, entry: int, named: int) -> None:
    unguarded(session)
    altered = text("UPDATE change_log_entry SET author_name = 'Bob', id = :new WHERE id = :old")
    session.execute(altered, {"old": entry, "new": named})
    done = verify(app)
    assert done.exit_code == 1
    assert f"entry {named} does not follow" in done.output


def test_an_entry_that_cannot_be_read_is_named(app: Flask, session: Session) -> None:
    unguarded(session)
    session.execute(text("UPDATE change_log_entry SET changes = 'no JSON' WHERE id = 2"))
    done = verify(app)
    assert done.exit_code == 1
    assert "entry 2 does not follow" in done.output


def test_an_entry_that_was_taken_out_is_missed_at_the_next(app: Flask, session: Session) -> None:
    unguarded(session)
    session.execute(text("DELETE FROM change_log_entry WHERE id = 2"))
    done = verify(app)
    assert done.exit_code == 1
    assert "entry 3 does not follow" in done.output


def test_under_another_key_nothing_follows(app: Flask) -> None:
    keys = app.extensions["postroom_keys"]
    app.extensions["postroom_keys"] = replace(keys, change_log=b"x" * 32)
    assert verify(app).exit_code == 1


def test_entries_that_were_cut_off_are_missed(app: Flask, session: Session) -> None:
    unguarded(session)
    session.execute(text("DELETE FROM change_log_entry WHERE id = 3"))
    done = verify(app)
    assert done.exit_code == 1
    assert "its end is not the one that was written" in done.output
