"""Mail services: the standard ones, and those the company adds and edits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain import changelog
from domain.changelog import Author
from domain.errors import NotFoundError, RefusedError
from domain.lines import is_one_line
from mail.connection import Server
from mail.security import Security, check_security
from mail.server_string import Protocol, ServerAddress
from models.mailboxes import Mailbox, MailboxState
from models.services import MailService, Servers

NAME_LONGEST = 100
CA_LONGEST = 65_536
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


@dataclass(frozen=True)
class Listed:
    service: MailService
    mailboxes: int


def listed(session: Session) -> list[Listed]:
    """Every service that is not deleted, in the order of the page, with its mailboxes counted."""
    mailboxes = (
        select(func.count(Mailbox.id))
        .where(Mailbox.service_id == MailService.id)
        .correlate(MailService)
        .scalar_subquery()
    )
    rows = session.execute(
        select(MailService, mailboxes)
        .where(MailService.deleted_at.is_(None))
        .order_by(MailService.standard.desc(), MailService.position, MailService.name_key)
    )
    return [Listed(service, count) for service, count in rows]


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


def add(session: Session, settings: ServiceSettings, by: Author) -> MailService:
    """Raises RefusedError."""
    _check(session, settings, None)
    service = MailService(sign_in=["password"], domains=[])
    _apply(service, settings)
    session.add(service)
    session.flush()
    changes = {field: (None, value) for field, value in _logged(service).items()}
    _record(session, by, "services.add", service, changes)
    return service


def edit(session: Session, service: MailService, settings: ServiceSettings, by: Author) -> bool:
    """Whether anything changed. Of a standard service only the process default can.

    Mailboxes go on with the new parameters at their next contact. Raises RefusedError.
    """
    before = _logged(service)
    if service.standard:
        service.process_default = settings.process_default
    else:
        _check(session, settings, service)
        _apply(service, settings)
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
    _record(session, by, "services.edit", service, changes)
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


def _check(session: Session, settings: ServiceSettings, present: MailService | None) -> None:
    name = " ".join(settings.name.split())
    if not 1 <= len(name) <= NAME_LONGEST or not is_one_line(name):
        raise RefusedError("name", "service_name_length", longest=NAME_LONGEST)
    taken = session.scalar(
        select(MailService.id).where(
            MailService.name_key == name.casefold(),
            MailService.deleted_at.is_(None),
            MailService.id != (present.id if present else 0),
        )
    )
    if taken is not None:
        raise RefusedError("name", "service_name_taken", name=name)
    for protocol, server in ((Protocol.IMAP, settings.imap), (Protocol.SMTP, settings.smtp)):
        check_security(
            protocol, server.address.port, server.security, non_standard=server.non_standard
        )
    _certificates(settings.ca_pem)


def _certificates(pem: str) -> str:
    """The certificates alone, without what people write around them. Raises RefusedError."""
    if not pem.strip():
        return ""
    if len(pem) > CA_LONGEST or "PRIVATE KEY" in pem:
        raise RefusedError("ca_pem", "ca_not_a_certificate")
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise RefusedError("ca_pem", "ca_not_a_certificate") from error
    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in found)


def _apply(service: MailService, settings: ServiceSettings) -> None:
    service.name = " ".join(settings.name.split())
    service.name_key = service.name.casefold()
    service.imap_host, service.imap_port = settings.imap.address.host, settings.imap.address.port
    service.imap_security = settings.imap.security
    service.imap_non_standard = settings.imap.non_standard
    service.smtp_host, service.smtp_port = settings.smtp.address.host, settings.smtp.address.port
    service.smtp_security = settings.smtp.security
    service.smtp_non_standard = settings.smtp.non_standard
    service.ca_pem = _certificates(settings.ca_pem)
    service.process_default = settings.process_default


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
    }


def _fingerprints(pem: str) -> str:
    """A certificate is told from another by its fingerprint; the log need not hold it whole."""
    if not pem:
        return ""
    found = x509.load_pem_x509_certificates(pem.encode())
    return ", ".join(certificate.fingerprint(SHA256()).hex() for certificate in found)


def _record(
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
        subject=f"service:{service.id}",
        subject_name=service.name,
        changes=changes,
    )
