"""The window of a service: what it can try out before anything is saved, and two administrators."""

import io
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from demo.certificates import company_certificates
from domain import connecting, connection_tests, searching
from mail.discovery import Found
from mail.offers import FoundServer, LoginForm, Source
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol, ServerAddress
from models import (
    CompanySettings,
    ConnectionPurpose,
    ConnectionTest,
    ConnectionTestState,
    MailService,
    SettingsSearch,
    User,
)
from tests.conftest import FRAGMENT, SignIn
from tests.mailroom import mailbox_of, service_of

LIST = "/administration/mail/services/"
FIRM = {
    "name": "Firm mail",
    "smtp_server": "smtp.firm.example:465",
    "smtp_security": "TLS",
    "imap_server": "imap.firm.example:993",
    "imap_security": "TLS",
    "imap_login_form": "ADDRESS",
    "smtp_login_form": "ADDRESS",
    "process_default": "yes",
}
OTHER = {"version": "1", "process_default": "yes", "networks": ""}


CHOSEN_LOCAL_PART = re.compile(
    r'<input checked id="[^"]*" name="(\w+_login_form)" type="radio" value="LOCAL_PART">'
)


@pytest.fixture
def alices(alice: User, signed_in: SignIn) -> FlaskClient:
    return signed_in(alice)


def own(session: Session) -> MailService:
    session.expire_all()
    return session.scalars(select(MailService).where(~MailService.standard)).one()


def newest_test(session: Session) -> ConnectionTest:
    session.expire_all()
    return session.scalars(select(ConnectionTest).order_by(ConnectionTest.id.desc())).all()[0]


# --- what can be typed --------------------------------------------------------------------------


def test_every_field_of_the_window_is_kept(alices: FlaskClient, session: Session) -> None:
    typed = {
        **FIRM,
        "imap_login_form": "LOCAL_PART",
        "smtp_login_form": "TYPED",
        "domains": "Firm.Example, почта.рф; @firm.test",
        "process_default": "no",
    }
    assert alices.post(f"{LIST}add", data=typed).status_code == 303
    service = own(session)
    assert (service.imap_login_form.name, service.smtp_login_form.name) == ("LOCAL_PART", "TYPED")
    assert service.domains == ["firm.example", "xn--80a1acny.xn--p1ai", "firm.test"]
    assert not service.process_default
    window = alices.get(f"{LIST}{service.id}/edit", headers=FRAGMENT).text
    assert re.search(r'value="LOCAL_PART"[^>]*checked|checked[^>]*value="LOCAL_PART"', window)


def test_a_domain_that_is_none_is_said_at_its_field(alices: FlaskClient, session: Session) -> None:
    for headers in ({}, FRAGMENT):
        typed = {**FIRM, "domains": "firm.example, not/a/domain"}
        answer = alices.post(f"{LIST}add", data=typed, headers=headers)
        assert answer.status_code == 422
        assert 'id="domains-error"' in answer.text
        assert "not/a/domain is not a domain." in answer.text
        assert "firm.example, not/a/domain" in answer.text


def test_of_a_standard_service_domains_and_process_default_can_be_set(
    alices: FlaskClient, session: Session
) -> None:
    gmail = session.scalars(select(MailService).where(MailService.name == "gmail.com")).one()
    typed = {**FIRM, "version": str(gmail.version), "domains": "firm.test", "process_default": "no"}
    assert alices.post(f"{LIST}{gmail.id}/edit", data=typed).status_code == 303
    session.expire_all()
    assert (gmail.name, gmail.imap_host) == ("gmail.com", "imap.gmail.com")
    assert (gmail.domains, gmail.process_default) == (["firm.test"], False)


