"""The change log: who changed what, chained so that a missing or altered entry is noticed."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, Select, String, exists, func, literal, select, tuple_
from sqlalchemy import cast as as_type
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models.changelog import ChangeLogEntry, ChangeLogHead
from models.people import User
from models.services import MailService

PAGE = 50
BATCH = 500
_FIRST = "0" * 64
# What reading a row raises when somebody wrote into it what no column of ours holds.
_UNREADABLE = (ValueError, TypeError, DBAPIError)

_COLUMNS = (
    ChangeLogEntry.id,
    ChangeLogEntry.at,
    ChangeLogEntry.author_name,
    ChangeLogEntry.action,
    ChangeLogEntry.subject,
    ChangeLogEntry.subject_name,
    ChangeLogEntry.changes,
)
_NEWEST_FIRST = cast(Select[Any], select(*_COLUMNS)).order_by(
    ChangeLogEntry.at.desc(), ChangeLogEntry.id.desc()
)
_IN_CHAIN = (
    cast(
        Select[Any],
        select(
            *_COLUMNS, ChangeLogEntry.mac, ChangeLogEntry.author_id, User.name.label("person_name")
        ),
    )
    .outerjoin(User, User.id == ChangeLogEntry.author_id)
    .order_by(ChangeLogEntry.id)
)


@dataclass(frozen=True)
class Author:
    """Who changes something, when, and the key that their entries are chained with."""

    name: str
    user_id: int | None
    now: datetime
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Writer:
    """Who stands in the log: a person, or the name alone of one who is gone; "" is the console."""

    user_id: int | None
    name: str


@dataclass(frozen=True, slots=True)
class LoggedService:
    """``deleted_at`` is None for one that the company still has."""

    id: int
    name: str
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries are wanted: from ``since`` on, and up to but without ``before``."""

    writer: Writer | None = None
    subject: str = ""
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """The place of an entry, newest first; the id parts what was written at the same moment."""

    at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    """``more`` says whether older entries follow; ``last`` is the key to go on after.

    Of ``unreadable`` ids the row has nothing but the id: somebody wrote into it past the product.
    """

    rows: Sequence[Row[Any]]
    more: bool
    unreadable: frozenset[int] = frozenset()

    @property
    def last(self) -> Key | None:
        placed = [row for row in self.rows if _has_place(row)]
        return Key(placed[-1].at, placed[-1].id) if placed else None


def service_subject(service_id: int | str) -> str:
    """What entries about a service have as their subject."""
    return f"service:{service_id}"


def record(
    session: Session,
    by: Author,
    action: str,
    *,
    subject: str,
    subject_name: str,
    changes: Mapping[str, tuple[object, object]],
) -> ChangeLogEntry:
    """Appends an entry. ``subject`` is a kind and an id, such as ``service:7``. Never a secret."""
    entry = ChangeLogEntry(
        at=by.now,
        author_id=by.user_id,
        author_name=by.name,
        action=action,
        subject=subject,
        subject_name=subject_name,
        changes={name: [old, new] for name, (old, new) in changes.items()},
    )
    entry.mac = _mac(by.key, _last_mac(session), entry)
    session.add(entry)
    head = session.get_one(ChangeLogHead, 1)
    head.entries += 1
    head.mac = head_mac(by.key, head.entries, entry.mac)
    session.flush()
    return entry


def page(session: Session, filters: Filters, *, after: Key | None = None, most: int = PAGE) -> Page:
    """The next entries, read along an index: the cost does not grow with the log."""
    wanted = _NEWEST_FIRST.where(*_conditions(filters, after)).limit(most + 1)
    try:
        found = session.execute(wanted).all()
    except _UNREADABLE:
        ids = session.execute(wanted.with_only_columns(ChangeLogEntry.id)).all()
        found = [_row(session, one) for one in ids]
    more, found = len(found) > most, found[:most]
    unreadable = frozenset(row.id for row in found if not _is_readable(row))
    more = more and any(map(_has_place, found))
    while more and not _has_place(found[-1]):
        found = found[:-1]  # the next page goes on after a place, and begins with these
    return Page(found, more=more, unreadable=unreadable)


def _row(session: Session, only_id: Row[Any]) -> Row[Any]:
    """The whole row, or as much of it as can be read."""
    for columns in (_COLUMNS, (ChangeLogEntry.id, ChangeLogEntry.at)):
        wanted = cast(Select[Any], select(*columns)).where(ChangeLogEntry.id == only_id.id)
        with suppress(*_UNREADABLE):
            return session.execute(wanted).one()
    return only_id


def _has_place(row: Row[Any]) -> bool:
    return isinstance(getattr(row, "at", None), datetime)


def _is_readable(row: Row[Any]) -> bool:
    """Whether it is whole and each change is a pair, as ``record`` writes them."""
    changes = getattr(row, "changes", None)
    return (
        isinstance(changes, dict)
        and _has_place(row)
        and all(isinstance(pair, list) and len(pair) == 2 for pair in changes.values())
    )


