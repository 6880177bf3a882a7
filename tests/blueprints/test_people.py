"""Administration / People."""

from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.changelog import first_broken
from models import ChangeLogEntry, Role, User
from tests.conftest import FRAGMENT, SignIn

ADD = "/administration/people/add"
DAVE = {"name": "Dave", "login": "Dave", "role": "EMPLOYEE"}


def test_alice_adds_dave_without_javascript(
    alice: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(alice)
    assert "<form" in client.get(ADD).text
    page = client.post(ADD, data=DAVE)
    assert "/invitation/" in page.text
    dave = session.scalars(select(User).where(User.login == "dave")).one()
    assert (dave.name, dave.role, dave.password_hash) == ("Dave", Role.EMPLOYEE, None)


def test_alice_adds_dave_in_a_window(alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    window = client.get(ADD, headers=FRAGMENT).text
    assert window.lstrip().startswith("<dialog")
    answer = client.post(ADD, data=DAVE, headers=FRAGMENT).text
    assert "/invitation/" in answer
    assert "Dave" in answer
    assert "<html" not in answer


def test_a_login_that_is_taken_is_refused_and_everything_typed_is_kept(
    alice: User, bob: User, signed_in: SignIn
) -> None:
    answer = signed_in(alice).post(
        ADD, data={"name": "Robert", "login": "BOB", "role": "ADMINISTRATOR"}, headers=FRAGMENT
    )
    assert answer.status_code == 422
    assert 'value="Robert"' in answer.text
    assert 'value="BOB"' in answer.text
    assert "login-error" in answer.text


def test_a_login_with_a_space_or_a_name_without_letters_is_refused(
    alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    for typed in ({"login": "dave smith"}, {"login": ""}, {"name": " "}, {"name": "x" * 101}):
        assert client.post(ADD, data={**DAVE, **typed}).status_code == 422


def test_an_employee_adds_nobody(bob: User, signed_in: SignIn, session: Session) -> None:
    assert signed_in(bob).post(ADD, data=DAVE).status_code == 404
    assert session.scalar(select(User).where(User.login == "dave")) is None


def test_somebody_who_does_not_exist_gets_no_link(alice: User, signed_in: SignIn) -> None:
    assert signed_in(alice).post("/administration/people/99999/link").status_code == 404


def test_who_was_added_by_whom_stands_in_the_change_log(
    client: FlaskClient, alice: User, signed_in: SignIn, session: Session
) -> None:
    signed_in(alice).post(ADD, data=DAVE)
    entry = session.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id.desc())).first()
    assert entry is not None
    assert (entry.author_name, entry.action, entry.subject_name) == ("Alice", "people.add", "Dave")
    assert entry.changes["login"] == [None, "dave"]
    key = client.application.extensions["postroom_keys"].change_log
    # The fixture's people were added with a key of its own.
    assert first_broken(session, key) == 1
