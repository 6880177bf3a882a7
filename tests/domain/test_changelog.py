"""A change that nobody admits is noticed."""

from datetime import UTC, datetime

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from domain.changelog import Author, first_broken, record
from models import ChangeLogEntry

KEY = b"k" * 32


def three_entries(session: Session) -> None:
    by = Author(name="Alice", user_id=None, now=datetime.now(UTC), key=KEY)
    for port in (465, 587, 25):
        changes = {"smtp_port": (None, port)}
        record(session, by, "services.edit", subject="service:1", subject_name="F", changes=changes)
    session.commit()
    session.expire_all()


def test_entries_as_they_were_written_follow_from_each_other(session: Session) -> None:
    three_entries(session)
    assert first_broken(session, KEY) is None


def test_an_altered_entry_is_found(session: Session) -> None:
    three_entries(session)
    session.execute(update(ChangeLogEntry).where(ChangeLogEntry.id == 2).values(author_name="Bob"))
    session.expire_all()
    assert first_broken(session, KEY) == 2


def test_an_entry_that_was_taken_out_is_missed(session: Session) -> None:
    three_entries(session)
    session.execute(delete(ChangeLogEntry).where(ChangeLogEntry.id == 2))
    assert first_broken(session, KEY) == 3


def test_without_the_key_nobody_can_write_a_fitting_entry(session: Session) -> None:
    three_entries(session)
    assert first_broken(session, b"x" * 32) == 1