def test_what_cannot_be_changed_of_a_standard_service_is_shown(
    alices: FlaskClient, session: Session
) -> None:
    gmail = session.scalars(select(MailService).where(MailService.name == "gmail.com")).one()
    gmail.imap_login_form, gmail.smtp_login_form = LoginForm.LOCAL_PART, LoginForm.TYPED
    gmail.smtp_security, gmail.smtp_port = Security.NONE, 25
    session.commit()
    for headers in ({}, FRAGMENT):
        window = alices.get(f"{LIST}{gmail.id}/edit", headers=headers).text
        facts = re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", window, re.S)
        assert [(name, re.sub(r"<[^>]+>", "", text).strip()) for name, text in facts] == [
            ("Name", "gmail.com"),
            ("SMTP", "smtp.gmail.com:25 · None"),
            ("IMAP", "imap.gmail.com:993 · TLS"),
            ("Login for IMAP", "part before @"),
            ("Login for SMTP", "typed by hand"),
            ("Sign-in", "app password"),
        ]
        assert f'<a class="tag" href="{gmail.help_url}"' in window
        assert 'name="imap_login_form"' not in window


def test_domains_stand_in_the_window_in_their_own_letters_and_are_read_back(
    alices: FlaskClient, session: Session
) -> None:
    alices.post(f"{LIST}add", data={**FIRM, "domains": "почта.рф firm.test"})
    service = own(session)
    window = alices.get(f"{LIST}{service.id}/edit", headers=FRAGMENT).text
    assert 'value="почта.рф, firm.test"' in window
    typed = {**FIRM, "version": "1", "domains": "почта.рф, firm.test"}
    alices.post(f"{LIST}{service.id}/edit", data=typed)
    assert own(session).version == 1


def test_a_name_that_is_too_long_is_said_at_its_field(
    alices: FlaskClient, session: Session
) -> None:
    answer = alices.post(f"{LIST}add", data={**FIRM, "name": "n" * 101})
    assert answer.status_code == 422
    assert "Type a name of 1 to 100 characters." in answer.text
    assert 'id="name-error"' in answer.text


