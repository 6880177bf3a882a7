"""Setting up, signing in and out, and one-time links, as a browser sees them."""

import re
from datetime import UTC, datetime

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import people
from models import Session as SessionRow
from models import SignInAttempt, User
from tests.conftest import FRAGMENT, PASSWORD, SignIn


@pytest.fixture
def code(session: Session) -> str:
    found = people.new_setup_code(session, datetime.now(UTC))
    session.commit()
    return found


def test_the_first_visit_leads_to_set_up(client: FlaskClient) -> None:
    assert client.get("/sign-in").location == "/set-up"


def test_the_code_from_the_console_makes_the_first_administrator(
    client: FlaskClient, code: str, session: Session
) -> None:
    answer = client.post(
        "/set-up",
        data={"code": code.lower(), "name": "Alice", "login": "Alice", "password": PASSWORD},
    )
    assert answer.status_code == 303
    alice = session.scalars(select(User)).one()
    assert (alice.login, alice.is_administrator) == ("alice", True)
    assert client.get("/administration/mail/services/").status_code == 200
    assert client.get("/set-up").location == "/sign-in"


def test_a_wrong_code_is_refused_and_what_was_typed_is_kept(client: FlaskClient, code: str) -> None:
    answer = client.post(
        "/set-up",
        data={"code": "AAAA-AAAA-AAAA", "name": "Mallory", "login": "m", "password": PASSWORD},
    )
    assert answer.status_code == 422
    assert 'value="Mallory"' in answer.text
    assert "code-error" in answer.text


def test_guessing_the_code_is_slowed_down(client: FlaskClient, code: str) -> None:
    typed = {"name": "Mallory", "login": "m", "password": PASSWORD}
    for _ in range(10):
        client.post("/set-up", data={"code": "AAAA-AAAA-AAAA", **typed})
    assert client.post("/set-up", data={"code": code, **typed}).status_code == 422


def test_an_older_code_is_worth_nothing_after_a_restart(
    client: FlaskClient, code: str, session: Session
) -> None:
    people.new_setup_code(session, datetime.now(UTC))
    session.commit()
    answer = client.post(
        "/set-up", data={"code": code, "name": "A", "login": "a", "password": PASSWORD}
    )
    assert answer.status_code == 422


def test_bob_signs_in_and_out(client: FlaskClient, bob: User) -> None:
    assert client.post("/sign-in", data={"login": " BOB ", "password": PASSWORD}).location == (
        "/mail/"
    )
    assert client.get("/profile/").status_code == 200
    assert client.post("/sign-out").location == "/sign-in"
    assert client.get("/profile/").location.startswith("/sign-in")


def test_a_wrong_password_and_an_unknown_login_are_answered_alike(
    client: FlaskClient, bob: User
) -> None:
    wrong = client.post("/sign-in", data={"login": "bob", "password": "not this one"})
    unknown = client.post("/sign-in", data={"login": "dave", "password": "not this one"})
    assert wrong.status_code == unknown.status_code == 422
    assert _sentences(wrong.text) == _sentences(unknown.text)
    assert 'value="bob"' in wrong.text


def test_the_cookie_of_before_sign_in_is_worth_nothing_after_it(
    app: Flask, bob: User, session: Session
) -> None:
    client = app.test_client()
    client.get("/sign-in")
    before = client.get_cookie("postroom")
    client.post("/sign-in", data={"login": "bob", "password": PASSWORD})
    first = client.get_cookie("postroom")
    client.post("/sign-in", data={"login": "bob", "password": PASSWORD})
    second = client.get_cookie("postroom")
    assert first is not None
    assert second is not None
    assert (before.value if before else None) != first.value != second.value
    assert len(session.scalars(select(SessionRow)).all()) == 1


def test_ten_wrong_passwords_close_the_door_for_that_login_for_a_while(
    client: FlaskClient, bob: User, carol: User
) -> None:
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        for _ in range(10):
            client.post("/sign-in", data={"login": "bob", "password": "guess"})
        right = {"login": "bob", "password": PASSWORD}
        assert client.post("/sign-in", data=right).status_code == 429
        carols = {"login": "carol", "password": PASSWORD}
        assert client.post("/sign-in", data=carols).status_code == 303
        clock.shift(16 * 60)
        assert client.post("/sign-in", data=right).status_code == 303


def test_fifty_failures_from_one_address_close_the_door_for_that_address(
    client: FlaskClient, bob: User, session: Session
) -> None:
    now = datetime.now(UTC)
    session.add_all(
        SignInAttempt(login=f"guess-{n}", address="127.0.0.1", at=now) for n in range(50)
    )
    session.commit()
    right = {"login": "bob", "password": PASSWORD}
    assert client.post("/sign-in", data=right).status_code == 429


