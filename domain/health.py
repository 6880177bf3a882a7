"""How the house is: one check for each thing that can go wrong, for monitoring and the console.

What no row knows is measured by whoever asks, and given here. Nothing is written, and nothing but
state is told of a mailbox.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePath

from alembic.migration import MigrationContext
from sqlalchemy import func, or_, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from domain import key_rotation
from domain.key_rotation import LostKey
from domain.secrets import KeyRing, SecretLostError
from models.mailboxes import ConnectionTest, ConnectionTestState, Mailbox, MailboxState
from models.outbox import OutgoingMessage, OutgoingState
from models.people import User
from models.services import MailService

DISK_LOW = 2_000_000_000
DISK_FULL = 200_000_000
TEST_WAITS_LONG = timedelta(minutes=1)
MESSAGE_WAITS_LONG = timedelta(minutes=15)
# A task only wakes a runner and is gone within milliseconds.
TASKS_MANY = 1000

Value = int | str | None

_UNSENT = (
    OutgoingState.QUEUED,
    OutgoingState.HELD,
    OutgoingState.CLAIMED,
    OutgoingState.DATA_STARTED,
)
_COUNTED = (
    OutgoingState.QUEUED,
    OutgoingState.HELD,
    OutgoingState.FAILED,
    OutgoingState.UNCONFIRMED,
)
_FINE = (MailboxState.CONNECTING, MailboxState.WORKING, MailboxState.DISCONNECTED)


class Status(enum.IntEnum):
    """The greater, the worse; it is also the exit status of ``flask doctor``."""

    OK = 0
    WARNING = 1
    FAILED = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Check:
    """``problem`` is empty when all is well; whoever shows it has the sentence."""

    name: str
    status: Status = Status.OK
    problem: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    lost: Sequence[LostKey] = ()


@dataclass(frozen=True)
class KeyFiles:
    """``fault`` is ``key_missing``, ``key_open``, ``key_unreadable`` or ``key_broken``, or empty.

    ``about`` is the path of the file; of a broken one, what is wrong with it.
    """

    fault: str = ""
    about: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What no row knows. None stands for what could not be found out."""

    now: datetime
    newest_migration: str | None
    keys: KeyFiles
    ring: KeyRing | None
    free_bytes: int | None
    worker_runs: bool
    tasks_waiting: int | None


@dataclass(frozen=True)
class MailboxHealth:
    owner: str
    service: str
    address: str
    state: MailboxState
    last_contact_at: datetime | None
    active: bool

    @property
    def status(self) -> Status:
        """Nobody fetches the mail of a person who may not sign in: nothing to mend."""
        return Status.WARNING if self.active and self.state not in _FINE else Status.OK


def examine(session: Session, around: Surroundings, *, thorough: bool = False) -> list[Check]:
    """Every check. Those that need rows are left out when the rows cannot be read."""
    stored: list[Check] = []
    key_check = keys(around.keys)
    try:
        base = database(session, around.newest_migration, thorough=thorough)
        if base.status is Status.OK:
            key_check = secrets(session, around.keys, around.ring)
            stored = [
                queue(session, around.tasks_waiting, around.now),
                outbox(session, around.now),
                connected(session),
            ]
    except SQLAlchemyError as error:
        words = str(getattr(error, "orig", None) or error)
        base, stored = Check("database", Status.FAILED, "unreachable", {"words": words}), []
    return [
        key_check,
        base,
        disk(around.free_bytes),
        worker(running=around.worker_runs),
        *stored,
    ]


def worst(statuses: Iterable[Status]) -> Status:
    return max(statuses, default=Status.OK)


def keys(files: KeyFiles) -> Check:
    if files.fault:
        return Check("keys", Status.FAILED, files.fault, {"about": files.about})
    return Check("keys")


def secrets(session: Session, files: KeyFiles, ring: KeyRing | None) -> Check:
    """Also whether the keys open what is sealed; without a ring there is nothing to try.

    A warning while some passwords open: their owners have typed them again, the rest may follow.
    """
    found = keys(files)
    if ring is None or (found.problem and not _may_have_been_deleted(files)):
        return found
    try:
        present = key_rotation.presence(session, ring)
    except SecretLostError as error:
        return found if found.problem else Check("keys", Status.FAILED, "key_broken", _about(error))
    if not present.lost:
        return Check("keys")
    values = {"opened": present.opened, "lost": sum(one.mailboxes for one in present.lost)}
    if present.opened:
        return Check("keys", Status.WARNING, "some_lost", values, present.lost)
    return Check("keys", Status.FAILED, "key_wrong", values, present.lost)