@pytest.mark.parametrize("der", [False, True])
def test_a_ca_is_chosen_as_a_file_and_its_facts_are_shown(
    alices: FlaskClient, session: Session, tmp_path: Path, der: bool
) -> None:
    pem = company_certificates(tmp_path / "tls").ca_pem
    content = pem.encode()
    if der:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        content = x509.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
    typed: dict[str, Any] = {**FIRM, "ca_file": (io.BytesIO(content), "ca.crt")}
    answer = alices.post(f"{LIST}add", data=typed, content_type="multipart/form-data")
    assert answer.status_code == 303
    service = own(session)
    assert service.ca_pem == pem
    window = alices.get(f"{LIST}{service.id}/edit", headers=FRAGMENT).text
    for said in ("Issued to", "Issued by", "Valid", "SHA-256"):
        assert said in window
    assert re.search(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", window)


def test_a_file_that_is_no_certificate_is_said_at_its_field(
    alices: FlaskClient, session: Session
) -> None:
    typed: dict[str, Any] = {**FIRM, "ca_file": (io.BytesIO(b"hello"), "ca.crt")}
    answer = alices.post(f"{LIST}add", data=typed, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert 'id="ca_file-error"' in answer.text
    assert "smtp.firm.example:465" in answer.text
    assert session.scalar(select(MailService).where(~MailService.standard)) is None


# --- two administrators -------------------------------------------------------------------------


def test_the_second_to_save_sees_what_the_first_changed_and_may_save_anyway(
    alices: FlaskClient, session: Session
) -> None:
    alices.post(f"{LIST}add", data=FIRM)
    address = f"{LIST}{own(session).id}/edit"
    first = {**FIRM, "version": "1", "imap_server": "imap.elsewhere.example:993"}
    assert alices.post(address, data=first).status_code == 303
    second = {**FIRM, "version": "1", "name": "Our mail", "ca_pem": ""}
    answer = alices.post(address, data=second, headers=FRAGMENT)
    assert answer.status_code == 409
    said = answer.text.partition('class="verdict"')[2]
    assert "Alice" in said
    assert "imap.firm.example:993" in said
    assert "imap.elsewhere.example:993" in said
    assert "Save anyway" in answer.text
    assert 'value="Our mail"' in answer.text
    version = re.search(r'name="version" type="hidden" value="(\d+)"', answer.text)
    assert version is not None
    assert alices.post(address, data={**second, "version": version[1]}).status_code == 303
    service = own(session)
    assert (service.name, service.imap_host) == ("Our mail", "imap.firm.example")


def test_a_version_that_is_none_is_no_way_around(alices: FlaskClient, session: Session) -> None:
    alices.post(f"{LIST}add", data=FIRM)
    for version in ("", "x", "-1", "9" * 30, "²", "١", "1²"):
        typed = {**FIRM, "version": version, "name": "Our mail"}
        answer = alices.post(f"{LIST}{own(session).id}/edit", data=typed)
        assert answer.status_code == 409, version
    assert own(session).name == "Firm mail"


# --- Test connection ----------------------------------------------------------------------------


def test_what_the_window_holds_is_tested_without_being_saved(
    alices: FlaskClient, session: Session
) -> None:
    typed = {**FIRM, "name": "", "test_login": "bob", "test_password": "canary-secret"}
    answer = alices.post(f"{LIST}test", data=typed, headers=FRAGMENT)
    assert answer.status_code == 200
    test = newest_test(session)
    assert (test.purpose, test.login) == (ConnectionPurpose.TRY, "bob")
    assert test.own_servers is not None
    assert test.own_servers.imap_host == "imap.firm.example"
    assert b"canary" not in test.sealed_password
    assert "canary" not in answer.text
    assert f"{LIST}tests/{test.uuid}" in answer.text
    assert session.scalar(select(MailService).where(~MailService.standard)) is None


def test_the_window_watches_the_test_and_is_told_of_each_step_once(
    alices: FlaskClient, session: Session
) -> None:
    alices.post(f"{LIST}test", data=FIRM, headers=FRAGMENT)
    test = newest_test(session)
    address = f"{LIST}tests/{test.uuid}"
    assert alices.get(f"{address}?shown=waiting-0", headers=FRAGMENT).status_code == 204
    connection_tests.note_step(session, test.id, Protocol.IMAP, Step.NAME, 12)
    answer = alices.get(f"{address}?shown=waiting-0", headers=FRAGMENT)
    assert "12 ms" in answer.text
    assert "What it offers" in answer.text
    assert "Login" not in re.findall(r"<span>([^<]+)</span>", answer.text)


def test_a_wrong_security_is_answered_with_the_right_one(
    alices: FlaskClient, session: Session
) -> None:
    alices.post(f"{LIST}test", data=FIRM, headers=FRAGMENT)
    test = newest_test(session)
    connection_tests.note_findings(session, test.id, "imap", {"right_security": "STARTTLS"})
    error = MailServerError(Step.ENCRYPTION, Cause.NOT_TLS)
    connection_tests.fail(session, test.id, Protocol.IMAP, error)
    answer = alices.get(f"{LIST}tests/{test.uuid}", headers=FRAGMENT).text
    assert "STARTTLS works on this port: it was tried out." in answer
    assert 'data-choose="imap_security" data-value="STARTTLS"' in answer
    assert "Change Connection security" in answer
    assert newest_test(session).sealed_password == b""


def test_without_javascript_the_whole_form_travels_with_each_look(
    alices: FlaskClient, session: Session
) -> None:
    page = alices.post(f"{LIST}test", data={**FIRM, "domains": "firm.example"}).text
    test = newest_test(session)
    assert "<html" in page
    assert f'name="look" value="{test.uuid}"' in page
    typed = {**FIRM, "domains": "firm.example", "look": str(test.uuid)}
    connection_tests.succeed(session, test.id)
    page = alices.post(f"{LIST}test", data=typed).text
    assert "Both servers answer as they should." in page
    for kept in ('value="Firm mail"', 'value="imap.firm.example:993"', 'value="firm.example"'):
        assert kept in page
    assert len(session.scalars(select(ConnectionTest)).all()) == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"imap_server": "imap.firm.example"}, "imap_server"),
        ({"smtp_security": "STARTTLS"}, "smtp_security"),
        ({"test_login": "bob"}, "test_password"),
        ({"test_password": "secret"}, "test_login"),
        (
            {
                "imap_login_form": "LOCAL_PART",
                "test_login": "bob@fi\x01rm",
                "test_password": "secret",
            },
            "test_login",
        ),
    ],
)
def test_what_the_test_needs_is_asked_for_at_its_field(
    alices: FlaskClient, session: Session, wrong: dict[str, str], field: str
) -> None:
    for headers in ({}, FRAGMENT):
        answer = alices.post(f"{LIST}test", data={**FIRM, **wrong}, headers=headers)
        assert answer.status_code == 422
        assert f'id="{field}-error"' in answer.text
        assert 'value="Firm mail"' in answer.text
    assert session.scalar(select(ConnectionTest)) is None