def test_after_signing_in_one_is_where_one_wanted_to_be(client: FlaskClient, bob: User) -> None:
    wanted = client.get("/profile/mail").location
    assert wanted == "/sign-in?next=/profile/mail"
    page = client.get(wanted).text
    assert 'value="/profile/mail"' in page
    answer = client.post(
        "/sign-in", data={"login": "bob", "password": PASSWORD, "next": "/profile/mail"}
    )
    assert answer.location == "/profile/mail"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", ""]
)
def test_a_link_cannot_send_somebody_elsewhere_after_sign_in(
    client: FlaskClient, bob: User, target: str
) -> None:
    answer = client.post("/sign-in", data={"login": "bob", "password": PASSWORD, "next": target})
    assert answer.location == "/mail/"


def test_an_ended_session_answers_htmx_with_401_and_the_way_to_sign_in(
    client: FlaskClient, bob: User
) -> None:
    answer = client.get(
        "/mail/changes",
        headers={**FRAGMENT, "HX-Current-URL": "http://localhost/mail/folders/3"},
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/mail/folders/3"


def test_a_form_without_its_token_is_refused(app: Flask, client: FlaskClient, bob: User) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    answer = client.post("/sign-in", data={"login": "bob", "password": PASSWORD})
    assert answer.status_code == 400
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/sign-in").text)
    assert token is not None
    typed = {"login": "bob", "password": PASSWORD, "csrf_token": token[1]}
    assert client.post("/sign-in", data=typed).status_code == 303


def test_a_post_from_another_site_is_refused(bob: User, signed_in: SignIn) -> None:
    client = signed_in(bob)
    answer = client.post("/sign-out", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_pages_are_not_stored_and_run_no_foreign_script(client: FlaskClient, bob: User) -> None:
    headers = client.get("/sign-in").headers
    assert headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_the_link_works_once_and_sets_the_password(
    client: FlaskClient, alice: User, signed_in: SignIn
) -> None:
    page = signed_in(alice).post(
        "/administration/people/add", data={"name": "Dave", "login": "dave", "role": "EMPLOYEE"}
    )
    link = re.search(r"http://localhost(/invitation/[\w-]+)", page.text)
    assert link is not None
    short = client.post(link[1], data={"password": "short"})
    assert short.status_code == 422
    assert client.post(link[1], data={"password": "a long enough one"}).location == "/mail/"
    assert client.get(link[1]).status_code == 404


def test_a_new_link_ends_the_sessions_of_before(
    alice: User, bob: User, signed_in: SignIn, client: FlaskClient
) -> None:
    elsewhere = signed_in(bob)
    page = signed_in(alice).post(f"/administration/people/{bob.id}/link").text
    link = re.search(r"http://localhost(/invitation/[\w-]+)", page)
    assert link is not None
    client.post(link[1], data={"password": "another long one"})
    assert elsewhere.get("/profile/").status_code == 303


def test_a_person_who_is_switched_off_is_out_at_once(
    bob: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(bob)
    session.get_one(User, bob.id).active = False
    session.commit()
    assert client.get("/profile/").status_code == 303


def _sentences(page: str) -> list[str]:
    return re.findall(r"<span>([^<]+)</span></p>", page)


def test_what_was_typed_is_shown_to_whoever_was_signed_out_meanwhile(
    client: FlaskClient, alice: User
) -> None:
    typed = {"to": "bob@firm.test", "subject": "Plan", "text": "Long <text>", "password": "canary"}
    answer = client.post("/mail/new", data=typed)
    assert answer.status_code == 401
    assert "Long &lt;text&gt;" in answer.text
    assert "bob@firm.test" in answer.text
    assert "canary" not in answer.text


def test_a_poll_of_somebody_who_was_signed_out_does_not_take_the_page_away(
    client: FlaskClient, alice: User
) -> None:
    answer = client.get("/mail/changes?version=1", headers={**FRAGMENT, "X-Poll": "yes"})
    assert answer.status_code == 401
    assert "HX-Redirect" not in answer.headers
    assert "You are signed out." in answer.text


def test_an_id_that_no_database_can_hold_is_not_found(alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    for path in ("/mail/messages/{}", "/mail/folders/{}", "/administration/people/{}/link"):
        assert client.get(path.format(10**20)).status_code in {404, 405}
    assert client.post(f"/mail/messages/{10**20}/seen").status_code == 404


@pytest.mark.parametrize("header", ["Origin", "HX-Current-URL"])
def test_half_an_address_in_a_header_is_no_error(
    client: FlaskClient, alice: User, header: str
) -> None:
    answer = client.post("/mail/new", headers={**FRAGMENT, header: "http://["})
    assert answer.status_code in {401, 403}
