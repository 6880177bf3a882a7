"""Connecting a mailbox, and what state it is in."""

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from domain import services
from domain.errors import NotFoundError, RefusedError
from domain.lines import is_one_line
from domain.secrets import KeyRing, SecretLostError
from mail.addresses import check_address
from mail.connection import Credentials, Server
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from models.mailboxes import ConnectionTest, ConnectionTestState, Mailbox, MailboxState
from models.people import User
from models.services import MailService

RETRY_LASTS = timedelta(hours=1)
POLL = timedelta(seconds=60)
LONGEST_WAIT = timedelta(minutes=15)
LOGIN_TRIES = 3
TRIES_AT_ONCE = 2
TRIES_MOST = 20
TRIES_WINDOW = timedelta(minutes=15)
NOT_TRIED = "not_tried"  # the cause of a try that broke here, or that nobody made in time
_PASSWORD = "password"  # noqa: S105 - the name of the field that the secret is bound to

_STATE_OF_CAUSE = {
    Cause.LOGIN_REFUSED: MailboxState.LOGIN_REFUSED,
    Cause.LOGIN_DISABLED: MailboxState.LOGIN_REFUSED,
    Cause.APP_PASSWORD_WANTED: MailboxState.APP_PASSWORD_WANTED,
    Cause.CERTIFICATE_EXPIRED: MailboxState.CERTIFICATE_REFUSED,
    Cause.CERTIFICATE_WRONG_NAME: MailboxState.CERTIFICATE_REFUSED,
    Cause.CERTIFICATE_UNTRUSTED: MailboxState.CERTIFICATE_REFUSED,
    Cause.CERTIFICATE_REFUSED: MailboxState.CERTIFICATE_REFUSED,
    Cause.OVER_QUOTA: MailboxState.OVER_QUOTA,
}

_STOPPED = [state for state in MailboxState if state.needs_person and not state.may_heal]


@dataclass(frozen=True)
class Target:
    """What a runner needs to talk to the servers of one mailbox."""

    id: int
    uuid: uuid.UUID
    imap: Server
    smtp: Server
    credentials: Credentials


def begin_test(
    session: Session,
    person: User,
    *,
    service_id: int,
    address: str,
    login: str,
    password: str,
    tried: ConnectionTest | None,
    ring: KeyRing,
    now: datetime,
) -> ConnectionTest:
    """Starts a try. With an empty password, that of the failed try is used. Raises RefusedError.

    At most 2 at once, which keeps the way free for others, and 20 without success in 15 minutes:
    the login may be a colleague's.
    """
    service = _choosable(session, service_id)
    address = check_address(address.strip(), "address")
    _refuse_connected(session, person, address)
    _refuse_many(session, person, now)
    if not password and tried is not None:
        password = _password_of(tried, ring)
    if not password:
        raise RefusedError("password", "required")
    for field, text in (("login", login), ("password", password)):
        if not is_one_line(text):
            raise RefusedError(field, "not_one_line")
    test = ConnectionTest(
        uuid=uuid.uuid4(),
        user_id=person.id,
        service_id=service.id,
        address=address,
        login=login.strip(),
        created_at=now,
        state=ConnectionTestState.WAITING,
        steps=[],
    )
    test.sealed_password = ring.seal(password, test.uuid, _PASSWORD)
    session.add(test)
    session.flush()
    return test


def _password_of(tried: ConnectionTest, ring: KeyRing) -> str:
    try:
        return ring.open(tried.sealed_password, tried.uuid, _PASSWORD)
    except SecretLostError:
        return ""


def _refuse_many(session: Session, person: User, now: datetime) -> None:
    tries = select(func.count()).where(
        ConnectionTest.user_id == person.id,
        ConnectionTest.state != ConnectionTestState.SUCCEEDED,
        ConnectionTest.created_at > now - TRIES_WINDOW,
    )
    going_on = (ConnectionTestState.WAITING, ConnectionTestState.RUNNING)
    if (session.scalar(tries.where(ConnectionTest.state.in_(going_on))) or 0) >= TRIES_AT_ONCE:
        raise RefusedError("address", "tries_going_on")
    if (session.scalar(tries) or 0) >= TRIES_MOST:
        minutes = TRIES_WINDOW.seconds // 60
        raise RefusedError("password", "too_many_tries", minutes=minutes)


