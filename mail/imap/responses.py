"""What an IMAP server's responses mean, as values of ours. Pure.

The functions take the nested tuples that IMAPClient's parser makes of a response, believe
nothing, and raise ValueError (or TypeError) for whatever is not as RFC 9051 says.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, TypeAlias

Atom: TypeAlias = "int | bytes | tuple[Atom, ...] | None"

NUMBER_HIGHEST: Final = 2**32 - 1
MODSEQ_HIGHEST: Final = 2**63 - 1  # RFC 7162
# A date that cannot be read still belongs to a message that can.
NO_DATE: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ROLES: Final = {
    "\\all": "all",
    "\\archive": "archive",
    "\\drafts": "drafts",
    "\\flagged": "flagged",
    "\\junk": "junk",
    "\\sent": "sent",
    "\\trash": "trash",
}
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun",
         b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}  # fmt: skip
_DATE: Final = re.compile(
    rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"
)
# A FETCH response without strings and literals, as an answer to FETCH FLAGS is: read by
# expressions in a tenth of the parser's time.
_PLAIN_ROW: Final = re.compile(rb'\d+ \([^"{}]*\)')
_PLAIN_UID: Final = re.compile(rb"[( ]UID (\d{1,10})[ )]", re.IGNORECASE)
_PLAIN_FLAGS: Final = re.compile(rb"[( ]FLAGS \(([^()]*)\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """``role`` is what SPECIAL-USE (RFC 6154) says: all, archive, drafts, flagged, junk, sent,
    trash. ``delimiter`` is None in a store without a hierarchy."""

    name: str
    delimiter: str | None
    flags: frozenset[str]
    role: str | None
    selectable: bool


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """What SELECT, EXAMINE or STATUS says of a folder. ``unseen`` only STATUS says."""

    uid_validity: int
    uid_next: int | None
    exists: int
    highest_modseq: int | None
    unseen: int | None = None


@dataclass(frozen=True, slots=True)
class RemoteMessage:
    """``size`` in bytes, as announced; ``raw`` None when it was too large or is not to be had."""

    uid: int
    flags: frozenset[str]
    internal_date: datetime
    size: int
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Details:
    """What is asked of a message before its content."""

    flags: frozenset[str]
    internal_date: datetime
    size: int


def folder(attributes: Atom, delimiter: Atom, name: str) -> RemoteFolder:
    flags = flag_names(attributes)
    lower = {flag.lower() for flag in flags}
    return RemoteFolder(
        name=name,
        delimiter=None if delimiter is None else octets(delimiter).decode("ascii"),
        flags=flags,
        role=next((_ROLES[flag] for flag in sorted(lower) if flag in _ROLES), None),
        selectable=not lower & {"\\noselect", "\\nonexistent"},
    )


def folder_name(atom: Atom) -> bytes:
    """The name as the server wrote it: an unquoted one may look like a number or NIL."""
    if atom is None:
        return b"NIL"
    return str(atom).encode() if isinstance(atom, int) else octets(atom)


def folder_status(items: dict[bytes, Atom]) -> FolderStatus:
    """``items`` by their upper-case names; MESSAGES and EXISTS are the same."""
    exists = items.get(b"MESSAGES", items.get(b"EXISTS"))
    uid_next = items.get(b"UIDNEXT")
    unseen = items.get(b"UNSEEN")
    # 0 stands for a folder whose changes are not counted (RFC 7162, section 3.1.2.2).
    modseq = items.get(b"HIGHESTMODSEQ") or None
    return FolderStatus(
        uid_validity=number(items.get(b"UIDVALIDITY"), 1, NUMBER_HIGHEST),
        uid_next=None if uid_next is None else number(uid_next, 1, NUMBER_HIGHEST),
        exists=number(exists, 0, NUMBER_HIGHEST),
        highest_modseq=None if modseq is None else number(modseq, 1, MODSEQ_HIGHEST),
        unseen=None if unseen is None else number(unseen, 0, NUMBER_HIGHEST),
    )


def named(items: Atom) -> dict[bytes, Atom]:
    """A list of names and values, by the upper-case names."""
    if not isinstance(items, tuple) or len(items) % 2:
        raise ValueError("not a list of pairs")
    pairs = zip(items[::2], items[1::2], strict=True)
    return {octets(name).upper(): value for name, value in pairs}


def number(value: Atom, least: int, most: int) -> int:
    if isinstance(value, int) and least <= value <= most:
        return value
    raise ValueError("not a number in its bounds")


def numbers(pieces: Iterable[bytes | tuple[bytes, bytes]]) -> list[int]:
    """The UIDs of SEARCH responses, ascending, once each."""
    found = set()
    for piece in pieces:
        for word in octets(piece).split():
            if not word.isdigit():
                raise ValueError("not a UID")
            found.add(number(int(word), 1, NUMBER_HIGHEST))
    return sorted(found)


def flag_names(flags: Atom) -> frozenset[str]:
    """Flags as text, without \\Recent, which is this connection's and not the message's."""
    if not isinstance(flags, tuple):
        raise TypeError("flags are a list")
    return _flags(folder_name(flag) for flag in flags)


def plain_flags(row: bytes) -> tuple[int, frozenset[str]] | None:
    """UID and flags of a FETCH response that is simple enough; else None."""
    uid, flags = _PLAIN_UID.search(row), _PLAIN_FLAGS.search(row)
    if not (_PLAIN_ROW.fullmatch(row) and uid and flags):
        return None
    return number(int(uid[1]), 1, NUMBER_HIGHEST), _flags(flags[1].split())


def details(items: dict[bytes, Atom]) -> Details:
    return Details(
        flags=flag_names(items.get(b"FLAGS")),
        internal_date=internal_date(octets(items.get(b"INTERNALDATE"))),
        size=number(items[b"RFC822.SIZE"], 0, MODSEQ_HIGHEST),
    )


def internal_date(text: bytes) -> datetime:
    """``17-Jul-1996 02:44:25 -0700`` in UTC; 1970 when it is no date."""
    found = _DATE.fullmatch(text)
    if found is None:
        return NO_DATE
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = found.groups()
    offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    try:
        zone = timezone(-offset if sign == b"-" else offset)
        time = (int(hour), int(minute), min(int(second), 59))  # 60 is a leap second
        date = datetime(int(year), _MONTHS[month.lower()], int(day), *time, tzinfo=zone)
        return date.astimezone(UTC)
    except (ValueError, KeyError, OverflowError):
        return NO_DATE


def _flags(names: Iterable[bytes]) -> frozenset[str]:
    found = (name.decode("ascii", "replace") for name in names)
    return frozenset(flag for flag in found if flag.lower() != "\\recent")


def octets(atom: Atom) -> bytes:
    """A string, of any kind."""
    if isinstance(atom, bytes):
        return atom
    raise TypeError("not a string")