def test_a_standard_service_is_tested_as_it_is(alices: FlaskClient, session: Session) -> None:
    gmail = session.scalars(select(MailService).where(MailService.name == "gmail.com")).one()
    answer = alices.post(f"{LIST}test", data={"of": str(gmail.id)}, headers=FRAGMENT)
    assert answer.status_code == 200
    assert newest_test(session).service_id == gmail.id


@pytest.mark.parametrize("edited", ["99999", "x", "9" * 40])
def test_the_window_of_no_service_tests_nothing(
    alices: FlaskClient, session: Session, edited: str
) -> None:
    for verb in ("test", "find"):
        assert alices.post(f"{LIST}{verb}", data={**FIRM, "of": edited}).status_code == 404


def test_two_tests_at_once_are_enough(alices: FlaskClient, session: Session) -> None:
    for _ in range(2):
        assert alices.post(f"{LIST}test", data=FIRM, headers=FRAGMENT).status_code == 200
    answer = alices.post(f"{LIST}test", data=FIRM, headers=FRAGMENT)
    assert answer.status_code == 422
    assert "Two tries are still going on." in answer.text


def test_one_administrator_does_not_see_the_others_test(
    alices: FlaskClient, session: Session, bob: User, signed_in: SignIn
) -> None:
    alices.post(f"{LIST}test", data=FIRM, headers=FRAGMENT)
    address = f"{LIST}tests/{newest_test(session).uuid}"
    bob.role = session.scalars(select(User).where(User.login == "alice")).one().role
    session.commit()
    assert signed_in(bob).get(address, headers=FRAGMENT).status_code == 404


# --- Find settings ------------------------------------------------------------------------------


def found_server(protocol: Protocol, **changed: Any) -> FoundServer:
    values: dict[str, Any] = {
        "protocol": protocol,
        "address": ServerAddress(f"{protocol}.found.example", 993 if protocol == "imap" else 587),
        "security": Security.TLS if protocol is Protocol.IMAP else Security.STARTTLS,
        "non_standard": False,
        "login_form": LoginForm.LOCAL_PART,
        "oauth2_only": False,
        "provider": "",
        "source": Source.SRV,
    }
    return FoundServer(**{**values, **changed})


def finish(session: Session, *servers: FoundServer) -> SettingsSearch:
    search = session.scalars(select(SettingsSearch).order_by(SettingsSearch.id.desc())).all()[0]
    by_protocol = {one.protocol: one for one in servers}
    found = Found(search.domain, by_protocol.get(Protocol.IMAP), by_protocol.get(Protocol.SMTP))
    searching.claim(session, search.id)
    searching.finish(session, search.id, found if servers else None)
    session.expire_all()
    return search


def test_a_domain_is_looked_for_and_fills_in_the_servers(
    alices: FlaskClient, session: Session
) -> None:
    typed = {**FIRM, "find_domain": "bob@Found.Example"}
    answer = alices.post(f"{LIST}find", data=typed, headers=FRAGMENT)
    assert answer.status_code == 200
    assert "Asking found.example for its servers" in answer.text
    search = session.scalars(select(SettingsSearch)).one()
    address = f"{LIST}searches/{search.uuid}"
    assert alices.get(address, headers=FRAGMENT).status_code == 204
    finish(session, found_server(Protocol.IMAP), found_server(Protocol.SMTP))
    answer = alices.get(address, headers=FRAGMENT)
    assert "Found in the DNS records of found.example." in answer.text
    for swapped in ("imap-server", "smtp-server", "imap-login-form", "smtp-login-form"):
        assert f'<hx-partial hx-target="#{swapped}" hx-swap="outerHTML">' in answer.text
        assert answer.text.count(f'id="{swapped}"') == 1
    assert len(CHOSEN_LOCAL_PART.findall(answer.text)) == 2
    assert 'value="imap.found.example:993"' in answer.text
    assert 'value="smtp.found.example:587"' in answer.text
    assert "hx-trigger" not in answer.text.partition("hx-partial")[0]


