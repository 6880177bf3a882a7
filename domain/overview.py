"""Every mailbox of the company and its state, for administrators; nothing of anybody's mail."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session

from domain import mailboxes
from domain.mailbox_search import is_one_of, matching
from domain.services import USES_SERVERS
from mail.server_errors import Cause
from mail.server_string import ServerAddress
from models.mailboxes import SMTP_LOGIN_TRIES, Mailbox, MailboxState
from models.people import User
from models.services import MailService, OwnServers

PAGE = 100
UNREACHABLE_LONG = timedelta(hours=1)  # a server that is started anew is back by then
# What a server answers to a login can hold nothing of a message.
_ANSWERS_TO_LOGIN = frozenset(
    {Cause.LOGIN_REFUSED, Cause.LOGIN_DISABLED, Cause.APP_PASSWORD_WANTED}
)
_NAME = func.lower(User.name)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which mailboxes are wanted; ``other`` are those with servers of their own.

    Of a service, or of *Other*, they are those that are counted in the list of services: who was
    disconnected uses no server any more, and stands in the list of them all.
    ``search`` holds words that all have to occur in the person's name or login, or in the
    mailbox's login or address, whatever their case.
    """

    broken: bool = False
    service_id: int | None = None
    other: bool = False
    search: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """The place of a mailbox: its person's name as the database lowers it, then its id."""

    name: str
    id: int


@dataclass(frozen=True, slots=True)
class Line:
    """``service`` is empty where the mailbox has servers of its own.

    ``imap_cause`` and ``smtp_cause`` are empty where nothing is wrong with the servers as they are
    now; ``imap_words`` is what a server said to a login that it refused, else empty.
    """

    id: int
    person: str
    active: bool
    address: str
    login: str
    service: str
    service_deleted: bool
    state: MailboxState
    state_since: datetime
    last_contact_at: datetime | None
    last_received_at: datetime | None
    last_sent_at: datetime | None
    imap_server: ServerAddress
    imap_cause: str
    imap_words: str
    smtp_server: ServerAddress
    smtp_cause: str
    smtp_refuses: bool


@dataclass(frozen=True, slots=True)
class Page:
    """``last`` is the key to go on after, None where nothing follows; ``broken`` counts all."""

    lines: Sequence[Line]
    last: Key | None
    broken: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A service that mailboxes can be asked for by."""

    id: int
    name: str
    deleted: bool


def page(
    session: Session,
    filters: Filters,
    *,
    now: datetime,
    after: Key | None = None,
    most: int = PAGE,
) -> Page:
    """The next mailboxes by person. So many statements, however many mailboxes there are."""
    refusals = _smtp_refusals(session)
    is_broken = _is_broken(refusals, now)
    wanted = _lines().where(*_conditions(session, filters, is_broken, after)).limit(most + 1)
    rows = session.execute(wanted).all()
    shown = rows[:most]
    return Page(
        lines=[_line(row, refusals.get(row.id, 0)) for row in shown],
        last=Key(shown[-1].key, shown[-1].id) if len(rows) > most else None,
        broken=session.scalar(select(func.count(Mailbox.id)).where(is_broken)) or 0,
    )


def choices(session: Session, asked: int) -> list[Choice]:
    """The services that mailboxes use, deleted ones too, and the one asked for if it exists."""
    used = exists().where(Mailbox.service_id == MailService.id, USES_SERVERS)
    rows = session.execute(
        select(MailService.id, MailService.name, MailService.deleted_at.is_not(None))
        .where(or_(used, MailService.id == asked))
        .order_by(MailService.name_key, MailService.id)
    )
    return [Choice(*row) for row in rows]


def _smtp_refusals(session: Session) -> dict[int, int]:
    """How often in a row SMTP refused the login as it is now, where it did."""
    refused = Mailbox.smtp_failures > 0
    now = mailboxes.sign_in_prints(session, refused)
    rows = session.execute(
        select(Mailbox.id, Mailbox.smtp_failures, Mailbox.smtp_refused_with).where(refused)
    )
    return {row[0]: row[1] for row in rows if row[2] == now.get(row[0])}


def _is_broken(refusals: Mapping[int, int], now: datetime) -> ColumnElement[bool]:
    """A person is needed, the server has been away for long, or nothing can be sent."""
    refused = [mailbox_id for mailbox_id, times in refusals.items() if times >= SMTP_LOGIN_TRIES]
    return or_(
        Mailbox.state.in_([state for state in MailboxState if state.needs_person]),
        and_(
            Mailbox.state == MailboxState.UNREACHABLE,
            Mailbox.state_since < now - UNREACHABLE_LONG,
        ),
        is_one_of(refused),
    )


def _conditions(
    session: Session, filters: Filters, is_broken: ColumnElement[bool], after: Key | None
) -> Iterator[ColumnElement[bool]]:
    if filters.broken:
        yield is_broken
    if filters.other:
        yield and_(Mailbox.service_id.is_(None), USES_SERVERS)
    elif filters.service_id is not None:
        yield and_(Mailbox.service_id == filters.service_id, USES_SERVERS)
    if filters.search.strip():
        yield matching(session, filters.search)
    if after is not None:
        yield tuple_(_NAME, Mailbox.id) > (after.name, after.id)


def _lines() -> Select[Any]:
    servers = [
        func.coalesce(getattr(MailService, name), getattr(OwnServers, name)).label(name)
        for name in ("imap_host", "imap_port", "smtp_host", "smtp_port")
    ]
    return (
        select(
            _NAME.label("key"),
            User.name.label("person"),
            User.active,
            MailService.name.label("service"),
            MailService.deleted_at,
            Mailbox.id,
            Mailbox.address,
            Mailbox.login,
            Mailbox.state,
            Mailbox.state_since,
            Mailbox.last_contact_at,
            Mailbox.last_received_at,
            Mailbox.last_sent_at,
            Mailbox.last_error_cause,
            Mailbox.last_error_words,
            Mailbox.smtp_error_cause,
            *servers,
        )
        .select_from(Mailbox)
        .join(User)
        .outerjoin(MailService)
        .outerjoin(OwnServers)
        .order_by(_NAME, Mailbox.id)
    )


def _line(row: Row[Any], smtp_refusals: int) -> Line:
    # While the password is withheld nobody asks the servers; the cause is that of former ones.
    cause = "" if row.state.is_withheld else row.last_error_cause
    return Line(
        id=row.id,
        person=row.person,
        active=row.active,
        address=row.address,
        login=row.login,
        service=row.service or "",
        service_deleted=row.deleted_at is not None,
        state=row.state,
        state_since=row.state_since,
        last_contact_at=row.last_contact_at,
        last_received_at=row.last_received_at,
        last_sent_at=row.last_sent_at,
        imap_server=ServerAddress(row.imap_host, row.imap_port),
        imap_cause=cause,
        imap_words=row.last_error_words if cause in _ANSWERS_TO_LOGIN else "",
        smtp_server=ServerAddress(row.smtp_host, row.smtp_port),
        smtp_cause=row.smtp_error_cause if smtp_refusals else "",
        smtp_refuses=smtp_refusals >= SMTP_LOGIN_TRIES,
    )