def writers(session: Session) -> list[Writer]:
    """Everybody who stands in the log, by name; one look into an index for each."""
    people = session.execute(
        select(User.id, User.name).where(exists().where(ChangeLogEntry.author_id == User.id))
    )
    found = [Writer(user_id, name) for user_id, name in people]
    found += [Writer(None, name) for name in _names_without_person(session)]
    return sorted(found, key=lambda writer: (writer.name.casefold(), writer.user_id or 0))


def logged_services(session: Session) -> list[LoggedService]:
    """The services that stand in the log, by name, deleted ones too."""
    subject = literal(service_subject("")) + as_type(MailService.id, String)
    rows = session.execute(
        select(MailService.id, MailService.name, MailService.deleted_at)
        .where(exists().where(ChangeLogEntry.subject == subject))
        .order_by(MailService.name_key, MailService.id)
    )
    return [LoggedService(*row) for row in rows]


def first_broken(session: Session, key: bytes) -> int | None:
    """The id of the first entry that does not follow from the one before; None when all do.

    Entries are read in batches: the log may be larger than the memory. Whatever somebody wrote
    into a row is an answer, never an exception.
    """
    previous = _FIRST
    for entry_id, entry in _chain(session):
        if entry is None or not _follows(entry, previous, key):
            return entry_id
        previous = entry.mac
    return None


def ends_as_written(session: Session, key: bytes) -> bool:
    """Whether the newest entry is the last that was written; older ones are ``first_broken``'s."""
    try:
        head = session.execute(select(ChangeLogHead.entries, ChangeLogHead.mac)).one_or_none()
        if head is None:
            return False
        entries = session.scalar(select(func.count()).select_from(ChangeLogEntry)) or 0
        wanted = head_mac(key, entries, _last_mac(session))
        return head.entries == entries and hmac.compare_digest(head.mac.encode(), wanted.encode())
    except (*_UNREADABLE, AttributeError):
        return False


def head_mac(key: bytes, entries: int, newest: str) -> str:
    # Another first word than an entry's: neither can be taken for the other.
    return hmac.new(key, f"head {entries} {newest}".encode(), hashlib.sha256).hexdigest()


def _conditions(filters: Filters, after: Key | None) -> Iterator[ColumnElement[bool]]:
    writer = filters.writer
    if writer is not None and writer.user_id is not None:
        yield ChangeLogEntry.author_id == writer.user_id
    elif writer is not None:
        yield ChangeLogEntry.author_id.is_(None)
        yield ChangeLogEntry.author_name == writer.name
    if filters.subject:
        yield ChangeLogEntry.subject == filters.subject
    if filters.since is not None:
        yield ChangeLogEntry.at >= filters.since
    # One upper end: of two, SQLite would walk the index from whichever it likes.
    if after is not None and (filters.before is None or after.at < filters.before):
        place = tuple_(ChangeLogEntry.at, ChangeLogEntry.id)
        yield place < tuple_(
            literal(after.at, ChangeLogEntry.at.type), literal(after.id, ChangeLogEntry.id.type)
        )
    elif filters.before is not None:
        yield ChangeLogEntry.at < filters.before


def _names_without_person(session: Session) -> Iterator[str]:
    """From each name to the next along the index: DISTINCT would read every entry."""
    name_of = ChangeLogEntry.author_name
    alone = select(name_of).where(ChangeLogEntry.author_id.is_(None)).order_by(name_of).limit(1)
    name = session.scalar(alone)
    while name is not None:
        yield name
        name = session.scalar(alone.where(name_of > name))


def _chain(session: Session) -> Iterator[tuple[int, Row[Any] | None]]:
    """Every entry in the order in which it was written; None for one that cannot be read."""
    last: int | None = None
    most = BATCH
    while True:
        beyond = [] if last is None else [ChangeLogEntry.id > last]
        try:
            batch = session.execute(_IN_CHAIN.where(*beyond).limit(most)).all()
        except _UNREADABLE:
            if most == 1:
                yield (
                    session.scalars(select(func.min(ChangeLogEntry.id)).where(*beyond)).one(),
                    None,
                )
                return
            most = 1  # to find out which one it is
            continue
        if not batch:
            return
        for entry in batch:
            yield entry.id, entry
        last = batch[-1].id


def _follows(entry: Row[Any], previous: str, key: bytes) -> bool:
    # The code does not cover the author's id, but nobody is ever renamed: it has to be the id of
    # somebody of that name. Of NULL nothing can be said, for people are removed.
    if entry.author_id is not None and entry.person_name != entry.author_name:
        return False
    try:
        return hmac.compare_digest(entry.mac.encode(), _mac(key, previous, entry).encode())
    except (ValueError, TypeError, AttributeError):  # bytes or a number where text belongs
        return False


def _last_mac(session: Session) -> str:
    newest = select(ChangeLogEntry.mac).order_by(ChangeLogEntry.id.desc()).limit(1)
    return session.scalar(newest) or _FIRST


def _mac(key: bytes, previous: str, entry: ChangeLogEntry | Row[Any]) -> str:
    # The author's id is left out: it becomes NULL when the person is removed. The time is taken in
    # UTC, as it will be read back.
    content: list[Any] = [
        previous,
        entry.at.astimezone(UTC).isoformat(),
        entry.author_name,
        entry.action,
        entry.subject,
        entry.subject_name,
        entry.changes,
    ]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
