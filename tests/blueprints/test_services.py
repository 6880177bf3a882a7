"""Administration / Mail / Service settings."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from demo.certificates import company_certificates
from domain import services
from models import ChangeLogEntry, Mailbox, MailboxState, MailService, User
from tests.conftest import FRAGMENT, SignIn
from tests.mailroom import mailbox_of

LIST = "/administration/mail/services/"
ADD = "/administration/mail/services/add"
FIRM = {
    "name": "Firm mail",
    "smtp_server": " SMTP.Firm.Example:465 ",
    "smtp_security": "TLS",
    "imap_server": "imap.firm.example:993",
    "imap_security": "TLS",
    "process_default": "yes",
}


@pytest.fixture
def firm_service(session: Session, alice: User, signed_in: SignIn) -> MailService:
    signed_in(alice).post(ADD, data=FIRM)
    return session.scalars(select(MailService).where(MailService.name == "Firm mail")).one()


def test_the_standard_providers_are_there_and_those_without_passwords_are_hidden(
    session: Session, alice: User, signed_in: SignIn
) -> None:
    names = [one.service.name for one in services.listed(session)]
    assert names == [
        "gmail.com", "mail.ru", "yandex.ru", "rambler.ru", "yahoo.com", "outlook.com",
        "office365.com", "icloud.com", "fastmail.com", "gmx.net", "zoho.com",
    ]  # fmt: skip
    hidden = [one.service.name for one in services.listed(session) if one.service.hidden]
    assert hidden == ["outlook.com", "office365.com"]
    page = signed_in(alice).get(LIST).text
    assert "imap.gmail.com:993" in page


def test_alice_adds_the_firms_server_without_javascript(
    alice: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(alice)
    assert 'name="smtp_server"' in client.get(ADD).text
    assert client.post(ADD, data=FIRM).location == LIST
    service = session.scalars(select(MailService).where(~MailService.standard)).one()
    assert (service.smtp_host, service.smtp_port) == ("smtp.firm.example", 465)
    assert "smtp.firm.example:465" in client.get(LIST).text


def test_alice_adds_it_in_a_window_and_the_list_is_swapped(alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    assert client.get(ADD, headers=FRAGMENT).text.lstrip().startswith("<dialog")
    answer = client.post(ADD, data=FIRM, headers=FRAGMENT)
    assert answer.headers["HX-Retarget"] == "#services"
    assert answer.headers["HX-Trigger"] == "postroom:close-window"
    assert "Firm mail" in answer.text
    assert "<html" not in answer.text


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"smtp_server": "smtp.firm.example"}, "smtp_server"),
        ({"imap_server": "https://imap.firm.example:993"}, "imap_server"),
        ({"smtp_security": "STARTTLS"}, "smtp_security"),
        ({"imap_server": "imap.firm.example:143"}, "imap_security"),
        ({"imap_server": "imap.firm.example:465"}, "imap_server"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"ca_pem": "no certificate"}, "ca_pem"),
        ({"ca_pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}, "ca_pem"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_everything_typed_is_kept(
    alice: User, signed_in: SignIn, session: Session, typed: dict[str, str], field: str
) -> None:
    answer = signed_in(alice).post(ADD, data={**FIRM, **typed}, headers=FRAGMENT)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert answer.text.count('class="field-error"') == 1
    for value in {**FIRM, **typed}.values():
        if len(value.strip()) > 4 and value != "STARTTLS" and "BEGIN" not in value:
            assert value.strip() in answer.text
    assert session.scalar(select(MailService).where(~MailService.standard)) is None


def test_the_sentence_shows_a_right_example(alice: User, signed_in: SignIn) -> None:
    typed = {**FIRM, "smtp_server": "smtp.myserver.com"}
    assert "smtp.myserver.com:465" in signed_in(alice).post(ADD, data=typed).text


def test_the_wrong_pair_is_told_what_would_be_right(alice: User, signed_in: SignIn) -> None:
    typed = {**FIRM, "smtp_security": "STARTTLS"}
    answer = signed_in(alice).post(ADD, data=typed).text
    assert "Port 465 uses TLS. Choose TLS, or port 587 for STARTTLS." in answer


def test_a_non_standard_server_may_be_named_otherwise(
    alice: User, signed_in: SignIn, session: Session
) -> None:
    typed = {
        **FIRM,
        "smtp_server": "mail.firm.example:25",
        "smtp_security": "STARTTLS",
        "smtp_non_standard": "y",
        "imap_server": "192.168.1.10:143",
        "imap_security": "NONE",
        "imap_non_standard": "y",
    }
    assert signed_in(alice).post(ADD, data=typed).status_code == 303
    service = session.scalars(select(MailService).where(~MailService.standard)).one()
    assert (service.imap_host, service.imap_non_standard) == ("192.168.1.10", True)


def test_a_name_that_is_taken_is_refused_whatever_its_letters(
    firm_service: MailService, alice: User, signed_in: SignIn
) -> None:
    answer = signed_in(alice).post(ADD, data={**FIRM, "name": "FIRM  MAIL"})
    assert answer.status_code == 422
    assert 'id="name-error"' in answer.text


def test_alice_edits_it_with_the_same_window(
    firm_service: MailService, alice: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(alice)
    address = f"/administration/mail/services/{firm_service.id}/edit"
    assert 'value="smtp.firm.example:465"' in client.get(address).text
    changed = {**FIRM, "imap_server": "imap.elsewhere.example:993"}
    assert client.post(address, data=changed).status_code == 303
    session.expire_all()
    assert session.get_one(MailService, firm_service.id).imap_host == "imap.elsewhere.example"
    entry = session.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id.desc())).first()
    assert entry is not None
    assert entry.action == "services.edit"
    assert entry.changes == {"imap_server": ["imap.firm.example:993", "imap.elsewhere.example:993"]}


def test_saving_without_a_change_writes_nothing_to_the_log(
    firm_service: MailService, alice: User, signed_in: SignIn, session: Session
) -> None:
    before = len(session.scalars(select(ChangeLogEntry)).all())
    signed_in(alice).post(f"/administration/mail/services/{firm_service.id}/edit", data=FIRM)
    assert len(session.scalars(select(ChangeLogEntry)).all()) == before


def test_of_a_standard_service_only_the_process_default_can_be_set(
    session: Session, alice: User, signed_in: SignIn
) -> None:
    gmail = services.listed(session)[0].service
    address = f"/administration/mail/services/{gmail.id}/edit"
    client = signed_in(alice)
    assert 'name="smtp_server"' not in client.get(address).text
    forged = {**FIRM, "process_default": "no"}
    assert client.post(address, data=forged).status_code == 303
    session.expire_all()
    gmail = session.get_one(MailService, gmail.id)
    assert (gmail.process_default, gmail.smtp_host) == (False, "smtp.gmail.com")


def test_an_employee_neither_sees_nor_changes_a_service(
    firm_service: MailService, bob: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(bob)
    address = f"/administration/mail/services/{firm_service.id}/edit"
    assert client.get(LIST).status_code == 404
    assert client.post(address, data={**FIRM, "name": "Mine"}).status_code == 404
    session.expire_all()
    assert session.get_one(MailService, firm_service.id).name == "Firm mail"


def test_a_service_that_does_not_exist_is_not_found(alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    assert client.get("/administration/mail/services/99999/edit").status_code == 404
    assert (
        client.get("/administration/mail/services/99999/edit", headers=FRAGMENT).status_code == 404
    )


def test_of_two_administrators_the_second_is_told_and_loses_nothing(
    firm_service: MailService, alice: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(alice)
    address = f"/administration/mail/services/{firm_service.id}/edit"
    assert 'name="version" type="hidden" value="1"' in client.get(address).text
    first = {**FIRM, "version": "1", "imap_server": "imap.elsewhere.example:993"}
    assert client.post(address, data=first).status_code == 303
    second = {**FIRM, "version": "1", "name": "Another name"}
    for headers in ({}, FRAGMENT):
        answer = client.post(address, data=second, headers=headers)
        assert answer.status_code == 409
        assert "Somebody saved this service while you were typing." in answer.text
        assert "Another name" in answer.text
    session.expire_all()
    assert session.get_one(MailService, firm_service.id).imap_host == "imap.elsewhere.example"


@pytest.mark.parametrize(
    ("state", "then"),
    [
        (MailboxState.LOGIN_REFUSED, MailboxState.UNREACHABLE),
        (MailboxState.CERTIFICATE_REFUSED, MailboxState.UNREACHABLE),
        (MailboxState.SECRET_LOST, MailboxState.SECRET_LOST),
        (MailboxState.WORKING, MailboxState.WORKING),
    ],
)
def test_mailboxes_of_a_service_with_other_servers_are_tried_at_once(
    firm_service: MailService,
    alice: User,
    bob: User,
    signed_in: SignIn,
    session: Session,
    state: MailboxState,
    then: MailboxState,
) -> None:
    mailbox = mailbox_of(session, bob)
    mailbox.service_id = firm_service.id
    later = datetime.now(UTC) + timedelta(hours=1)
    mailbox.state, mailbox.next_contact_at, mailbox.failures = state, later, 9
    session.commit()
    changed = {**FIRM, "imap_server": "imap.elsewhere.example:993"}
    address = f"/administration/mail/services/{firm_service.id}/edit"
    assert signed_in(alice).post(address, data=changed).status_code == 303
    session.expire_all()
    mailbox = session.scalars(select(Mailbox)).one()
    assert (mailbox.state, mailbox.next_contact_at < later) == (then, True)


def test_of_a_ca_only_the_certificates_are_kept(
    alice: User, signed_in: SignIn, session: Session, tmp_path: Path
) -> None:
    pem = company_certificates(tmp_path / "tls").ca_pem
    typed = {**FIRM, "ca_pem": f"# Удостоверяющий центр ООО «Фирма»\n{pem}\n# end"}
    assert signed_in(alice).post(ADD, data=typed).status_code == 303
    assert session.scalars(select(MailService).where(~MailService.standard)).one().ca_pem == pem