def find_test(session: Session, person: User, test: uuid.UUID) -> ConnectionTest:
    """Raises NotFoundError when it is not this person's."""
    own = session.scalar(
        select(ConnectionTest).where(
            ConnectionTest.uuid == test, ConnectionTest.user_id == person.id
        )
    )
    if own is None:
        raise NotFoundError
    return own


def failed_test(
    session: Session, person: User, test: uuid.UUID, now: datetime
) -> ConnectionTest | None:
    """The try that the person corrects, if it is recent enough for its password to be kept."""
    return session.scalar(
        select(ConnectionTest).where(
            ConnectionTest.uuid == test,
            ConnectionTest.user_id == person.id,
            ConnectionTest.state == ConnectionTestState.FAILED,
            ConnectionTest.sealed_password != b"",
            ConnectionTest.created_at > now - RETRY_LASTS,
        )
    )


def waiting_tests(session: Session) -> list[int]:
    waiting = select(ConnectionTest.id).where(ConnectionTest.state == ConnectionTestState.WAITING)
    return list(session.scalars(waiting))


def release_tests(session: Session) -> None:
    """At the worker's start: what a former worker was trying is tried again from the beginning."""
    session.execute(
        update(ConnectionTest)
        .where(ConnectionTest.state == ConnectionTestState.RUNNING)
        .values(state=ConnectionTestState.WAITING, steps=[])
    )


def end_old_tests(session: Session, now: datetime) -> None:
    """Gives up tries that still wait or run after an hour: no page watches them any more."""
    unfinished = (ConnectionTestState.WAITING, ConnectionTestState.RUNNING)
    session.execute(
        update(ConnectionTest)
        .where(ConnectionTest.created_at <= now - RETRY_LASTS, ConnectionTest.state.in_(unfinished))
        .values(state=ConnectionTestState.FAILED, cause=NOT_TRIED, sealed_password=b"")
    )


def forget_old_passwords(session: Session, now: datetime) -> None:
    """Drops the secrets of tries that ended or that nobody came back to."""
    session.execute(
        update(ConnectionTest)
        .where(
            ConnectionTest.created_at <= now - RETRY_LASTS, ConnectionTest.sealed_password != b""
        )
        .values(sealed_password=b"")
    )


def claim_test(session: Session, test_id: int, ring: KeyRing) -> Target | None:
    """Takes a waiting try; None when there is nothing to take. Raises SecretLostError."""
    claimed = session.execute(
        update(ConnectionTest)
        .where(ConnectionTest.id == test_id, ConnectionTest.state == ConnectionTestState.WAITING)
        .values(state=ConnectionTestState.RUNNING)
        .returning(ConnectionTest.id)
    ).scalar()
    if claimed is None:
        return None
    test = session.get_one(ConnectionTest, test_id)
    password = ring.open(test.sealed_password, test.uuid, _PASSWORD)
    return _target(test.id, test.uuid, test.service, test.login, password)


def note_step(
    session: Session, test_id: int, protocol: Protocol, step: Step, milliseconds: int
) -> None:
    test = session.get_one(ConnectionTest, test_id)
    done = {"protocol": protocol.value, "step": step.value, "ms": milliseconds}
    test.steps = [*test.steps, done]
    session.flush()


def fail_test(session: Session, test_id: int, protocol: Protocol, error: MailServerError) -> None:
    test = session.get_one(ConnectionTest, test_id)
    test.state = ConnectionTestState.FAILED
    test.failed_protocol, test.failed_step = protocol.value, error.step.value
    test.cause, test.server_words = error.cause.value, error.server_words
    session.flush()


