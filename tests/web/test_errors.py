"""An error page says what happened and what to do, whatever still works."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask, abort
from flask.testing import FlaskClient
from flask_migrate import downgrade, upgrade

from models import User, db
from tests.conftest import FRAGMENT, ROOT, SignIn
from web.access import anyone

CODES = {
    400: "This request cannot be answered",
    403: "This is not allowed",
    404: "This page does not exist",
    405: "This is not allowed",
    413: "This is too large",
    422: "This cannot be accepted",
    429: "Too many requests",
    500: "This request cannot be answered",
    503: "Postroom is being updated",
}


@pytest.fixture
def failing(app: Flask) -> Callable[[Exception | int], None]:
    """Makes /fail do so."""

    def fail_with(error: Exception | int) -> None:
        def fail() -> str:
            if isinstance(error, Exception):
                raise error
            abort(error)

        app.add_url_rule("/fail", "fail", anyone(fail))

    return fail_with


@pytest.mark.parametrize("code", CODES)
def test_every_error_has_a_page_with_a_way_on(
    failing: Callable[[Exception | int], None], client: FlaskClient, code: int
) -> None:
    failing(code)
    answer = client.get("/fail")
    assert answer.status_code == code
    assert f"<h1>{CODES[code]}</h1>" in answer.text
    assert 'href="/"' in answer.text


@pytest.mark.parametrize("code", CODES)
def test_a_fragment_gets_a_toast_and_nothing_on_the_page_is_swapped(
    failing: Callable[[Exception | int], None], client: FlaskClient, code: int
) -> None:
    failing(code)
    answer = client.get("/fail", headers=FRAGMENT)
    assert (answer.status_code, answer.headers["HX-Reswap"]) == (code, "none")
    assert f"<span>{CODES[code]}. " in answer.text
    assert "<html" not in answer.text


def test_what_nobody_expected_is_logged_and_says_nothing_of_its_inside(
    app: Flask,
    failing: Callable[[Exception | int], None],
    client: FlaskClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app.testing = False
    failing(ValueError("canary"))
    answer = client.get("/fail")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "canary" not in answer.text
    assert "canary" in caplog.text


def test_while_the_tables_are_being_changed_every_page_says_so_and_works_again_afterwards(
    app: Flask, client: FlaskClient
) -> None:
    with app.app_context():
        downgrade(directory=str(ROOT / "migrations"), revision="base")
        answer = client.get("/sign-in")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert "Postroom is being updated" in answer.text
        upgrade(directory=str(ROOT / "migrations"))
    assert client.get("/sign-in").status_code == 303


def test_a_database_that_is_written_to_is_busy_and_not_broken(
    app: Flask, data_folder: Path, alice: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(alice)
    with app.app_context():
        db.engine.dispose()
    monkeypatch.setattr("models.base.BUSY_TIMEOUT_MS", 50)
    writer = sqlite3.connect(data_folder / "postroom.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    answer = client.post("/profile/preferences", data={"language": "", "theme": "DARK"})
    writer.execute("ROLLBACK")
    writer.close()
    assert answer.status_code == 503
    assert "The database is busy" in answer.text


def test_a_database_that_is_broken_is_not_called_busy(
    app: Flask, data_folder: Path, alice: User, signed_in: SignIn
) -> None:
    app.testing = False
    client = signed_in(alice)
    with app.app_context():
        db.engine.dispose()
    writer = sqlite3.connect(data_folder / "postroom.sqlite", isolation_level=None)
    writer.execute("DROP TABLE session")
    writer.close()
    answer = client.get("/profile/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text


def test_the_log_of_a_failed_statement_holds_no_values(
    app: Flask, alice: User, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    app.testing = False
    with app.app_context():
        db.session.execute(sa.text("DROP TABLE sign_in_attempt"))
        db.session.commit()
    client.post("/sign-in", data={"login": "canary", "password": "x"})
    assert "no such table" in caplog.text
    assert "canary" not in caplog.text
