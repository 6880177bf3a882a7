"""From, To and the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.address_lists import split_addresses
from mail.mime.message import Address
from tests.mail.mime.samples import ALICE, BOB, CAROL, patiently, read


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", []),
        ("bob@firm.test", [("", "bob@firm.test")]),
        ("Bob <bob@firm.test>", [("Bob", "bob@firm.test")]),
        ("<bob@firm.test>", [("", "bob@firm.test")]),
        ("bob@firm.test (Bob)", [("Bob", "bob@firm.test")]),
        ('"Smith, Bob" <bob@firm.test>', [("Smith, Bob", "bob@firm.test")]),
        (r'"B \"x\" \\" <bob@firm.test>', [('B "x" \\', "bob@firm.test")]),
        ("a@x.test, B <b@x.test>,, c@x.test,", [("", "a@x.test"), ("B", "b@x.test"),
            ("", "c@x.test")]),
        ("team: a@x.test, B <b@x.test>;, c@x.test", [("", "a@x.test"), ("B", "b@x.test"),
            ("", "c@x.test")]),
        ("undisclosed-recipients:;", []),
        ("a..b@x.test", [("", "a..b@x.test")]),
        ('"a b"@x.test', [("", '"a b"@x.test')]),
        ("bob@[127.0.0.1]", [("", "bob@[127.0.0.1]")]),
        ("Иван <ivan@почта.рф>", [("Иван", "ivan@почта.рф")]),
        ("Bob <bob@firm.test", [("Bob", "bob@firm.test")]),
        ("Bob <>", [("Bob", "")]),
        ("Bob", [("", "Bob")]),
    ],
)  # fmt: skip
def test_a_list_of_addresses_is_split(line: str, found: list[tuple[str, str]]) -> None:
    assert split_addresses([line]) == found


def test_several_lines_are_one_list() -> None:
    assert split_addresses(["a@x.test", "b@x.test"]) == [("", "a@x.test"), ("", "b@x.test")]


@pytest.mark.parametrize("line", ["<", "(" * 50_000, "a:" * 50_000, '"' * 50_000, "<[", ")" * 99])
def test_what_is_no_list_is_empty(line: str) -> None:
    assert split_addresses([line]) == []


@patiently
@given(st.lists(st.text(max_size=60) | st.text('ab@<>,;:()[]"\\. ', max_size=60), max_size=5))
def test_any_lines_are_split(lines: list[str]) -> None:
    for name, address in split_addresses(lines):
        assert name or address


@pytest.mark.parametrize(
    "line",
    [
        "=?utf-8?b?0JjQstCw0L0=?= <ivan@firm.test>",
        '"=?utf-8?b?0JjQstCw0L0=?=" <ivan@firm.test>',
        "=?koi8-r?q?=E9=D7=C1=CE?= <ivan@firm.test>",
        "=?utf-8?b?0JjQ?=\r\n =?utf-8?b?stCw0L0=?= <ivan@firm.test>",
        "ivan@firm.test (=?utf-8?b?0JjQstCw0L0=?=)",
        "Иван <ivan@firm.test>",
        "Иван <ivan@firm.test>".encode("koi8-r"),
        "Иван <ivan@firm.test>".encode("cp1251"),
    ],
)
def test_a_name_in_russian_is_read(line: str | bytes) -> None:
    field = b"From: " + (line if isinstance(line, bytes) else line.encode())
    said = "koi8-r" if isinstance(line, bytes) and b"\xe9\xd7" in line else "windows-1251"
    message = read(field, f"Content-Type: text/plain; charset={said}")
    assert message.sender == (Address("Иван", "ivan@firm.test"),)


def test_a_comma_inside_an_encoded_word_does_not_split_a_name() -> None:
    message = read("To: =?utf-8?q?Smith=2C_Bob?= <bob@firm.test>, Carol <carol@firm.test>")
    assert message.to == (Address("Smith, Bob", "bob@firm.test"), CAROL)


def test_an_encoded_word_cannot_pretend_to_be_another_address() -> None:
    message = read("From: =?utf-8?q?alice=40firm.test=3E=2C?= <mallory@evil.test>")
    assert [person.address for person in message.sender] == ["mallory@evil.test"]


def test_every_field_of_people_is_read() -> None:
    message = read(
        "From: Alice <alice@firm.test>", "Reply-To: Bob <bob@firm.test>",
        "To: Carol <carol@firm.test>", "Cc: Alice <alice@firm.test>", "Bcc: Bob <bob@firm.test>",
        "To: Bob <bob@firm.test>",
    )  # fmt: skip
    assert (message.sender, message.reply_to) == ((ALICE,), (BOB,))
    assert (message.to, message.cc, message.bcc) == ((CAROL, BOB), (ALICE,), (BOB,))


def test_names_and_addresses_hold_no_line_ends_and_no_control_or_direction_characters() -> None:
    message = read('From: "=?utf-8?q?B=00o=0D=0Ab=E2=80=AE?=" <bob\x01@firm\u202e.test>')
    assert message.sender == (Address("Bo  b", "bob@firm.test"),)
