"""What we have + what the server says = what to do. Pure: no clock, no rows, no network."""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

FIRST_BATCH = 25
BATCH = 100
# A folder that loses this many messages at once, and more than half, is looked at a second time.
SUDDEN = 10


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that our rows keep (RFC 9051, section 2.3.2)."""

    seen: bool = False
    flagged: bool = False
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """The folder as the last visit that came to its end left it."""

    uid_validity: int | None
    uid_next: int | None
    highest_modseq: int | None
    total: int


@dataclass(frozen=True, slots=True)
class Announced:
    """The folder as the server announces it (SELECT or STATUS)."""

    uid_validity: int
    uid_next: int | None
    exists: int
    highest_modseq: int | None


class Visit(enum.Enum):
    NOTHING = "nothing"  # the server promises that all is as it was
    LOOK = "look"
    RENUMBERED = "renumbered"  # UIDVALIDITY changed: our UIDs mean nothing any more


def visit(known: Known, announced: Announced) -> Visit:
    """Whether a folder has to be looked into (RFC 9051, section 2.3.1.1; RFC 7162)."""
    if known.uid_validity is not None and known.uid_validity != announced.uid_validity:
        return Visit.RENUMBERED
    if announced.highest_modseq is None:
        return Visit.LOOK
    unchanged = (
        known.highest_modseq == announced.highest_modseq
        and known.uid_next == announced.uid_next
        and known.total == announced.exists
    )
    return Visit.NOTHING if unchanged else Visit.LOOK


@dataclass(frozen=True, slots=True)
class Plan:
    """``fetch`` is newest first; ``reflag`` holds only what differs."""

    fetch: tuple[int, ...]
    forget: tuple[int, ...]
    reflag: Mapping[int, Flags]
    sudden: bool

    @property
    def nothing_to_do(self) -> bool:
        return not (self.fetch or self.forget or self.reflag)


def plan(
    ours: Mapping[int, Flags],
    their_uids: Sequence[int],
    their_flags: Mapping[int, Flags],
    *,
    keep_flags: frozenset[int] = frozenset(),
) -> Plan:
    """Compares by UID.

    ``their_flags`` may cover only what changed. ``keep_flags`` are UIDs with a change of the
    employee's that the server has not been told yet. A UID that only ``their_flags`` names came
    while we asked; the next visit sees it.
    """
    theirs = set(their_uids)
    forget = tuple(sorted(uid for uid in ours if uid not in theirs))
    reflag = {
        uid: flags
        for uid, flags in their_flags.items()
        if uid in ours and uid in theirs and uid not in keep_flags and ours[uid] != flags
    }
    return Plan(
        fetch=tuple(sorted((uid for uid in theirs if uid not in ours), reverse=True)),
        forget=forget,
        reflag=reflag,
        sudden=_is_sudden(len(forget), len(ours)),
    )


def batches(uids: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The first page at once, the rest in larger steps; each is fetched and committed whole."""
    if uids:
        yield tuple(uids[:FIRST_BATCH])
    for start in range(FIRST_BATCH, len(uids), BATCH):
        yield tuple(uids[start : start + BATCH])


def _is_sudden(gone: int, had: int) -> bool:
    emptied = gone == had and had > 0
    return emptied or (gone >= SUDDEN and gone * 2 > had)
