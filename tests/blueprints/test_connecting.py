"""Connecting mail: the form, the test that follows, and the search for an address's servers."""

import html
import re
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import company, connecting, connection_tests, searching, services
from domain.secrets import KeyRing
from mail.discovery import Found
from mail.offers import FoundServer, Offer, Source, accepted
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from models import (
    ConnectionPurpose,
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    MailService,
    SettingsSearch,
    User,
)
from tests.conftest import FRAGMENT, SignIn

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


def begun(session: Session) -> list[ConnectionTest]:
    """The tests that run, or would; a refused form only keeps its password."""
    rows = session.scalars(select(ConnectionTest))
    return [one for one in rows if one.purpose is not ConnectionPurpose.KEPT]


def newest(session: Session) -> ConnectionTest:
    session.expire_all()
    return session.scalars(select(ConnectionTest).order_by(ConnectionTest.id.desc())).first() or (
        pytest.fail("no connection test was begun")
    )


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
    connection_tests.note_step(session, test.id, Protocol.IMAP, Step.NAME, 12)
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
    connection_tests.fail(session, test.id, Protocol.IMAP, error)
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
    connection_tests.fail(session, test.id, Protocol.IMAP, error)
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
    connection_tests.fail(session, test.id, Protocol.IMAP, MailServerError(Step.NAME, Cause.CLOSED))
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
        ({"service": ""}, "service"),
        ({"service": "other", "login": ""}, "login"),
        ({"service": "other"}, "imap_server"),
        ({"login": "x" * 321}, "login"),
        ({"smtp_login": "x" * 321}, "smtp_login"),
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
    answer = signed_in(bob).post(CONNECT, data={**typed, "address": "bob@own.test", **wrong})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert begun(session) == []


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
    assert begun(session) == []


OTHER = {
    "service": "other",
    "address": "bob@own.test",
    "login": "bob",
    "imap_server": "imap.own.test:993",
    "imap_security": "TLS",
    "smtp_server": "smtp.own.test:465",
    "smtp_security": "TLS",
    "password": "canary-secret",
}


def tried_in(page: str) -> str:
    found = re.search(r'name="tried"[^>]* value="([0-9a-f-]{36})"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_a_refused_form_keeps_everything_and_the_password_is_not_in_the_page(
    bob: User, signed_in: SignIn, session: Session, ring: KeyRing, headers: dict[str, str]
) -> None:
    client = signed_in(bob)
    wrong = {**OTHER, "imap_server": "imap.own.test"}
    answer = client.post(CONNECT, data=wrong, headers=headers)
    assert answer.status_code == 422
    assert answer.headers.get("HX-Retarget") == ("#connect" if headers else None)
    for kept in ("bob@own.test", "imap.own.test", "smtp.own.test:465"):
        assert f'value="{kept}"' in answer.text
    assert "canary-secret" not in answer.text
    again = {**OTHER, "password": "", "tried": tried_in(answer.text)}
    assert client.post(CONNECT, data=again).status_code == 303
    test = newest(session)
    assert ring.open(test.sealed_password, test.uuid, "password") == "canary-secret"


def test_the_kept_password_is_sealed_and_forgotten_after_ten_minutes(
    bob: User, signed_in: SignIn, session: Session
) -> None:
    signed_in(bob).post(CONNECT, data={**OTHER, "address": ""})
    kept = newest(session)
    assert kept.purpose is ConnectionPurpose.KEPT
    assert b"canary" not in kept.sealed_password
    connection_tests.forget_old_passwords(session, kept.created_at + connection_tests.RETRY_LASTS)
    assert session.scalars(select(ConnectionTest)).all() == []


def test_carol_does_not_use_the_password_that_bobs_refused_form_kept(
    bob: User, carol: User, signed_in: SignIn
) -> None:
    page = signed_in(bob).post(CONNECT, data={**OTHER, "address": ""}).text
    stolen = {**OTHER, "password": "", "tried": tried_in(page)}
    answer = signed_in(carol).post(CONNECT, data=stolen)
    assert answer.status_code == 422
    assert 'id="password-error"' in answer.text


def test_the_address_alone_is_enough_where_a_service_has_its_domain(
    bob: User, signed_in: SignIn, session: Session, gmail: MailService
) -> None:
    session.get_one(MailService, gmail.id).domains = ["gmail.com"]
    session.commit()
    data = {"address": "Bob@GMail.com", "password": "secret"}
    assert signed_in(bob).post(CONNECT, data=data).status_code == 303
    test = newest(session)
    assert (test.service_id, test.login) == (gmail.id, "Bob@GMail.com")


def test_icloud_is_signed_in_to_in_two_ways(bob: User, signed_in: SignIn, session: Session) -> None:
    icloud = next(one for one in services.choosable(session) if "icloud.com" in one.domains)
    data = {"address": "bob@icloud.com", "password": "secret"}
    assert signed_in(bob).post(CONNECT, data=data).status_code == 303
    test = newest(session)
    assert (test.service_id, test.login, test.smtp_login) == (icloud.id, "bob", "bob@icloud.com")