@pytest.mark.parametrize("protocol", list(Protocol))
def test_only_what_was_found_takes_the_place_of_what_was_typed(
    alices: FlaskClient, session: Session, protocol: Protocol
) -> None:
    alices.post(f"{LIST}find", data={**FIRM, "find_domain": "found.example"}, headers=FRAGMENT)
    search = finish(session, found_server(protocol))
    answer = alices.get(f"{LIST}searches/{search.uuid}", headers=FRAGMENT).text
    assert f'id="{protocol}-server"' in answer
    assert CHOSEN_LOCAL_PART.findall(answer) == [f"{protocol}_login_form"]
    for other in (f'"{protocol.other}_', f"#{protocol.other}-", '"#servers"'):
        assert other not in answer
    page = alices.post(f"{LIST}find", data={**FIRM, "look": str(search.uuid)}).text
    assert f'value="{protocol}.found.example:' in page
    assert f'value="{FIRM[f"{protocol.other}_server"]}"' in page
    assert CHOSEN_LOCAL_PART.findall(page) == [f"{protocol}_login_form"]


def test_without_javascript_looking_again_fills_in_and_keeps_the_rest(
    alices: FlaskClient, session: Session
) -> None:
    typed = {**FIRM, "find_domain": "found.example", "domains": "kept.example"}
    page = alices.post(f"{LIST}find", data=typed).text
    search = finish(session, found_server(Protocol.IMAP), found_server(Protocol.SMTP))
    assert f'name="look" value="{search.uuid}"' in page
    page = alices.post(f"{LIST}find", data={**typed, "look": str(search.uuid)}).text
    assert 'value="imap.found.example:993"' in page
    assert 'value="Firm mail"' in page
    assert 'value="kept.example"' in page


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ([], "Nothing was found for found.example. Type the servers by hand."),
        ([found_server(Protocol.IMAP)], "type the one for SMTP"),
        (
            [found_server(one, source=Source.AUTOCONFIG_UNENCRYPTED) for one in Protocol],
            "compare it with what your provider says",
        ),
        ([found_server(one, source=Source.AUTOCONFIG) for one in Protocol], "settings file"),
        ([found_server(one, source=Source.PROVIDER) for one in Protocol], "known here"),
        ([found_server(one, source=Source.MX) for one in Protocol], "takes the mail of"),
        ([found_server(one, oauth2_only=True) for one in Protocol], "takes only OAuth 2.0"),
    ],
)
def test_what_was_found_is_said_in_words(
    alices: FlaskClient, session: Session, servers: list[FoundServer], said: str
) -> None:
    alices.post(f"{LIST}find", data={"find_domain": "found.example"}, headers=FRAGMENT)
    search = finish(session, *servers)
    assert said in alices.get(f"{LIST}searches/{search.uuid}", headers=FRAGMENT).text


@pytest.mark.parametrize("domain", ["", "localhost", "192.168.1.1", "a/b"])
def test_what_is_no_domain_is_not_looked_for(
    alices: FlaskClient, session: Session, domain: str
) -> None:
    for headers in ({}, FRAGMENT):
        typed = {**FIRM, "find_domain": domain}
        answer = alices.post(f"{LIST}find", data=typed, headers=headers)
        assert answer.status_code == 422
        assert 'id="find_domain-error"' in answer.text
    assert session.scalar(select(SettingsSearch)) is None


def test_nobody_searches_without_end(alices: FlaskClient, session: Session, alice: User) -> None:
    for number in range(searching.SEARCHES_MOST):
        searching.begin(session, alice, f"firm{number}.example", datetime.now(UTC))
    answer = alices.post(f"{LIST}find", data={"find_domain": "firm.example"}, headers=FRAGMENT)
    assert answer.status_code == 422
    assert "Too many searches." in answer.text


