"""Mail services: the standard ones, and those the company adds and edits."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Select, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from domain import changelog, notices
from domain.changelog import Author
from domain.errors import ConflictError, NotFoundError, RefusedError
from domain.lines import is_one_line
from mail.certificates import facts, pem_of
from mail.connection import Server
from mail.domain_name import parse_domain
from mail.errors import RuleError
from mail.security import Security, check_security
from mail.server_string import Protocol, ServerAddress
from models.changelog import ChangeLogEntry
from models.mailboxes import ENDED, ConnectionTest, Mailbox, MailboxState
from models.services import LoginForm, MailService, OwnServers, Servers

NAME_LONGEST = 100
DOMAINS_MOST = 200
# Whoever was disconnected uses no server any more, whatever stands in the row.
USES_SERVERS = Mailbox.state.not_in(ENDED)
_HOSTS = {"imap_server", "smtp_server"}
_CONNECTION = {"imap_server", "imap_security", "smtp_server", "smtp_security", "ca"}


@dataclass(frozen=True)
class ServerSettings:
    """One block of the window: an address, how it is encrypted, whether its rules are lifted."""

    address: ServerAddress
    security: Security
    non_standard: bool = False


@dataclass(frozen=True)
class ServiceSettings:
    """What the window for a service holds."""

    name: str
    imap: ServerSettings
    smtp: ServerSettings
    ca_pem: str = ""
    process_default: bool = True
    imap_login_form: LoginForm = LoginForm.ADDRESS
    smtp_login_form: LoginForm = LoginForm.ADDRESS
    domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    service: MailService
    mailboxes: int


def listed(session: Session) -> list[Listed]:
    """Every service that is not deleted, in the order of the page, with its mailboxes counted."""
    return counted(
        session,
        select(MailService)
        .where(MailService.deleted_at.is_(None))
        .order_by(MailService.standard.desc(), MailService.position, MailService.name_key),
    )


def counted(session: Session, wanted: Select[MailService]) -> list[Listed]:
    """The wanted services with their mailboxes counted, in two statements."""
    counts = session.execute(
        select(Mailbox.service_id, func.count())
        .where(Mailbox.service_id.is_not(None), USES_SERVERS)
        .group_by(Mailbox.service_id)
    )
    used = {service_id: count for service_id, count in counts}  # noqa: C416 - rows are no pairs
    return [Listed(service, used.get(service.id, 0)) for service in session.scalars(wanted)]


def listed_one(session: Session, service: MailService) -> Listed:
    """One row of the page."""
    used = select(func.count()).where(Mailbox.service_id == service.id, USES_SERVERS)
    return Listed(service, session.scalar(used) or 0)


def choosable(session: Session) -> list[MailService]:
    """What an employee may choose for a new mailbox: the company's own first."""
    return list(
        session.scalars(
            select(MailService)
            .where(MailService.deleted_at.is_(None), MailService.hidden.is_(False))
            .order_by(MailService.standard, MailService.position, MailService.name_key)
        )
    )


def find(session: Session, service_id: int) -> MailService:
    """Raises NotFoundError, also for a deleted one."""
    service = session.get(MailService, service_id)
    if service is None or service.deleted_at is not None:
        raise NotFoundError
    return service


def find_additional(session: Session, service_id: int) -> MailService:
    """Raises NotFoundError, also for a standard one, which cannot be deleted."""
    service = find(session, service_id)
    if service.standard:
        raise NotFoundError
    return service


def own_servers(imap: ServerSettings, smtp: ServerSettings, ca_pem: str = "") -> OwnServers:
    """A pair of servers of no service. Raises RuleError."""
    _check_securities(imap, smtp)
    own = OwnServers()
    _apply_servers(own, imap, smtp, _certificates(ca_pem))
    return own


def drop_unused_servers(session: Session) -> None:
    """Servers of no service that neither a mailbox nor a test uses any more."""
    used = [
        exists().where(column == OwnServers.id)
        for column in (Mailbox.own_servers_id, ConnectionTest.own_servers_id)
    ]
    session.execute(delete(OwnServers).where(~or_(*used)))


def add(session: Session, settings: ServiceSettings, by: Author) -> MailService:
    """Raises RuleError."""
    checked = _checked(session, settings, None)
    service = MailService(sign_in=["password"])
    _apply(service, checked)
    session.add(service)
    session.flush()
    changes = {field: (None, value) for field, value in _logged(service).items()}
    record(session, by, "services.add", service, changes)
    return service


