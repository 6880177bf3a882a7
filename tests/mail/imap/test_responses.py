"""What responses mean, and what is not believed."""

from datetime import UTC, datetime

import pytest

from mail.imap import responses
from mail.imap.responses import NO_DATE, Atom


@pytest.mark.parametrize(
    ("text", "date"),
    [
        (b"17-Jul-1996 02:44:25 -0700", datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)),
        (b" 1-jan-2026 00:00:00 +0000", datetime(2026, 1, 1, tzinfo=UTC)),
        (b"1-Jan-2026 00:00:60 +0530", datetime(2025, 12, 31, 18, 30, 59, tzinfo=UTC)),
        (b"31-Dec-9999 23:59:59 -1200", NO_DATE),
        (b"00-Jan-1900 00:00:00 +0000", NO_DATE),
        (b"30-Feb-2026 00:00:00 +0000", NO_DATE),
        (b"17-Xyz-1996 02:44:25 -0700", NO_DATE),
        (b"17-Jul-1996 02:44:25 +9999", NO_DATE),
        (b"yesterday", NO_DATE),
        (b"", NO_DATE),
    ],
)
def test_internal_dates(text: bytes, date: datetime) -> None:
    assert responses.internal_date(text) == date


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b"1 (UID 5 FLAGS (\\Seen $Label1))", (5, frozenset({"\\Seen", "$Label1"}))),
        (b"1 (FLAGS () UID 5)", (5, frozenset())),
        (b"1 (uid 5 flags (\\Seen \\Recent) MODSEQ (9))", (5, frozenset({"\\Seen"}))),
        (b"1 (UID 5 FLAGS (] NIL 7))", (5, frozenset({"]", "NIL", "7"}))),
        (b"1 (FLAGS (\\Seen))", None),
        (b"1 (UID 5)", None),
        (b'1 (UID 5 FLAGS ("x"))', None),
        (b"UID 5 FLAGS (x)", None),
    ],
)
def test_flags_are_read_without_the_parser(
    row: bytes, found: tuple[int, frozenset[str]] | None
) -> None:
    assert responses.plain_flags(row) == found


def test_a_uid_has_its_bounds_without_the_parser_too() -> None:
    with pytest.raises(ValueError, match="bounds"):
        responses.plain_flags(b"1 (UID 0 FLAGS ())")


@pytest.mark.parametrize(
    ("pieces", "uids"),
    [([b""], []), ([b"3 1 2"], [1, 2, 3]), ([b"2 1", b"3 2"], [1, 2, 3]), ([], [])],
)
def test_search_results(pieces: list[bytes], uids: list[int]) -> None:
    assert responses.numbers(pieces) == uids


@pytest.mark.parametrize("piece", [b"1 x", b"0", b"-1", b"1_0", b"4294967296", (b"{1}", b"1")])
def test_search_results_that_are_none(piece: bytes | tuple[bytes, bytes]) -> None:
    with pytest.raises((ValueError, TypeError)):
        responses.numbers([piece])


def test_a_folder_and_its_role() -> None:
    sent = responses.folder((b"\\HasNoChildren", b"\\SENT"), b"/", "Gesendet")
    assert (sent.role, sent.delimiter, sent.selectable) == ("sent", "/", True)
    parent = responses.folder((b"\\Noselect", b"\\All"), None, "x")
    assert (parent.role, parent.delimiter, parent.selectable) == ("all", None, False)
    assert not responses.folder((b"\\NonExistent",), b".", "x").selectable


@pytest.mark.parametrize(("atom", "name"), [(None, b"NIL"), (2024, b"2024"), (b"a", b"a")])
def test_names_that_look_like_something_else(atom: Atom, name: bytes) -> None:
    assert responses.folder_name(atom) == name


def test_a_status() -> None:
    items: dict[bytes, Atom] = {b"UIDVALIDITY": 7, b"MESSAGES": 3, b"UNSEEN": 1}
    status = responses.folder_status(items)
    assert (status.uid_validity, status.exists, status.unseen) == (7, 3, 1)
    assert (status.uid_next, status.highest_modseq) == (None, None)
    assert responses.folder_status({**items, b"HIGHESTMODSEQ": 0}).highest_modseq is None
    assert responses.folder_status({**items, b"HIGHESTMODSEQ": 9}).highest_modseq == 9


@pytest.mark.parametrize(
    "wrong",
    [
        {b"UIDVALIDITY": 0},
        {b"UIDVALIDITY": None},
        {b"UIDVALIDITY": b"7"},
        {b"UIDVALIDITY": 2**32},
        {b"MESSAGES": -1},
        {b"MESSAGES": (3,)},
        {b"UIDNEXT": 0},
        {b"HIGHESTMODSEQ": 2**63},
    ],
)
def test_a_status_that_is_none(wrong: dict[bytes, Atom]) -> None:
    items: dict[bytes, Atom] = {b"UIDVALIDITY": 7, b"MESSAGES": 3, b"UIDNEXT": 9}
    with pytest.raises(ValueError, match="bounds"):
        responses.folder_status({**items, **wrong})


@pytest.mark.parametrize("items", [None, b"x", 5, (b"UID",), ((b"UID",), 5)])
def test_a_list_that_holds_no_pairs(items: Atom) -> None:
    with pytest.raises((ValueError, TypeError)):
        responses.named(items)