def test_an_employee_finds_neither_searches_nor_tests(
    session: Session, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    for verb in ("test", "find"):
        assert client.post(f"{LIST}{verb}", data=FIRM).status_code == 404
    for path in ("tests", "searches"):
        assert client.get(f"{LIST}{path}/{uuid.uuid4()}", headers=FRAGMENT).status_code == 404


# --- Other --------------------------------------------------------------------------------------


def test_the_switch_has_a_save_of_its_own(alices: FlaskClient, session: Session) -> None:
    answer = alices.post(f"{LIST}other", data={**OTHER, "networks": "10.1.0.0/16"})
    assert (answer.status_code, answer.location) == (303, LIST)
    present = session.get_one(CompanySettings, 1)
    assert (present.other_allowed, present.employee_networks) == (False, ["10.1.0.0/16"])
    on = {**OTHER, "version": "2", "allowed": "y", "process_default": "no"}
    answer = alices.post(f"{LIST}other", data=on, headers=FRAGMENT)
    assert answer.text.lstrip().startswith('<section class="group" id="other"')
    session.expire_all()
    present = session.get_one(CompanySettings, 1)
    assert (present.other_allowed, present.other_process_default) == (True, False)


def test_a_network_that_is_none_is_said_and_nothing_is_changed(
    alices: FlaskClient, session: Session
) -> None:
    for headers in ({}, FRAGMENT):
        typed = {**OTHER, "networks": "10.1.0.0/99"}
        answer = alices.post(f"{LIST}other", data=typed, headers=headers)
        assert answer.status_code == 422
        assert "10.1.0.0/99 is not a network." in answer.text
        assert 'value="10.1.0.0/99"' in answer.text
    assert session.get_one(CompanySettings, 1).other_allowed


def test_of_two_administrators_the_second_changes_no_switch_unseen(
    alices: FlaskClient, session: Session
) -> None:
    assert alices.post(f"{LIST}other", data=OTHER).status_code == 303
    late = {**OTHER, "allowed": "y", "process_default": "no"}
    assert alices.post(f"{LIST}other", data=late).status_code == 409
    assert not session.get_one(CompanySettings, 1).other_allowed


TYPED_SERVERS = {
    "address": "bob@own.example",
    "service": "other",
    "login": "bob",
    "password": "secret",
    "smtp_server": "smtp.own.example:465",
    "smtp_security": "TLS",
    "imap_server": "imap.own.example:993",
    "imap_security": "TLS",
}


def test_bob_types_both_servers_himself(
    session: Session, app: Flask, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    assert '<option value="other"' in client.get("/profile/mail/connect").text
    answer = client.post("/profile/mail/connect", data=TYPED_SERVERS)
    assert answer.status_code == 303
    test = newest_test(session)
    assert (test.service_id, test.state) == (None, ConnectionTestState.WAITING)
    assert test.own_servers is not None
    claimed = connection_tests.claim(session, test.id, app.extensions["postroom_keys"].ring)
    assert claimed is not None
    assert claimed[0].imap.networks == (), "what an employee typed is held to public addresses"
    ring = app.extensions["postroom_keys"].ring
    mailbox = connecting.connect(session, test.id, ring, datetime.now(UTC))
    assert (mailbox.service_id, mailbox.own_servers_id) == (None, test.own_servers_id)
    assert "bob@own.example" in client.get("/profile/mail").text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"imap_server": "imap.own.example"}, "imap_server"),
        ({"imap_server": "mail.own.example:993"}, "imap_server"),
        ({"smtp_security": "STARTTLS"}, "smtp_security"),
    ],
)
def test_the_same_rules_hold_for_other(
    session: Session, bob: User, signed_in: SignIn, wrong: dict[str, str], field: str
) -> None:
    answer = signed_in(bob).post("/profile/mail/connect", data={**TYPED_SERVERS, **wrong})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert 'value="bob@own.example"' in answer.text