def edit(
    session: Session,
    service: MailService,
    settings: ServiceSettings,
    by: Author,
    *,
    version: int | None = None,
) -> bool:
    """Whether anything changed. Of a standard service only process default and domains can.

    Mailboxes go on with the new parameters at their next contact; their owners are told of
    another host. Raises RuleError, with nothing changed yet, and ConflictError when somebody else
    saved since ``version``; without one nobody is asked.
    """
    if version is not None and service.version != version:
        raise ConflictError("service_changed")
    checked = _checked(session, settings, service)
    before = _logged(service)
    _apply(service, checked)
    after = _logged(service)
    changes = {
        field: (before[field], after[field]) for field in after if before[field] != after[field]
    }
    if not changes:
        return False
    service.version += 1
    session.flush()
    if _CONNECTION.intersection(changes):
        _try_mailboxes_again(session, service, by.now)
    hosts = {name: change for name, change in changes.items() if name in _HOSTS}
    if hosts:
        notices.servers_changed(session, service, hosts, by.now)
    record(session, by, "services.edit", service, changes)
    return True


def _try_mailboxes_again(session: Session, service: MailService, now: datetime) -> None:
    """What was wrong may have been the service: nobody should have to type a password for that."""
    by_service = frozenset(
        {
            MailboxState.UNREACHABLE,
            MailboxState.LOGIN_REFUSED,
            MailboxState.APP_PASSWORD_WANTED,
            MailboxState.CERTIFICATE_REFUSED,
        }
    )
    for mailbox in session.scalars(select(Mailbox).where(Mailbox.service_id == service.id)):
        mailbox.next_contact_at = now
        if mailbox.state in by_service:
            mailbox.state, mailbox.state_since, mailbox.failures = MailboxState.UNREACHABLE, now, 0
            mailbox.version += 1
    session.flush()


def hide(session: Session, service: MailService, by: Author) -> bool:
    """Nobody can choose it any more; mailboxes work on. Whether anything changed."""
    return _set_hidden(session, service, by, hidden=True)


def show(session: Session, service: MailService, by: Author) -> bool:
    """Whether anything changed."""
    return _set_hidden(session, service, by, hidden=False)


def changes_since(session: Session, service: MailService, version: int) -> list[ChangeLogEntry]:
    """Who changed what since a window was filled with that version, oldest first."""
    edits = service.version - version
    if edits <= 0:
        return []
    newest = session.scalars(
        select(ChangeLogEntry)
        .where(
            ChangeLogEntry.subject == changelog.service_subject(service.id),
            ChangeLogEntry.action == "services.edit",
        )
        .order_by(ChangeLogEntry.id.desc())
        .limit(edits)
    ).all()
    return list(reversed(newest))


def server_of(servers: Servers, protocol: Protocol) -> Server:
    """What ``mail/`` needs to know to connect."""
    address = servers.address(protocol)
    return Server(
        protocol=protocol,
        host=address.host,
        port=address.port,
        security=servers.security(protocol),
        ca_pem=servers.ca_pem or None,
    )


def _set_hidden(session: Session, service: MailService, by: Author, *, hidden: bool) -> bool:
    if service.hidden is hidden:
        return False
    service.hidden = hidden
    action = "services.hide" if hidden else "services.show"
    record(session, by, action, service, {"hidden": (not hidden, hidden)})
    session.flush()
    return True


def settings_of(service: MailService) -> ServiceSettings:
    """What the window for it holds before anything is typed."""
    return ServiceSettings(
        name=service.name,
        imap=_server_settings(service, Protocol.IMAP),
        smtp=_server_settings(service, Protocol.SMTP),
        ca_pem=service.ca_pem,
        process_default=service.process_default,
        imap_login_form=service.imap_login_form,
        smtp_login_form=service.smtp_login_form,
        domains=tuple(service.domains),
    )


def _server_settings(service: MailService, protocol: Protocol) -> ServerSettings:
    return ServerSettings(
        service.address(protocol), service.security(protocol), service.non_standard(protocol)
    )