def test_other_may_have_a_login_of_its_own_for_smtp(
    bob: User, signed_in: SignIn, session: Session
) -> None:
    signed_in(bob).post(CONNECT, data={**OTHER, "smtp_login": "robert"})
    assert (newest(session).login, newest(session).smtp_login) == ("bob", "robert")


def test_a_provider_that_takes_only_oauth_says_so_and_is_refused(
    bob: User, signed_in: SignIn, session: Session, gmail: MailService
) -> None:
    session.get_one(MailService, gmail.id).sign_in = ["oauth2"]
    session.commit()
    client = signed_in(bob)
    assert "cannot be connected yet" in client.get(CONNECT).text
    answer = client.post(CONNECT, data={**OTHER, "service": str(gmail.id)})
    assert answer.status_code == 422
    assert "takes only OAuth 2.0" in answer.text


def test_what_takes_only_oauth_is_neither_chosen_by_the_address_nor_proposed(
    bob: User, signed_in: SignIn, session: Session, gmail: MailService
) -> None:
    session.get_one(MailService, gmail.id).sign_in = ["oauth2"]
    session.get_one(MailService, gmail.id).domains = ["gmail.com"]
    session.commit()
    client = signed_in(bob)
    answer = client.post(CONNECT, data={"address": "bob@gmail.com", "password": "secret"})
    assert answer.status_code == 422
    assert "Choose a service." in answer.text
    client.post(FIND, data={"address": "bob@firm.example"}, headers=FRAGMENT)
    at = {one: gmail.address(one) for one in Protocol}
    search = ended(session, *(found_server(one, at[one].host, at[one].port) for one in Protocol))
    page = client.get(f"/profile/mail/searches/{search.uuid}", headers=FRAGMENT).text
    assert f'data-proposed="{gmail.id}"' not in page


