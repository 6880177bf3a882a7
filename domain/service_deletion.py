"""Deleting a service, bringing it back, and moving its mailboxes to another one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from domain import services
from domain.changelog import Author
from domain.errors import NotFoundError, RefusedError
from domain.mailbox_search import matching
from mail.registrable import registrable_domain
from mail.server_string import Protocol
from models.mailboxes import Mailbox, MailboxState
from models.people import User
from models.services import MailService

SHOWN_MOST = 500


@dataclass(frozen=True)
class Affected:
    """A mailbox that stops, and whether its owner keeps another one that is in use."""

    address: str
    owner: str
    keeps_another: bool


@dataclass(frozen=True)
class Consequences:
    """``shown`` holds at most 500 of the ``mailboxes`` that match a search."""

    mailboxes: int
    people: int
    matching: int
    shown: list[Affected]


def consequences(session: Session, service: MailService, search: str = "") -> Consequences:
    """Who would be left without mail, before anything happens."""
    stops = (Mailbox.service_id == service.id, services.USES_SERVERS)
    of_service = select(Mailbox.id).join(User).where(*stops)
    stopping, people = session.execute(
        of_service.with_only_columns(func.count(), func.count(Mailbox.user_id.distinct()))
    ).one()
    other = aliased(Mailbox)
    in_use = [state for state in MailboxState if state.is_in_use]
    keeps = exists().where(
        other.user_id == Mailbox.user_id,
        other.service_id.is_distinct_from(service.id),
        other.state.in_(in_use),
    )
    found = of_service
    if search.strip():
        found = of_service.where(matching(session, search, *stops))
    rows = session.execute(
        found.with_only_columns(Mailbox.address, User.name, keeps)
        .order_by(func.lower(User.name), Mailbox.id)
        .limit(SHOWN_MOST)
    )
    return Consequences(
        mailboxes=stopping,
        people=people,
        matching=session.scalar(found.with_only_columns(func.count())) or 0,
        shown=[Affected(*row) for row in rows],
    )


def deleted(session: Session) -> list[services.Listed]:
    """The services that can be brought back, the newest first."""
    return services.counted(
        session,
        select(MailService)
        .where(MailService.deleted_at.is_not(None))
        .order_by(MailService.deleted_at.desc(), MailService.id),
    )


def count_deleted(session: Session) -> int:
    deleted = select(func.count()).where(MailService.deleted_at.is_not(None))
    return session.scalar(deleted) or 0


def targets(session: Session, service: MailService) -> list[MailService]:
    """The services that its mailboxes can be moved to."""
    return [
        one.service
        for one in services.listed(session)
        if one.service.id != service.id and one.service.takes_password
    ]


def find_deleted(session: Session, service_id: int) -> MailService:
    """Raises NotFoundError."""
    service = session.get(MailService, service_id)
    if service is None or service.deleted_at is None:
        raise NotFoundError
    return service


def delete(session: Session, service: MailService, by: Author) -> None:
    """Its mailboxes stop at once and keep their mail. Raises RefusedError for a standard one."""
    if service.standard:
        raise RefusedError("service", "standard_stays")
    stopped = _of(session, service)
    for mailbox in stopped:
        _set_state(mailbox, MailboxState.SERVICE_DELETED, by.now)
    service.deleted_at = by.now
    changes = {"mailboxes": (len(stopped), 0)}
    services.record(session, by, "services.delete", service, changes)
    session.flush()


def restore(session: Session, service: MailService, by: Author, *, name: str = "") -> None:
    """Brings it back, under another name where its own was taken; nobody types a password.

    Raises RefusedError.
    """
    name = services.check_name(session, name or service.name, service)
    changes: dict[str, tuple[object, object]] = {}
    if name != service.name:
        changes["name"] = (service.name, name)
        service.name, service.name_key = name, name.casefold()
        service.version += 1
    service.deleted_at = None
    back = _of(session, service)
    for mailbox in back:
        _go_on(mailbox, by.now)
    changes["mailboxes"] = (0, len(back))
    services.record(session, by, "services.restore", service, changes)
    session.flush()


def move(session: Session, service: MailService, target_id: int, by: Author) -> int:
    """Gives its mailboxes another service, hidden or not. How many were moved.

    A password goes to another registrable domain only after its owner agreed. Raises RefusedError.
    """
    target = session.get(MailService, target_id)
    usable = target is not None and target.deleted_at is None and target.takes_password
    if target is None or not usable or target.id == service.id:
        raise RefusedError("target", "target_not_there")
    moved = _of(session, service)
    for mailbox in moved:
        given_for = mailbox.agreed_domains or _domains_of(service)
        mailbox.service = target
        to_others = set(_domains_of(target)) - set(given_for)
        mailbox.agreed_domains = given_for if to_others else []
        _go_on(mailbox, by.now)
    changes = {"service": (service.name, target.name), "mailboxes": (len(moved), 0)}
    services.record(session, by, "services.move", service, changes)
    session.flush()
    return len(moved)


def asked_of(mailbox: Mailbox) -> str:
    """What an owner agrees to: the servers that the page named."""
    return f"{mailbox.servers.address(Protocol.IMAP)} {mailbox.servers.address(Protocol.SMTP)}"


def agree(session: Session, mailbox: Mailbox, asked: str, now: datetime) -> bool:
    """The owner lets the password go to the servers that were ``asked_of`` them.

    Of what the page no longer asks, nothing comes. False where they are others meanwhile: the
    owner has not been asked about those.
    """
    if mailbox.state is not MailboxState.MOVED:
        return True
    if asked != asked_of(mailbox):
        return False
    mailbox.agreed_domains = []
    _go_on(mailbox, now)
    session.flush()
    return True


def _of(session: Session, service: MailService) -> list[Mailbox]:
    """But those that were given up: nothing that happens to the service brings them back."""
    return list(
        session.scalars(
            select(Mailbox).where(Mailbox.service_id == service.id, services.USES_SERVERS)
        )
    )


def _go_on(mailbox: Mailbox, now: datetime) -> None:
    """As far as its owner has agreed and its service is there."""
    if mailbox.service is not None and mailbox.service.deleted_at is not None:
        state = MailboxState.SERVICE_DELETED
    elif mailbox.agreed_domains:
        state = MailboxState.MOVED
    else:
        state = MailboxState.CONNECTING
    _set_state(mailbox, state, now)
    mailbox.failures, mailbox.last_error_cause, mailbox.last_error_words = 0, "", ""
    mailbox.next_contact_at = now


def _set_state(mailbox: Mailbox, state: MailboxState, now: datetime) -> None:
    if mailbox.state is not state:
        mailbox.state, mailbox.state_since = state, now
    mailbox.version += 1


def _domains_of(service: MailService) -> list[str]:
    hosts: Iterable[str] = (service.imap_host, service.smtp_host)
    return sorted({registrable_domain(host) for host in hosts})
