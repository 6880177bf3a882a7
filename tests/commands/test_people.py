"""``flask people``: the list, and the way back in for whoever is locked out."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import people
from models import ChangeLogEntry, User
from settings import Settings
from tests.conftest import author
from tests.mailroom import dump

NEW = "another good password"


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["people", *arguments])


def link_in(done: Result) -> str:
    (found,) = re.findall(r"^http\S+$", done.output, re.M)
    return str(found)


def test_the_list_shows_everyone(
    app: Flask, session: Session, alice: User, bob: User, carol: User
) -> None:
    bob.name = "Bob Summers"
    people.disable(session, carol, author())
    session.commit()
    done = run(app, "list")
    assert done.exit_code == 0
    assert done.output == (
        "login  name         role           state\n"
        "alice  Alice        administrator  active\n"
        "bob    Bob Summers  employee       active\n"
        "carol  Carol        employee       disabled\n"
    )


def test_where_nobody_is_the_list_has_its_headings_only(app: Flask) -> None:
    assert run(app, "list").output == "login  name  role  state\n"


def test_who_is_locked_out_comes_in_with_the_printed_link_once(
    app: Flask, client: FlaskClient, bob: User
) -> None:
    done = run(app, "reset", " Bob ")
    assert done.exit_code == 0
    assert done.output.startswith("Bob chooses a new password at\nhttp://127.0.0.1:5000/invitation")
    path = link_in(done).removeprefix("http://127.0.0.1:5000")
    assert client.post(path, data={"password": NEW}).status_code == 303
    assert client.get("/profile/").status_code == 200
    assert client.post(path, data={"password": NEW}).status_code == 404


@pytest.mark.parametrize(
    ("changed", "begins"),
    [
        ({"listen_host": "mail.firm.test", "listen_port": 80}, "http://mail.firm.test:80/"),
        ({"https": True}, "https://127.0.0.1:5000/"),
        ({"listen_host": "::1"}, "http://[::1]:5000/"),
    ],
)
def test_the_link_leads_where_the_settings_say(
    app: Flask, bob: User, changed: dict[str, object], begins: str
) -> None:
    settings: Settings = app.extensions["postroom_settings"]
    app.extensions["postroom_settings"] = replace(settings, **changed)  # type: ignore[arg-type]
    assert link_in(run(app, "reset", "bob")).startswith(f"{begins}invitation/")


def test_who_was_disabled_is_enabled_and_the_log_names_the_console(
    app: Flask, session: Session, bob: User
) -> None:
    people.disable(session, bob, author())
    session.commit()
    done = run(app, "reset", "bob")
    session.expire_all()
    assert session.get_one(User, bob.id).active
    entry = session.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id.desc())).first()
    assert entry is not None
    assert (entry.author_id, entry.author_name, entry.action) == (None, "", "people.reset")
    assert (entry.subject_name, entry.changes) == ("Bob", {"active": [False, True]})
    assert link_in(done).rpartition("/")[2] not in str(dump(session))


@pytest.mark.parametrize("command", ["list", "reset"])
def test_the_command_leaves_the_database_to_others(
    app: Flask, session: Session, data_folder: Path, bob: User, command: str
) -> None:
    with app.app_context():
        arguments = [command, "bob"] if command == "reset" else [command]
        assert run(app, *arguments).exit_code == 0
        session.get_one(User, bob.id).name = "Robert"
        session.commit()


def test_an_unknown_login_is_said_and_changes_nothing(
    app: Flask, session: Session, bob: User
) -> None:
    before = dump(session)
    done = run(app, "reset", "dave")
    assert done.exit_code == 1
    assert "Nobody has the login dave." in done.output
    assert "`flask people list`" in done.output
    assert "Traceback" not in done.output
    assert dump(session) == before