def give_up_test(session: Session, test_id: int, cause: str) -> None:
    """Ends a try that met no mail server at all; ``cause`` is worded like a server's."""
    test = session.get_one(ConnectionTest, test_id)
    test.state, test.cause = ConnectionTestState.FAILED, cause
    session.flush()


def connect(session: Session, test_id: int, ring: KeyRing, now: datetime) -> Mailbox:
    """The mailbox that a try which ended well has earned; asked twice, it is the same one."""
    test = session.get_one(ConnectionTest, test_id)
    password = ring.open(test.sealed_password, test.uuid, _PASSWORD)
    mailbox = _of_address(session, test.user_id, test.address) or _new_mailbox(
        test, ring, password, now
    )
    session.add(mailbox)
    session.flush()
    test.state, test.mailbox_id, test.sealed_password = (
        ConnectionTestState.SUCCEEDED,
        mailbox.id,
        b"",
    )
    session.flush()
    return mailbox


def connected(session: Session, person: User) -> list[Mailbox]:
    return list(
        session.scalars(select(Mailbox).where(Mailbox.user_id == person.id).order_by(Mailbox.id))
    )


def find(session: Session, person: User, mailbox_id: int) -> Mailbox:
    """Raises NotFoundError when it is not this person's."""
    own = session.scalar(
        select(Mailbox).where(Mailbox.id == mailbox_id, Mailbox.user_id == person.id)
    )
    if own is None:
        raise NotFoundError
    return own


def target(session: Session, mailbox_id: int, ring: KeyRing) -> Target | None:
    """How to reach a mailbox; None when it is gone. Raises SecretLostError."""
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None or not mailbox.user.active:
        return None
    password = ring.open(mailbox.sealed_password, mailbox.uuid, _PASSWORD)
    return _target(mailbox.id, mailbox.uuid, mailbox.service, mailbox.login, password)


def target_to_follow(session: Session, mailbox_id: int, ring: KeyRing) -> Target | None:
    """As ``target``, for syncing and watching: None also while only a person can heal it.

    Whatever asks for a visit, a password that was refused is not tried again (see ``due``).
    """
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None or mailbox.state in _STOPPED:
        return None
    return target(session, mailbox_id, ring)


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
    if mailbox is None:
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
    if mailbox is None:
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
    if mailbox is not None and mailbox.state is not MailboxState.SECRET_LOST:
        mailbox.state, mailbox.state_since = MailboxState.SECRET_LOST, now
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


def _choosable(session: Session, service_id: int) -> MailService:
    for service in services.choosable(session):
        if service.id == service_id:
            return service
    raise RefusedError("service", "service_not_choosable")


def _refuse_connected(session: Session, person: User, address: str) -> None:
    if _of_address(session, person.id, address) is not None:
        raise RefusedError("address", "already_connected", address=address)


def _of_address(session: Session, person_id: int, address: str) -> Mailbox | None:
    """The person's mailbox of that address, in whatever letters: Bob@ and bob@ are one."""
    own = session.scalars(select(Mailbox).where(Mailbox.user_id == person_id))
    return next((one for one in own if one.address.casefold() == address.casefold()), None)


def _new_mailbox(test: ConnectionTest, ring: KeyRing, password: str, now: datetime) -> Mailbox:
    row = uuid.uuid4()
    return Mailbox(
        uuid=row,
        user_id=test.user_id,
        service_id=test.service_id,
        address=test.address,
        login=test.login,
        sealed_password=ring.seal(password, row, _PASSWORD),
        sender_name=test.user.name,
        state=MailboxState.CONNECTING,
        state_since=now,
        next_contact_at=now,
    )


def _target(row_id: int, row: uuid.UUID, service: MailService, login: str, password: str) -> Target:
    return Target(
        id=row_id,
        uuid=row,
        imap=services.server_of(service, Protocol.IMAP),
        smtp=services.server_of(service, Protocol.SMTP),
        credentials=Credentials(login, password),
    )
