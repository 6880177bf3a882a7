"""Connected mailboxes: how they are reached, and what state they are in."""

import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnExpressionArgument, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from domain import company, services
from domain.errors import MailboxGoneError, NotFoundError
from domain.secrets import KeyRing
from mail.connection import Credentials, Server
from mail.server_errors import Cause, MailServerError
from mail.server_string import Protocol
from models.mailboxes import (
    CONNECTED_WITH,
    ConnectionTest,
    Mailbox,
    MailboxState,
    sign_in_print,
)
from models.people import User
from models.services import MailService, OwnServers

POLL = timedelta(seconds=60)
LONGEST_WAIT = timedelta(minutes=15)
LOGIN_TRIES = 3
PASSWORD = "password"  # noqa: S105 - the name of the field that the secret is bound to

_STATE_OF_CAUSE = {
    Cause.LOGIN_REFUSED: MailboxState.LOGIN_REFUSED,
    Cause.LOGIN_DISABLED: MailboxState.LOGIN_REFUSED,
    Cause.AUTH_MISSING: MailboxState.LOGIN_REFUSED,
    Cause.OAUTH_WANTED: MailboxState.LOGIN_REFUSED,
    Cause.APP_PASSWORD_WANTED: MailboxState.APP_PASSWORD_WANTED,
    Cause.CERTIFICATE_EXPIRED: MailboxState.CERTIFICATE_REFUSED,
    Cause.CERTIFICATE_WRONG_NAME: MailboxState.CERTIFICATE_REFUSED,
    Cause.CERTIFICATE_UNTRUSTED: MailboxState.CERTIFICATE_REFUSED,
    Cause.CERTIFICATE_REFUSED: MailboxState.CERTIFICATE_REFUSED,
    Cause.OVER_QUOTA: MailboxState.OVER_QUOTA,
}

_STOPPED = [state for state in MailboxState if not state.is_in_use and not state.may_heal]


@dataclass(frozen=True)
class Target:
    """What a runner needs to talk to the servers of one mailbox.

    ``sign_in_print`` tells it from the one before: see ``require_current``.
    """

    id: int
    uuid: uuid.UUID
    imap: Server
    smtp: Server
    credentials: Credentials
    smtp_credentials: Credentials
    sign_in_print: str = ""


def connected(session: Session, person: User) -> list[Mailbox]:
    """All that have mail here, disconnected ones too, in the order that the person chose."""
    return list(
        session.scalars(
            select(Mailbox)
            .where(Mailbox.user_id == person.id)
            .order_by(Mailbox.position, Mailbox.id)
        )
    )


def senders(session: Session, person: User) -> list[Mailbox]:
    """Those that one can write from, the default sender first: the chosen one, else the first."""
    usable = [one for one in connected(session, person) if not one.state.is_ended]
    return sorted(usable, key=lambda mailbox: not mailbox.default_sender)


def find(session: Session, person: User, mailbox_id: int) -> Mailbox:
    """Raises NotFoundError when it is not this person's."""
    own = session.scalar(
        select(Mailbox).where(Mailbox.id == mailbox_id, Mailbox.user_id == person.id)
    )
    if own is None:
        raise NotFoundError
    return own


def target(session: Session, mailbox_id: int, ring: KeyRing) -> Target | None:
    """How to reach a mailbox. Raises SecretLostError.

    None when it is gone, its owner is disabled, or its password must not be shown to its server.
    """
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None or not mailbox.user.active or mailbox.state.is_withheld:
        return None
    password = ring.open(mailbox.sealed_password, mailbox.uuid, PASSWORD)
    return replace(target_of(session, mailbox, password), sign_in_print=mailbox.sign_in_print)


def target_to_follow(session: Session, mailbox_id: int, ring: KeyRing) -> Target | None:
    """As ``target``, for syncing and watching: None also while only a person can heal it.

    Whatever asks for a visit, a password that was refused is not tried again (see ``due``).
    """
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None or mailbox.state in _STOPPED:
        return None
    return target(session, mailbox_id, ring)


def followed(session: Session, watched: Iterable[int]) -> dict[int, str]:
    """Those of the watched that may be connected to, each with the print of how one signs in."""
    return sign_in_prints(
        session, Mailbox.id.in_(watched), User.active, Mailbox.state.not_in(_STOPPED)
    )


def sign_in_prints(session: Session, *wanted: ColumnExpressionArgument[bool]) -> dict[int, str]:
    """``Mailbox.sign_in_print`` of each mailbox that is wanted, in three statements.

    A service is read once and not for each of its mailboxes: a CA can be long.
    """
    rows = session.execute(
        select(
            Mailbox.id,
            Mailbox.service_id,
            Mailbox.own_servers_id,
            Mailbox.login,
            Mailbox.smtp_login,
            Mailbox.sealed_password,
        )
        .join(User)
        .where(*wanted)
    ).all()
    of_service = _connected_with(session, MailService, Mailbox.service_id, *wanted)
    own = _connected_with(session, OwnServers, Mailbox.own_servers_id, *wanted)
    return {
        row[0]: sign_in_print(row[1], of_service.get(row[1]) or own[row[2]], *row[3:])
        for row in rows
    }


