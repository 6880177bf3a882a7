"""What is sealed, and sealing it anew under another key.

The list of every sealed column stands here and nowhere else. A rotation goes through them row by
row, in batches that each commit, while web and worker go on:

- It can end at any point. Rows that are still sealed under an older key show that a rotation was
  not finished; the next one continues with the newest key instead of making another.
- Whoever seals meanwhile uses the newest key file there is (see ``KeyRing.seal``). One race is
  left: a transaction that sealed just before the new file appeared, and commits after its row was
  passed. Where writers wait for one another (SQLite) it has committed before the first batch
  begins; elsewhere the passes, which are repeated until one finds nothing, leave only what commits
  after the last of them. The old key still opens that, and the next run seals it anew.
- A password sealed anew is the same password, so what SMTP said of it is kept
  (``smtp_refused_with`` moves along). Connections that are open are not told apart from those with
  an old password: each ends at its next step and begins anew. No mail is lost by that, a message on
  its way out is finished, and the pause between batches spreads the new sign-ins.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from domain import changelog
from domain.changelog import Author
from domain.mailboxes import PASSWORD
from domain.secrets import KeyRing, SecretLostError, key_id_of, prefix_of
from models.mailboxes import ConnectionTest, Mailbox, MailboxState
from models.people import User

BATCH = 50


@dataclass(frozen=True)
class SealedColumn:
    """``field`` is what its secrets are bound to, beside the UUID of their row."""

    model: type[Mailbox] | type[ConnectionTest]
    column: InstrumentedAttribute[bytes]
    field: str


_MAILBOXES = SealedColumn(Mailbox, Mailbox.sealed_password, PASSWORD)
SEALED = (
    _MAILBOXES,
    SealedColumn(ConnectionTest, ConnectionTest.sealed_password, PASSWORD),
)


@dataclass(frozen=True)
class Batch:
    """``last`` is the id to go on after; None when there is nothing more."""

    last: int | None
    resealed: int


@dataclass(frozen=True)
class LostKey:
    """``key_id`` is empty where what is stored is damaged. ``is_there`` says whether there is a key
    of that id, which then is not the one that sealed.
    """

    key_id: str
    is_there: bool
    mailboxes: int


@dataclass(frozen=True)
class Presence:
    """``opened`` is the number of mailboxes whose password opens."""

    opened: int
    lost: Sequence[LostKey]


def key_ids(session: Session) -> set[str]:
    """The ids of all keys under which something is sealed, whether it opens or not."""
    return {key_id_of(row.sealed) for one in SEALED for row in _sealed(session, one)} - {""}


def open_under_older(session: Session, ring: KeyRing) -> set[str]:
    """The ids of older keys than the newest that still open something: there is work to do."""
    ring = ring.as_of_now()
    found: set[str] = set()
    for one in SEALED:
        for row in _sealed(session, one):
            key_id = key_id_of(row.sealed)
            if key_id not in {ring.current, *found} and _opens(ring, one, row):
                found.add(key_id)
    return found


def begin(session: Session, ring: KeyRing, older: Iterable[str], by: Author) -> None:
    """Writes the rotation to ``ring``'s newest key into the change log.

    In the first transaction that changes something, so that none does so without an entry, however
    soon the rotation is interrupted.
    """
    names = ", ".join(f"secrets-{one}" for one in sorted(older, key=int))
    changelog.record(
        session,
        by,
        "keys.rotate",
        subject=f"key:{ring.current}",
        subject_name=f"secrets-{ring.current}",
        changes={"key": (names, f"secrets-{ring.current}")},
    )


def reseal(session: Session, one: SealedColumn, ring: KeyRing, *, after: int) -> Batch:
    """Seals the next rows anew, 50 at most, that are not sealed under ``ring``'s newest key yet.

    What cannot be opened is left as it is.
    """
    prefix = prefix_of(ring.current)
    rows: Sequence[Any] = session.scalars(
        select(one.model)
        .where(
            one.model.id > after,
            one.column != b"",
            func.substr(one.column, 1, len(prefix), type_=one.column.type) != prefix,
        )
        .order_by(one.model.id)
        .limit(BATCH)
        .with_for_update(of=one.model)
    ).all()
    resealed = sum(_reseal(row, one, ring) for row in rows)
    session.flush()
    return Batch(rows[-1].id if rows else None, resealed)


def _reseal(row: Any, one: SealedColumn, ring: KeyRing) -> bool:
    try:
        secret = ring.open(getattr(row, one.column.key), row.uuid, one.field)
    except SecretLostError:
        return False
    refused = isinstance(row, Mailbox) and row.smtp_refused_with == row.sign_in_print
    setattr(row, one.column.key, ring.seal(secret, row.uuid, one.field))
    if refused:
        row.smtp_refused_with = row.sign_in_print
    return True


def heal(session: Session, ring: KeyRing, now: datetime) -> int:
    """Mailboxes that had stopped for want of their key are connected again if it is back.

    How many they are.
    """
    ring = ring.as_of_now()
    stopped = _select(_MAILBOXES).where(Mailbox.state == MailboxState.SECRET_LOST)
    found = [row.id for row in session.execute(stopped) if _opens(ring, _MAILBOXES, row)]
    for first in range(0, len(found), BATCH):
        session.execute(
            update(Mailbox)
            .where(Mailbox.id.in_(found[first : first + BATCH]))
            .values(
                state=MailboxState.CONNECTING,
                state_since=now,
                failures=0,
                next_contact_at=now,
                version=Mailbox.version + 1,
            )
        )
    return len(found)


def unopened(session: Session, ring: KeyRing) -> list[str]:
    """The address of each row whose secret does not open; empty for a test without an address."""
    ring = ring.as_of_now()
    return [
        row.address for one in SEALED for row in _sealed(session, one) if not _opens(ring, one, row)
    ]


def presence(session: Session, ring: KeyRing) -> Presence:
    """Which keys are there that mailboxes of active people need.

    Every secret is opened: with 5,000 that takes 30 to 90 ms. Raises SecretLostError when there is
    no key at all.
    """
    ring = ring.as_of_now()
    active = select(User.id).where(User.active)
    rows = session.execute(_select(_MAILBOXES).where(Mailbox.user_id.in_(active))).all()
    lost = Counter(key_id_of(row.sealed) for row in rows if not _opens(ring, _MAILBOXES, row))
    return Presence(
        opened=len(rows) - lost.total(),
        lost=[
            LostKey(key_id, key_id in ring.keys, count)
            for key_id, count in sorted(lost.items(), key=lambda item: (len(item[0]), item[0]))
        ],
    )


def _sealed(session: Session, one: SealedColumn) -> Iterator[Row[Any]]:
    return iter(session.execute(_select(one).order_by(one.model.id)))


def _select(one: SealedColumn) -> Select[Any]:
    """Core rows: there may be thousands of them."""
    wanted = (one.model.id, one.model.uuid, one.model.address, one.column.label("sealed"))
    return cast(Select[Any], select(*wanted)).where(one.column != b"")


def _opens(ring: KeyRing, one: SealedColumn, row: Row[Any]) -> bool:
    try:
        ring.open(row.sealed, row.uuid, one.field)
    except SecretLostError:
        return False
    return True