def test_a_test_connects_nothing_and_its_password_serves_for_save(
    bob: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(bob)
    watched = client.post(CONNECT, data={**OTHER, "do": "check"}).location
    test = newest(session)
    assert test.purpose is ConnectionPurpose.CHECK
    connection_tests.succeed(session, test.id)
    session.commit()
    page = client.get(watched).text
    assert "No mailbox is connected yet: save it." in page
    assert f"/profile/mail/connect?tried={test.uuid}" in page
    saved = client.post(CONNECT, data={**OTHER, "password": "", "tried": str(test.uuid)})
    assert saved.status_code == 303
    assert newest(session).purpose is ConnectionPurpose.CONNECT


def test_asked_by_htmx_the_steps_come_under_the_form(
    bob: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(bob)
    answer = client.post(CONNECT, data=OTHER, headers=FRAGMENT)
    assert answer.status_code == 200
    assert 'id="steps"' in answer.text
    assert "<form" not in answer.text
    error = MailServerError(Step.LOGIN, Cause.LOGIN_REFUSED, "no")
    connection_tests.fail(session, newest(session).id, Protocol.IMAP, error)
    session.commit()
    watched = f"{CONNECT}/{newest(session).uuid}?form=yes"
    steps = client.get(watched, headers=FRAGMENT).text
    assert "All that you typed is still here." in steps
    assert "Change and try again" not in steps


def test_the_report_names_servers_step_and_cause_and_no_secret(
    bob: User, signed_in: SignIn, session: Session, typed: dict[str, str]
) -> None:
    client = signed_in(bob)
    address = client.post(CONNECT, data=typed).location
    test = newest(session)
    connection_tests.note_step(session, test.id, Protocol.IMAP, Step.NAME, 12)
    error = MailServerError(Step.PORT, Cause.CONNECTION_REFUSED)
    connection_tests.fail(session, test.id, Protocol.IMAP, error)
    session.commit()
    page = client.get(address).text
    report = html.unescape(page.partition('id="report"')[2].partition(">")[2].partition("<")[0])
    for said in (
        "Postroom could not connect bob@gmail.com.",
        "Service: gmail.com",
        "IMAP: imap.gmail.com:993, TLS",
        "SMTP: smtp.gmail.com:465, TLS",
        "Login: bob@gmail.com",
        "+ IMAP Name found",
        "x IMAP Port open",
        "imap.gmail.com:993",
    ):
        assert said in report
    assert "canary-secret" not in page


def test_the_report_names_the_other_login_of_smtp(
    bob: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(bob)
    address = client.post(CONNECT, data={**OTHER, "smtp_login": "robert"}).location
    error = MailServerError(Step.LOGIN, Cause.LOGIN_REFUSED, "")
    connection_tests.fail(session, newest(session).id, Protocol.SMTP, error)
    session.commit()
    assert "Login for SMTP: robert" in client.get(address).text


def search_of(session: Session) -> SettingsSearch:
    session.expire_all()
    return session.scalars(select(SettingsSearch).order_by(SettingsSearch.id.desc())).all()[0]


def ended(session: Session, *servers: FoundServer) -> SettingsSearch:
    search = search_of(session)
    by_protocol = {server.protocol: server for server in servers}
    found = Found(search.domain, by_protocol.get(Protocol.IMAP), by_protocol.get(Protocol.SMTP))
    searching.claim(session, search.id)
    searching.finish(session, search.id, found if servers else None)
    session.commit()
    return search


def found_server(protocol: Protocol, host: str, port: int) -> FoundServer:
    offer = Offer(protocol, f"{host}:{port}", Security.TLS)
    server = accepted(offer, Source.SRV)
    assert server is not None
    return server


OWN_PAIR = (
    found_server(Protocol.IMAP, "imap.own.example", 993),
    found_server(Protocol.SMTP, "smtp.own.example", 465),
)
FIND = "/profile/mail/find"


def test_what_is_found_for_an_unknown_domain_fills_in_other(
    bob: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(bob)
    data = {"address": "bob@own.example", "password": "canary-secret"}
    looking = client.post(FIND, data=data, headers=FRAGMENT)
    assert "Asking own.example for its servers" in looking.text
    search = ended(session, *OWN_PAIR)
    answer = client.get(f"/profile/mail/searches/{search.uuid}", headers=FRAGMENT).text
    assert 'data-proposed="other"' in answer
    assert 'value="imap.own.example:993"' in answer
    assert 'value="smtp.own.example:465"' in answer


def test_without_javascript_the_search_keeps_the_form_and_fills_it_in(
    bob: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(bob)
    data = {"address": "bob@own.example", "password": "canary-secret", "login": "robert"}
    looking = client.post(FIND, data=data)
    assert looking.status_code == 200
    assert "canary-secret" not in looking.text
    search = ended(session, *OWN_PAIR)
    again = {**data, "password": "", "tried": tried_in(looking.text), "look": str(search.uuid)}
    page = client.post(FIND, data=again).text
    assert 'value="imap.own.example:993"' in page
    assert 'value="robert"' in page
    assert re.search(r'<option value="other"[^>]* selected>', page)
    assert tried_in(page) == tried_in(looking.text)


def test_servers_that_belong_to_a_service_propose_the_service(
    bob: User, signed_in: SignIn, session: Session, gmail: MailService
) -> None:
    client = signed_in(bob)
    client.post(FIND, data={"address": "bob@firm.example"}, headers=FRAGMENT)
    at = {one: gmail.address(one) for one in Protocol}
    pair = [found_server(one, str(at[one].host), at[one].port) for one in Protocol]
    search = ended(session, *pair)
    answer = client.get(f"/profile/mail/searches/{search.uuid}", headers=FRAGMENT).text
    assert f'data-proposed="{gmail.id}"' in answer
    assert "Choose the service gmail.com." in answer


def test_without_other_what_is_found_is_for_the_administrator(
    bob: User, signed_in: SignIn, session: Session
) -> None:
    company.settings(session).other_allowed = False
    session.commit()
    client = signed_in(bob)
    client.post(FIND, data={"address": "bob@own.example"}, headers=FRAGMENT)
    search = ended(session, *OWN_PAIR)
    answer = client.get(f"/profile/mail/searches/{search.uuid}", headers=FRAGMENT).text
    assert "Your company has no service for own.example." in answer
    assert "imap.own.example" not in answer
    assert "data-proposed" not in answer


def test_nothing_found_is_said(bob: User, signed_in: SignIn, session: Session) -> None:
    client = signed_in(bob)
    client.post(FIND, data={"address": "bob@own.example"}, headers=FRAGMENT)
    search = ended(session)
    asked = f"/profile/mail/searches/{search.uuid}"
    assert "Nothing was found for own.example." in client.get(asked, headers=FRAGMENT).text


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
@pytest.mark.parametrize("address", ["", "bob", "bob@", "bob@-"])
def test_an_address_without_a_domain_is_not_searched(
    bob: User, signed_in: SignIn, session: Session, address: str, headers: dict[str, str]
) -> None:
    answer = signed_in(bob).post(FIND, data={"address": address}, headers=headers)
    assert answer.status_code == 422
    assert session.scalar(select(SettingsSearch)) is None


def test_carol_sees_nothing_of_bobs_search(
    bob: User, carol: User, signed_in: SignIn, session: Session
) -> None:
    signed_in(bob).post(FIND, data={"address": "bob@own.example"}, headers=FRAGMENT)
    search = ended(session, *OWN_PAIR)
    carols = signed_in(carol)
    assert carols.get(f"/profile/mail/searches/{search.uuid}").status_code == 404
    look = {"address": "carol@own.example", "look": str(search.uuid)}
    assert carols.post(FIND, data=look).status_code == 404