def _connected_with(
    session: Session,
    kind: type[MailService | OwnServers],
    id_of: InstrumentedAttribute[int | None],
    *wanted: ColumnExpressionArgument[bool],
) -> dict[int | None, Sequence[object]]:
    used = select(id_of).join_from(Mailbox, User).where(*wanted)
    columns = [getattr(kind, name) for name in CONNECTED_WITH]
    rows = session.execute(select(kind.id, *columns).where(kind.id.in_(used)))
    return {row[0]: row[1:] for row in rows}


def require_current(session: Session, target: Target) -> None:
    """What a connection brings is written only while the mailbox is still reached that way.

    Raises MailboxGoneError: the service was edited or deleted meanwhile, the person disabled, the
    password changed, the mailbox disconnected.
    """
    mailbox = session.get(Mailbox, target.id)
    if (
        mailbox is None
        or not mailbox.user.active
        or mailbox.state.is_withheld
        or mailbox.sign_in_print != target.sign_in_print
    ):
        raise MailboxGoneError


def due(session: Session, now: datetime) -> list[int]:
    """Mailboxes whose time has come, but those that only a person can heal.

    A certificate may be renewed and a full mailbox emptied without a word to us; a password that
    was refused is not tried again, for some providers lock out whoever insists.
    """
    return list(
        session.scalars(
            select(Mailbox.id)
            .join(User)
            .where(User.active, Mailbox.next_contact_at <= now, Mailbox.state.not_in(_STOPPED))
            .order_by(Mailbox.next_contact_at)
        )
    )


def look_soon(session: Session, now: datetime) -> None:
    """At the worker's start: nobody watched meanwhile. Whoever waits after trouble waits on."""
    fine = (MailboxState.WORKING, MailboxState.CONNECTING)
    session.execute(update(Mailbox).where(Mailbox.state.in_(fine)).values(next_contact_at=now))


def note_contact(session: Session, mailbox_id: int, now: datetime) -> None:
    """Everything worked: earlier trouble is over."""
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None or mailbox.state.is_withheld:
        return
    if mailbox.state is not MailboxState.WORKING:
        mailbox.state, mailbox.state_since = MailboxState.WORKING, now
        mailbox.version += 1
    mailbox.failures, mailbox.last_error_cause, mailbox.last_error_words = 0, "", ""
    mailbox.last_contact_at, mailbox.next_contact_at = now, now + POLL
    session.flush()


def note_trouble(session: Session, mailbox_id: int, error: MailServerError, now: datetime) -> None:
    """Waits from 1 second up to 15 minutes with jitter, or stops where a person is needed.

    A refused login is believed only the third time: servers also say so when they are unwell.
    """
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None or mailbox.state.is_withheld:
        return
    state = _STATE_OF_CAUSE.get(error.cause, MailboxState.UNREACHABLE)
    if state is MailboxState.LOGIN_REFUSED and not _refuses_login(mailbox.last_error_cause):
        mailbox.failures = 0
    mailbox.failures += 1
    if state is MailboxState.LOGIN_REFUSED and mailbox.failures < LOGIN_TRIES:
        state = MailboxState.UNREACHABLE
    if mailbox.state is not state:
        mailbox.state, mailbox.state_since = state, now
        mailbox.version += 1
    mailbox.last_error_cause, mailbox.last_error_words = error.cause.value, error.server_words
    mailbox.next_contact_at = now + wait_after(mailbox.failures)
    session.flush()


def note_secret_lost(session: Session, mailbox_id: int, now: datetime) -> None:
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None or mailbox.state.is_withheld:
        return
    if mailbox.state is not MailboxState.SECRET_LOST:
        mailbox.state, mailbox.state_since = MailboxState.SECRET_LOST, now
        mailbox.version += 1
        session.flush()


def end(session: Session, mailbox: Mailbox, state: MailboxState, now: datetime) -> None:
    """Nothing is received or sent any more, and its password is forgotten."""
    mailbox.state, mailbox.state_since = state, now
    mailbox.sealed_password, mailbox.default_sender = b"", False
    mailbox.last_error_cause, mailbox.last_error_words = "", ""
    mailbox.version += 1
    session.flush()


def wait_after(failures: int) -> timedelta:
    """1 s, 2 s, 4 s … up to 15 min, of which up to a quarter is left to chance."""
    seconds = min(2.0 ** min(failures - 1, 20), LONGEST_WAIT.total_seconds())
    return timedelta(seconds=seconds * random.uniform(0.75, 1.0))  # noqa: S311 - jitter, no secret


def touch(session: Session, mailbox_id: int) -> None:
    """Tells open pages that something of this mailbox is new."""
    session.execute(
        update(Mailbox).where(Mailbox.id == mailbox_id).values(version=Mailbox.version + 1)
    )


def _refuses_login(cause: str) -> bool:
    states = {one.value: state for one, state in _STATE_OF_CAUSE.items()}
    return states.get(cause) is MailboxState.LOGIN_REFUSED


def target_of(session: Session, row: Mailbox | ConnectionTest, password: str) -> Target:
    """What ``mail/`` needs to sign in at both servers.

    Those that an employee typed have to be where employees may go.
    """
    smtp_login = row.smtp_login or row.login
    networks = None
    if row.own_servers is not None and not row.is_administrators:
        networks = tuple(company.settings(session).employee_networks)
    return Target(
        id=row.id,
        uuid=row.uuid,
        imap=replace(services.server_of(row.servers, Protocol.IMAP), networks=networks),
        smtp=replace(services.server_of(row.servers, Protocol.SMTP), networks=networks),
        credentials=Credentials(row.login, password),
        smtp_credentials=Credentials(smtp_login, password),
    )