def test_a_failed_try_with_other_keeps_the_servers(
    session: Session, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    client.post("/profile/mail/connect", data=TYPED_SERVERS)
    test = newest_test(session)
    connection_tests.fail(
        session, test.id, Protocol.IMAP, MailServerError(Step.LOGIN, Cause.LOGIN_REFUSED)
    )
    page = client.get(f"/profile/mail/connect?tried={test.uuid}").text
    assert re.search(r'<option value="other"[^>]* selected>', page)
    assert 'value="imap.own.example:993"' in page


def test_switched_off_other_is_gone_and_refused_and_what_is_connected_works_on(
    alices: FlaskClient, session: Session, app: Flask, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    client.post("/profile/mail/connect", data=TYPED_SERVERS)
    ring = app.extensions["postroom_keys"].ring
    box = connecting.connect(session, newest_test(session).id, ring, datetime.now(UTC))
    alices.post(f"{LIST}other", data=OTHER)
    assert '<option value="other"' not in client.get("/profile/mail/connect").text
    forged = {**TYPED_SERVERS, "address": "second@own.example"}
    answer = client.post("/profile/mail/connect", data=forged)
    assert answer.status_code == 422
    assert "Your company does not allow servers that are typed by hand." in answer.text
    session.expire_all()
    assert box.state.is_in_use


# --- a new password -----------------------------------------------------------------------------


def test_a_new_password_is_tried_before_it_takes_the_place_of_the_old(
    session: Session, app: Flask, bob: User, signed_in: SignIn
) -> None:
    ring = app.extensions["postroom_keys"].ring
    box = mailbox_of(session, bob)
    box.sealed_password = ring.seal("old", box.uuid, "password")
    service_of(session).hidden = True
    session.commit()
    client = signed_in(bob)
    address = f"/profile/mail/{box.id}/password"
    assert "Until they have taken it" in client.get(address).text
    assert client.post(address, data={"password": ""}).status_code == 422
    answer = client.post(address, data={"password": "new"})
    test = newest_test(session)
    assert answer.location == f"/profile/mail/connect/{test.uuid}"
    assert ring.open(box.sealed_password, box.uuid, "password") == "old"
    connecting.connect(session, test.id, ring, datetime.now(UTC))
    session.expire_all()
    assert ring.open(box.sealed_password, box.uuid, "password") == "new"
    assert client.get(answer.location).location == f"/mail/mailboxes/{box.id}"


def test_a_password_that_is_refused_leaves_the_old_one(
    session: Session, app: Flask, bob: User, carol: User, signed_in: SignIn
) -> None:
    box = mailbox_of(session, bob)
    before = box.sealed_password
    session.commit()
    client = signed_in(bob)
    assert signed_in(carol).get(f"/profile/mail/{box.id}/password").status_code == 404
    watched = client.post(f"/profile/mail/{box.id}/password", data={"password": "wrong"}).location
    test = newest_test(session)
    error = MailServerError(Step.LOGIN, Cause.LOGIN_REFUSED)
    connection_tests.fail(session, test.id, Protocol.IMAP, error)
    page = client.get(watched).text
    assert "The mailbox keeps the password it has." in page
    assert f"/profile/mail/{box.id}/password" in page
    session.expire_all()
    assert (box.sealed_password, newest_test(session).sealed_password) == (before, b"")


@pytest.mark.parametrize("name", ["imap_login_form", "smtp_login_form"])
def test_a_login_form_that_does_not_exist_begins_no_test(
    alices: FlaskClient, session: Session, name: str
) -> None:
    answer = alices.post(f"{LIST}test", data={**FIRM, name: "BOGUS"})
    assert answer.status_code == 422
    assert session.scalar(select(ConnectionTest)) is None


@pytest.mark.parametrize("path", ["add", "test"])
def test_a_pasted_certificate_that_is_too_long_is_refused_and_not_repeated(
    alices: FlaskClient, session: Session, path: str
) -> None:
    long = "-----BEGIN CERTIFICATE-----\n" + "QUJD" * 20_000
    for headers in ({}, FRAGMENT):
        answer = alices.post(f"{LIST}{path}", data={**FIRM, "ca_pem": long}, headers=headers)
        assert answer.status_code == 422
        assert "This is not a certificate in PEM form." in answer.text
        assert "QUJDQUJD" not in answer.text