def _checked(
    session: Session, settings: ServiceSettings, present: MailService | None
) -> ServiceSettings:
    """As they are stored: of a standard service all but what the company decides stays."""
    domains = parse_domains(settings.domains)
    if present is not None and present.standard:
        return replace(
            settings_of(present), process_default=settings.process_default, domains=domains
        )
    _check_securities(settings.imap, settings.smtp)
    return replace(
        settings,
        name=check_name(session, settings.name, present),
        ca_pem=_certificates(settings.ca_pem),
        domains=domains,
    )


def _check_securities(imap: ServerSettings, smtp: ServerSettings) -> None:
    for protocol, server in ((Protocol.IMAP, imap), (Protocol.SMTP, smtp)):
        check_security(
            protocol, server.address.port, server.security, non_standard=server.non_standard
        )


def check_name(session: Session, text: str, present: MailService | None) -> str:
    """The name as ``tidy_name`` has it, free among the services that are there.

    Raises RefusedError, also for a letter that cannot be seen: two names must not look the same.
    """
    name = tidy_name(text)
    if not 1 <= len(name) <= NAME_LONGEST or not is_one_line(name):
        raise RefusedError("name", "service_name_length", longest=NAME_LONGEST)
    if any(unicodedata.category(letter) == "Cf" for letter in name):
        raise RefusedError("name", "service_name_invisible")
    taken = session.scalar(
        select(MailService.id).where(
            MailService.name_key == name.casefold(),
            MailService.deleted_at.is_(None),
            MailService.id != (present.id if present else 0),
        )
    )
    if taken is not None:
        raise RefusedError("name", "service_name_taken", name=name)
    return name


def tidy_name(text: str) -> str:
    """Without needless spaces, each letter in one form however it was typed (Unicode's NFC)."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _certificates(pem: str) -> str:
    """The certificates alone, without what people write around them. Raises RuleError."""
    return pem_of(pem.encode()) if pem.strip() else ""


def _apply(service: MailService, checked: ServiceSettings) -> None:
    service.name, service.name_key = checked.name, checked.name.casefold()
    _apply_servers(service, checked.imap, checked.smtp, checked.ca_pem)
    service.imap_login_form = checked.imap_login_form
    service.smtp_login_form = checked.smtp_login_form
    service.process_default = checked.process_default
    service.domains = list(checked.domains)


def _apply_servers(row: Servers, imap: ServerSettings, smtp: ServerSettings, ca_pem: str) -> None:
    row.imap_host, row.imap_port = imap.address.host, imap.address.port
    row.imap_security, row.imap_non_standard = imap.security, imap.non_standard
    row.smtp_host, row.smtp_port = smtp.address.host, smtp.address.port
    row.smtp_security, row.smtp_non_standard = smtp.security, smtp.non_standard
    row.ca_pem = ca_pem


def parse_domains(typed: Iterable[str]) -> tuple[str, ...]:
    """Each once, in A-labels. Raises RefusedError."""
    different = dict.fromkeys(one for one in typed if one.strip())
    if len(different) > DOMAINS_MOST:
        raise RefusedError("domains", "domains_many", most=DOMAINS_MOST)
    try:
        return tuple(dict.fromkeys(parse_domain(one) for one in different))
    except RuleError as error:
        raise RefusedError("domains", error.code, **error.parameters) from error


def _logged(service: MailService) -> dict[str, object]:
    return {
        "name": service.name,
        "imap_server": str(service.address(Protocol.IMAP)),
        "imap_security": service.imap_security.name,
        "imap_non_standard": service.imap_non_standard,
        "smtp_server": str(service.address(Protocol.SMTP)),
        "smtp_security": service.smtp_security.name,
        "smtp_non_standard": service.smtp_non_standard,
        "ca": _fingerprints(service.ca_pem),
        "process_default": service.process_default,
        "imap_login_form": service.imap_login_form.name,
        "smtp_login_form": service.smtp_login_form.name,
        "domains": list(service.domains),
    }


def _fingerprints(pem: str) -> str:
    """A certificate is told from another by its fingerprint; the log need not hold it whole."""
    return ", ".join(one.fingerprint for one in facts(pem))


def record(
    session: Session,
    by: Author,
    action: str,
    service: MailService,
    changes: Mapping[str, tuple[object, object]],
) -> None:
    changelog.record(
        session,
        by,
        action,
        subject=changelog.service_subject(service.id),
        subject_name=service.name,
        changes=changes,
    )
