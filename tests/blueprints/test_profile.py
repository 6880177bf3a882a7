"""The profile: preferences, password, sessions, connecting mail."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from time_machine import TimeMachineFixture

from domain import connecting, services
from domain.secrets import KeyRing
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from models import ConnectionTest, ConnectionTestState, Mailbox, MailService, User
from tests.conftest import FRAGMENT, PASSWORD, SignIn

CONNECT = "/profile/mail/connect"


@pytest.fixture
def gmail(session: Session) -> MailService:
    return services.choosable(session)[0]


@pytest.fixture
def typed(gmail: MailService) -> dict[str, str]:
    return {
        "address": "bob@gmail.com",
        "service": str(gmail.id),
        "login": "bob@gmail.com",
        "password": "canary-secret",
    }


@pytest.fixture
def ring(client: FlaskClient) -> KeyRing:
    found: KeyRing = client.application.extensions["postroom_keys"].ring
    return found


def newest(session: Session) -> ConnectionTest:
    session.expire_all()
    return session.scalars(select(ConnectionTest).order_by(ConnectionTest.id.desc())).first() or (
        pytest.fail("no connection test was begun")
    )


def test_bob_chooses_his_language(bob: User, signed_in: SignIn) -> None:
    client = signed_in(bob)
    client.post("/profile/preferences", data={"language": "RU", "theme": "DARK"})
    page = client.get("/profile/").text
    assert '<html lang="ru" data-bs-theme="dark"' in page
    assert "Профиль" in page


def test_without_a_choice_the_browsers_language_is_used(client: FlaskClient, bob: User) -> None:
    assert "Войти" in client.get("/sign-in", headers={"Accept-Language": "ru,en;q=0.5"}).text
    assert "Sign in" in client.get("/sign-in", headers={"Accept-Language": "de"}).text


def test_a_language_that_does_not_exist_is_refused(bob: User, signed_in: SignIn) -> None:
    answer = signed_in(bob).post("/profile/preferences", data={"language": "XX", "theme": "DARK"})
    assert answer.status_code == 422


def test_a_changed_password_ends_every_other_session(bob: User, signed_in: SignIn) -> None:
    here, elsewhere = signed_in(bob), signed_in(bob)
    wrong = here.post("/profile/password", data={"old": "wrong", "password": "a new long one"})
    assert wrong.status_code == 422
    assert 'value="a new long one"' in wrong.text
    here.post("/profile/password", data={"old": PASSWORD, "password": "a new long one"})
    assert here.get("/profile/").status_code == 200
    assert elsewhere.get("/profile/").status_code == 303


def test_bob_ends_a_session_of_his_but_not_carols(
    bob: User, carol: User, signed_in: SignIn
) -> None:
    here, elsewhere, carols = signed_in(bob), signed_in(bob), signed_in(carol)
    page = here.get("/profile/").text
    others = re.findall(r"/profile/sessions/(\d+)/end", page)
    assert here.post(f"/profile/sessions/{others[0]}/end", headers=FRAGMENT).status_code == 200
    assert elsewhere.get("/profile/").status_code == 303
    own = int(others[0])
    assert here.post(f"/profile/sessions/{own + 1}/end").status_code == 404
    assert carols.get("/profile/").status_code == 200


def test_save_begins_a_test_and_leads_to_the_page_that_watches_it(
    bob: User, signed_in: SignIn, session: Session, typed: dict[str, str]
) -> None:
    client = signed_in(bob)
    answer = client.post(CONNECT, data=typed)
    test = newest(session)
    assert answer.location == f"/profile/mail/connect/{test.uuid}"
    assert (test.state, test.address) == (ConnectionTestState.WAITING, "bob@gmail.com")
    page = client.get(answer.location).text
    assert "Name found" in page
    assert 'hx-trigger="every' in page


def test_the_watching_page_asks_for_news_only(
    bob: User, signed_in: SignIn, session: Session, typed: dict[str, str]
) -> None:
    client = signed_in(bob)
    address = client.post(CONNECT, data=typed).location
    test = newest(session)
    assert client.get(f"{address}?shown=waiting-0", headers=FRAGMENT).status_code == 204
    connecting.note_step(session, test.id, Protocol.IMAP, Step.NAME, 12)
    session.commit()
    answer = client.get(f"{address}?shown=waiting-0", headers=FRAGMENT)
    assert answer.status_code == 200
    assert "12 ms" in answer.text


def test_a_failed_try_says_why_and_stores_no_mailbox(
    bob: User, signed_in: SignIn, session: Session, typed: dict[str, str]
) -> None:
    client = signed_in(bob)
    address = client.post(CONNECT, data=typed).location
    test = newest(session)
    error = MailServerError(Step.LOGIN, Cause.LOGIN_REFUSED, "[AUTHENTICATIONFAILED] <b>no</b>")
    connecting.fail_test(session, test.id, Protocol.IMAP, error)
    session.commit()
    page = client.get(address).text
    assert "refused login or password" in page
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "canary-secret" not in page
    assert session.scalar(select(Mailbox)) is None


def test_after_a_failed_try_nothing_has_to_be_typed_again_but_what_was_wrong(
    bob: User, signed_in: SignIn, session: Session, typed: dict[str, str], ring: KeyRing
) -> None:
    client = signed_in(bob)
    client.post(CONNECT, data=typed)
    test = newest(session)
    error = MailServerError(Step.NAME, Cause.NAME_NOT_FOUND)
    connecting.fail_test(session, test.id, Protocol.IMAP, error)
    session.commit()
    page = client.get(f"{CONNECT}?tried={test.uuid}").text
    assert 'value="bob@gmail.com"' in page
    assert "canary-secret" not in page
    client.post(CONNECT, data={**typed, "password": "", "tried": str(test.uuid)})
    again = newest(session)
    assert again.id != test.id
    assert ring.open(again.sealed_password, again.uuid, "password") == "canary-secret"


def test_carol_neither_watches_bobs_test_nor_uses_its_password(
    bob: User, carol: User, signed_in: SignIn, session: Session, typed: dict[str, str]
) -> None:
    address = signed_in(bob).post(CONNECT, data=typed).location
    test = newest(session)
    connecting.fail_test(session, test.id, Protocol.IMAP, MailServerError(Step.NAME, Cause.CLOSED))
    session.commit()
    carols = signed_in(carol)
    assert carols.get(address).status_code == 404
    stolen = {**typed, "password": "", "tried": str(test.uuid)}
    assert carols.post(CONNECT, data=stolen).status_code == 422


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"address": "bob"}, "address"),
        ({"address": ""}, "address"),
        ({"service": "999999"}, "service"),
        ({"service": "x"}, "service"),
        ({"login": ""}, "login"),
        ({"password": ""}, "password"),
    ],
)
def test_what_is_missing_or_wrong_is_said_at_its_field(
    bob: User,
    signed_in: SignIn,
    session: Session,
    typed: dict[str, str],
    wrong: dict[str, str],
    field: str,
) -> None:
    answer = signed_in(bob).post(CONNECT, data={**typed, **wrong})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert session.scalar(select(ConnectionTest)) is None


def test_a_hidden_service_cannot_be_chosen_even_by_a_forged_request(
    bob: User, signed_in: SignIn, session: Session, typed: dict[str, str], gmail: MailService
) -> None:
    session.get_one(MailService, gmail.id).hidden = True
    session.commit()
    client = signed_in(bob)
    assert "gmail.com" not in client.get(CONNECT).text
    assert client.post(CONNECT, data=typed).status_code == 422


def test_the_password_stands_sealed_in_the_database_and_goes_when_the_mailbox_is_connected(
    bob: User, signed_in: SignIn, session: Session, typed: dict[str, str], ring: KeyRing
) -> None:
    signed_in(bob).post(CONNECT, data=typed)
    test = newest(session)
    assert b"canary" not in test.sealed_password
    mailbox = connecting.connect(session, test.id, ring, datetime.now(UTC))
    assert test.sealed_password == b""
    assert ring.open(mailbox.sealed_password, mailbox.uuid, "password") == "canary-secret"


def test_a_try_that_ends_well_leads_to_the_mailbox_it_connected(
    bob: User, signed_in: SignIn, session: Session, typed: dict[str, str], ring: KeyRing
) -> None:
    client = signed_in(bob)
    address = client.post(CONNECT, data=typed).location
    mailbox = connecting.connect(session, newest(session).id, ring, datetime.now(UTC))
    session.commit()
    opened = f"/mail/mailboxes/{mailbox.id}"
    assert client.get(address).location == opened
    assert client.get(address, headers=FRAGMENT).headers["HX-Redirect"] == opened


def test_an_address_is_connected_once(
    bob: User, signed_in: SignIn, session: Session, typed: dict[str, str], ring: KeyRing
) -> None:
    client = signed_in(bob)
    client.post(CONNECT, data=typed)
    connecting.connect(session, newest(session).id, ring, datetime.now(UTC))
    session.commit()
    answer = client.post(CONNECT, data=typed)
    assert answer.status_code == 422
    assert 'id="address-error"' in answer.text


def test_whoever_comes_back_stays_signed_in(
    session: Session, bob: User, signed_in: SignIn, time_machine: TimeMachineFixture
) -> None:
    client = signed_in(bob)
    for days in (10, 20):
        time_machine.move_to(datetime.now(UTC) + timedelta(days=10), tick=False)
        form = {"language": "", "theme": "AUTO"}
        assert client.post("/profile/preferences", data=form).location == "/profile/", days
    time_machine.move_to(datetime.now(UTC) + timedelta(days=15), tick=False)
    assert client.get("/profile/").location.startswith("/sign-in")


def test_two_tries_at_once_are_enough_and_twenty_in_a_quarter_of_an_hour(
    session: Session, bob: User, typed: dict[str, str], signed_in: SignIn
) -> None:
    client = signed_in(bob)
    for number in range(20):
        address = {**typed, "address": f"bob{number}@gmail.com"}
        assert client.post(CONNECT, data=address).status_code == 303
        if number == 1:
            answer = client.post(CONNECT, data={**typed, "address": "third@gmail.com"})
            assert answer.status_code == 422
            assert "Two tries are still going on." in answer.text
        for test in session.scalars(select(ConnectionTest)):
            test.state = ConnectionTestState.WAITING if number == 0 else ConnectionTestState.FAILED
        session.commit()
    answer = client.post(CONNECT, data=typed)
    assert answer.status_code == 422
    assert "Too many failed tries. Wait 15 minutes" in answer.text


@pytest.mark.parametrize("field", ["login", "password"])
@pytest.mark.parametrize("text", ["a\0b", "a\r\nb"])
def test_a_login_or_password_of_two_lines_is_refused_at_its_field(
    session: Session,
    bob: User,
    typed: dict[str, str],
    signed_in: SignIn,
    field: str,
    text: str,
) -> None:
    answer = signed_in(bob).post(CONNECT, data={**typed, field: text})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert session.scalar(select(ConnectionTest)) is None
