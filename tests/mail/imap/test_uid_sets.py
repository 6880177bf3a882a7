"""Sets of UIDs and portions of messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.imap.uid_sets import SET_LONGEST, UIDS_MOST, portions, uid_sets


@pytest.mark.parametrize(
    ("uids", "sets"),
    [
        ([], []),
        ([7], ["7"]),
        ([7, 2, 3, 1, 3], ["1:3,7"]),
        ([1, 2], ["1:2"]),
        ([4294967295], ["4294967295"]),
        (range(1, UIDS_MOST + 1), [f"1:{UIDS_MOST}"]),
        (range(1, UIDS_MOST + 3), [f"1:{UIDS_MOST}", f"{UIDS_MOST + 1}:{UIDS_MOST + 2}"]),
    ],
)
def test_numbers_become_ranges(uids: list[int], sets: list[str]) -> None:
    assert list(uid_sets(uids)) == sets


@pytest.mark.parametrize("uid", [0, -1, 2**32])
def test_what_cannot_be_a_uid_is_refused(uid: int) -> None:
    with pytest.raises(ValueError, match="a UID is a number"):
        list(uid_sets([5, uid]))


@given(st.sets(st.integers(1, 20_000)) | st.sets(st.integers(1, 2**32 - 1)))
def test_sets_hold_every_uid_once_within_their_limits(uids: set[int]) -> None:
    found: list[int] = []
    for text in uid_sets(uids):
        members = _members(text)
        assert len(members) <= UIDS_MOST
        assert len(text) <= SET_LONGEST
        found += members
    assert found == sorted(uids)


def test_scattered_uids_keep_a_command_short() -> None:
    sets = list(uid_sets(range(4_000_000_000, 4_000_020_000, 2)))
    assert len(sets) > 2
    assert max(map(len, sets)) <= SET_LONGEST
    assert sum(len(_members(text)) for text in sets) == 10_000


def test_portions_end_at_a_number_and_at_a_size() -> None:
    sizes = {1: 10, 2: 10, 3: 10, 4: 95, 5: 500, 6: 1}
    assert list(portions(sizes, 2, 100)) == [[1, 2], [3], [4], [5], [6]]
    assert list(portions({}, 2, 100)) == []


def _members(text: str) -> list[int]:
    members: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        members += range(int(first), int(last or first) + 1)
    return members
