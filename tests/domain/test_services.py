"""Editing a service: what a mailbox notices of it, and that a refusal changes nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from demo.certificates import company_certificates
from domain import mailboxes, services
from domain.errors import ConflictError, RefusedError
from domain.services import ServerSettings, ServiceSettings
from mail.errors import RuleError
from mail.security import Security
from mail.server_string import ServerAddress
from models import Mailbox, MailService, OwnServers, User
from models.services import LoginForm
from tests.conftest import author
from tests.mailroom import mailbox_of, service_of

IMAP = ServerSettings(ServerAddress("imap.firm.test", 1993), Security.TLS)
SMTP = ServerSettings(ServerAddress("smtp.firm.test", 1465), Security.TLS)


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    return mailbox_of(rows, bob)


@pytest.fixture
def service(rows: Session, mailbox: Mailbox) -> MailService:
    """The firm's, which Bob's mailbox uses."""
    return service_of(rows)


def edit(rows: Session, service: MailService, **changed: object) -> bool:
    settings = replace(services.settings_of(service), **changed)  # type: ignore[arg-type]
    return services.edit(rows, service, settings, author())


def followed(rows: Session, mailbox: Mailbox) -> str:
    """How one signs in, as the watcher is told; a page is told the same."""
    rows.flush()
    told = mailboxes.followed(rows, [mailbox.id])[mailbox.id]
    assert told == mailbox.sign_in_print
    return told


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Post"},
        {"process_default": False},
        {"domains": ("firm.test",)},
        {"imap_login_form": LoginForm.TYPED, "smtp_login_form": LoginForm.TYPED},
        {"imap": ServerSettings(ServerAddress("imap.firm.test", 993), Security.TLS, True)},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_what_is_no_matter_of_the_servers_leaves_connections_alone(
    rows: Session, mailbox: Mailbox, service: MailService, changed: dict[str, object]
) -> None:
    before = followed(rows, mailbox)
    assert edit(rows, service, **changed)
    assert followed(rows, mailbox) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"imap": replace(IMAP, address=ServerAddress("imap.new.test", 993))},
        {"imap": replace(IMAP, address=ServerAddress("imap.firm.test", 1993))},
        {"imap": ServerSettings(ServerAddress("imap.firm.test", 143), Security.STARTTLS)},
        {"smtp": replace(SMTP, address=ServerAddress("smtp.new.test", 465))},
        {"smtp": replace(SMTP, address=ServerAddress("smtp.firm.test", 1465))},
        {"smtp": ServerSettings(ServerAddress("smtp.firm.test", 587), Security.STARTTLS)},
    ],
)
def test_another_server_is_another_connection(
    rows: Session, mailbox: Mailbox, service: MailService, changed: dict[str, object]
) -> None:
    before = followed(rows, mailbox)
    assert edit(rows, service, **changed)
    assert followed(rows, mailbox) != before


@pytest.mark.parametrize("block", ["imap", "smtp"])
def test_another_encryption_alone_is_another_connection(
    rows: Session, mailbox: Mailbox, service: MailService, block: str
) -> None:
    edit(rows, service, imap=IMAP, smtp=SMTP)
    before = followed(rows, mailbox)
    edit(
        rows,
        service,
        **{block: replace({"imap": IMAP, "smtp": SMTP}[block], security=Security.NONE)},
    )
    assert followed(rows, mailbox) != before


def test_another_trusted_ca_is_another_connection(
    rows: Session, mailbox: Mailbox, service: MailService, tmp_path: Path
) -> None:
    before = followed(rows, mailbox)
    assert edit(rows, service, ca_pem=company_certificates(tmp_path).ca_pem)
    assert followed(rows, mailbox) != before


def test_each_mailbox_is_followed_at_its_own_servers(
    rows: Session, mailbox: Mailbox, bob: User, carol: User
) -> None:
    own, same = mailbox_of(rows, bob, "own@firm.test"), mailbox_of(rows, carol)
    servers = OwnServers(
        imap_host="imap.own.test",
        imap_port=993,
        imap_security=Security.TLS,
        smtp_host="smtp.own.test",
        smtp_port=465,
        smtp_security=Security.TLS,
    )
    rows.add(servers)
    rows.flush()
    own.service_id, own.own_servers_id = None, servers.id
    rows.flush()
    rows.expire_all()
    ids = [mailbox.id, own.id, same.id]
    told = mailboxes.followed(rows, ids)
    assert told == {one.id: one.sign_in_print for one in (mailbox, own, same)}
    before = own.sign_in_print
    servers.imap_host = "imap.new.test"
    assert followed(rows, own) != before
    assert mailboxes.followed(rows, [carol.id + 1000]) == {}


@pytest.mark.parametrize("standard", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Post", "process_default": False, "domains": ("firm.test", "not/a/domain")},
        {"name": "Post", "domains": tuple(f"d{number}.test" for number in range(201))},
    ],
)
def test_a_domain_that_is_refused_leaves_everything_as_it_was(
    rows: Session, service: MailService, changed: dict[str, object], standard: bool
) -> None:
    if standard:
        gmail = select(MailService).where(MailService.name == "gmail.com")
        service = rows.scalars(gmail).one()
    before = services.settings_of(service), service.version
    with pytest.raises(RuleError) as caught:
        edit(rows, service, **changed)
    assert caught.value.field == "domains"
    assert (services.settings_of(service), service.version) == before
    assert service not in rows.dirty


def test_of_a_standard_service_nothing_else_can_be_set_by_anybody(rows: Session) -> None:
    gmail = rows.scalars(select(MailService).where(MailService.name == "gmail.com")).one()
    before = services.settings_of(gmail)
    wanted = ServiceSettings("Mine", IMAP, SMTP, process_default=False, domains=("Firm.test",))
    assert services.edit(rows, gmail, wanted, author())
    ours = replace(before, process_default=False, domains=("firm.test",))
    assert services.settings_of(gmail) == ours


def test_the_settings_of_a_service_say_all_that_it_holds(
    rows: Session, service: MailService, tmp_path: Path
) -> None:
    whole = ServiceSettings(
        name="Post",
        imap=ServerSettings(ServerAddress("192.0.2.1", 143), Security.NONE, non_standard=True),
        smtp=SMTP,
        ca_pem=company_certificates(tmp_path).ca_pem,
        process_default=False,
        imap_login_form=LoginForm.LOCAL_PART,
        smtp_login_form=LoginForm.TYPED,
        domains=("firm.test",),
    )
    assert services.edit(rows, service, whole, author())
    rows.flush()
    rows.expire_all()
    assert services.settings_of(service) == whole
    assert not services.edit(rows, service, whole, author())


def test_who_saves_what_somebody_changed_meanwhile_is_refused(
    rows: Session, service: MailService
) -> None:
    seen = service.version
    edit(rows, service, name="Post")
    settings = replace(services.settings_of(service), name="Mail")
    with pytest.raises(ConflictError):
        services.edit(rows, service, settings, author(), version=seen)
    assert (service.name, service.version) == ("Post", seen + 1)
    assert services.edit(rows, service, settings, author(), version=seen + 1)


@pytest.mark.parametrize(
    "name", ["\u200b", "Firm mail\u200b", "Firm\u00admail", "\u202eliam", "a\x07"]
)
def test_a_name_with_a_letter_that_cannot_be_seen_is_refused(session: Session, name: str) -> None:
    with pytest.raises(RefusedError) as refused:
        services.check_name(session, name, None)
    assert refused.value.field == "name"


def test_a_name_is_the_same_however_its_letters_were_typed(session: Session) -> None:
    service = service_of(session)
    service.name = service.name_key = "\u00e9cole"
    session.flush()
    with pytest.raises(RefusedError) as refused:
        services.check_name(session, "e\u0301cole", None)
    assert refused.value.code == "service_name_taken"
    assert services.check_name(session, "e\u0301t\u00e9", None) == "\u00e9t\u00e9"


def test_domains_are_counted_before_any_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def parse(typed: str) -> str:
        parsed.append(typed)
        return typed

    monkeypatch.setattr(services, "parse_domain", parse)
    with pytest.raises(RefusedError) as refused:
        services.parse_domains(f"a{number}.test" for number in range(201))
    assert (refused.value.code, parsed) == ("domains_many", [])
    assert services.parse_domains(["firm.test"] * 1000) == ("firm.test",)
    assert parsed == ["firm.test"]