def _may_have_been_deleted(files: KeyFiles) -> bool:
    """Of a key that seals, rows tell whether it is missed; after a rotation none does."""
    return files.fault == "key_missing" and PurePath(files.about).name.startswith("secrets-")


def _about(error: Exception) -> dict[str, Value]:
    return {"about": f"{error}."}


def database(session: Session, newest: str | None, *, thorough: bool) -> Check:
    """Raises SQLAlchemyError when it cannot be read. Thorough takes minutes on gigabytes."""
    present = MigrationContext.configure(session.connection()).get_current_revision()
    values = {"schema": present, "wanted": newest}
    if thorough and session.get_bind().dialect.name == "sqlite":
        faults = [row for row in session.scalars(text("PRAGMA quick_check")) if row != "ok"]
        if faults:
            damage = {**values, "words": str(faults[0]), "faults": len(faults)}
            return Check("database", Status.FAILED, "damaged", damage)
    if present is None:
        return Check("database", Status.FAILED, "empty", values)
    if present != newest:
        return Check("database", Status.FAILED, "other_schema", values)
    return Check("database", values=values)


def disk(free_bytes: int | None) -> Check:
    if free_bytes is None:
        return Check("disk", Status.FAILED, "folder_missing", {"free_bytes": None})
    values = {"free_bytes": free_bytes}
    if free_bytes < DISK_FULL:
        return Check("disk", Status.FAILED, "full", values)
    if free_bytes < DISK_LOW:
        return Check("disk", Status.WARNING, "low", values)
    return Check("disk", values=values)


def worker(*, running: bool) -> Check:
    return Check("worker") if running else Check("worker", Status.FAILED, "missing")


def queue(session: Session, tasks_waiting: int | None, now: datetime) -> Check:
    late = session.scalar(
        select(func.count()).where(
            ConnectionTest.state == ConnectionTestState.WAITING,
            ConnectionTest.created_at < now - TEST_WAITS_LONG,
        )
    )
    values = {"tasks": tasks_waiting, "late_tests": late}
    if tasks_waiting is None:
        return Check("queue", Status.FAILED, "unreadable", values)
    if late:
        return Check("queue", Status.WARNING, "tests_wait", values)
    if tasks_waiting > TASKS_MANY:
        return Check("queue", Status.WARNING, "tasks_wait", values)
    return Check("queue", values=values)


def outbox(session: Session, now: datetime) -> Check:
    """What was never tried and is not due yet waits because its sender wants it so."""
    found = session.execute(
        select(OutgoingMessage.state, func.count())
        .where(OutgoingMessage.state.in_(_COUNTED))
        .group_by(OutgoingMessage.state)
    )
    count = {row[0]: row[1] for row in found}
    oldest = session.scalar(
        select(func.min(OutgoingMessage.queued_at)).where(
            OutgoingMessage.state.in_(_UNSENT),
            or_(OutgoingMessage.attempts > 0, OutgoingMessage.next_attempt_at <= now),
        )
    )
    age = None if oldest is None else now - oldest
    values: dict[str, Value] = {state.value: count.get(state, 0) for state in _COUNTED}
    values["oldest_seconds"] = None if age is None else int(age.total_seconds())
    if age is not None and age > MESSAGE_WAITS_LONG:
        return Check("outbox", Status.WARNING, "messages_wait", values)
    return Check("outbox", values=values)


def connected(session: Session) -> Check:
    """How many mailboxes there are, and how many of them do not work; nothing of anybody."""
    everyones = select(func.count()).select_from(Mailbox)
    troubled = everyones.join(User).where(User.active, Mailbox.state.not_in(_FINE))
    values = {
        "connected": session.scalar(everyones) or 0,
        "not_working": session.scalar(troubled) or 0,
    }
    if values["not_working"]:
        return Check("mailboxes", Status.WARNING, "not_working", values)
    return Check("mailboxes", values=values)


def each_mailbox(session: Session) -> list[MailboxHealth]:
    """For administrators only: whose, where, and in what state."""
    found = session.execute(
        select(
            User.name,
            func.coalesce(MailService.name, ""),
            Mailbox.address,
            Mailbox.state,
            Mailbox.last_contact_at,
            User.active,
        )
        .select_from(Mailbox)
        .join(User)
        .outerjoin(MailService)
        .order_by(func.lower(User.name), Mailbox.id)
    )
    return [MailboxHealth(*row) for row in found]
