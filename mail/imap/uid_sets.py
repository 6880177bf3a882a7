"""Sets of UIDs as commands carry them, and messages in portions. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

UID_HIGHEST: Final = 2**32 - 1
UIDS_MOST: Final = 5_000  # per command: servers refuse a list of 20,000
# RFC 2683, section 3.2.1.5: servers should take command lines of 8,000 bytes.
SET_LONGEST: Final = 7_500


def uid_sets(uids: Iterable[int]) -> Iterator[str]:
    """``[7, 2, 3, 1]`` becomes ``1:3,7``: sorted, once each, in as many sets as limits demand.

    Raises ValueError for what cannot be a UID (RFC 9051: 1 to 2³² - 1).
    """
    parts: list[str] = []
    held = length = 0
    for first, last in _ranges(sorted(set(uids))):
        part = str(first) if first == last else f"{first}:{last}"
        if parts and (held + last - first >= UIDS_MOST or length + len(part) >= SET_LONGEST):
            yield ",".join(parts)
            parts, held, length = [], 0, 0
        parts.append(part)
        held += last - first + 1
        length += len(part) + 1
    if parts:
        yield ",".join(parts)


def _ranges(uids: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, none with more than ``UIDS_MOST`` of them."""
    if uids and not (uids[0] >= 1 and uids[-1] <= UID_HIGHEST):
        raise ValueError("a UID is a number from 1 to 4294967295")
    start = 0
    for place in range(1, len(uids) + 1):
        ends = place == len(uids) or uids[place] != uids[place - 1] + 1
        if ends or place - start == UIDS_MOST:
            yield uids[start], uids[place - 1]
            start = place


def portions(sizes: Mapping[int, int], most: int, most_bytes: int) -> Iterator[list[int]]:
    """UIDs in groups of at most ``most`` whose sizes add up to at most ``most_bytes``.

    One that is larger than that stands alone.
    """
    portion: list[int] = []
    total = 0
    for uid, size in sizes.items():
        if portion and (len(portion) == most or total + size > most_bytes):
            yield portion
            portion, total = [], 0
        portion.append(uid)
        total += size
    if portion:
        yield portion
