"""Message-ID, In-Reply-To, References."""

import pytest

from mail.mime.headers import IDENTIFIER_LONGEST, REFERENCES_MOST, identifier, identifiers
from tests.mail.mime.samples import read


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"<1@firm.test>", "<1@firm.test>"),
        (b"  <1@firm.test> (comment)", "<1@firm.test>"),
        (b"Bob's of Monday <1@firm.test>", "<1@firm.test>"),
        (b"<1@firm.test> <2@firm.test>", "<1@firm.test>"),
        (b"<no-at-sign>", "<no-at-sign>"),
        (b"<a=b$c@[127.0.0.1]>", "<a=b$c@[127.0.0.1]>"),
        (b"1@firm.test", "<1@firm.test>"),
        (b"nothing", ""),
        (b"<[", ""),
        (b"<>", ""),
        (b"<a b@c>", ""),
        (b"<a\0b@c>", ""),
        (b"<\xd0\xaf@firm.test>", ""),
        (b"", ""),
    ],
)
def test_an_identifier_is_read(value: bytes, found: str) -> None:
    assert identifier(value) == found


def test_an_identifier_that_fits_in_no_line_is_none() -> None:
    longest = "a" * (IDENTIFIER_LONGEST - 2)
    assert identifier(f"<{longest}>".encode()) == f"<{longest}>"
    assert identifier(f"<{longest}a>".encode()) == ""


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], ()),
        ([b"<1@x> <2@x>"], ("<1@x>", "<2@x>")),
        ([b"<1@x><2@x>,\t<3@x>"], ("<1@x>", "<2@x>", "<3@x>")),
        ([b"<1@x> <2@x> <1@x>"], ("<1@x>", "<2@x>")),
        ([b"<1@x>", b"<2@x>"], ("<1@x>", "<2@x>")),
        ([b"<1@x> broken <2 @x> <3@x>"], ("<1@x>", "<3@x>")),
    ],
)
def test_references_are_read_in_their_order_and_each_once(
    values: list[bytes], found: tuple[str, ...]
) -> None:
    assert identifiers(values) == found


def test_of_too_many_references_the_first_and_the_last_remain() -> None:
    every = [f"<{number}@x>" for number in range(REFERENCES_MOST + 50)]
    found = identifiers([" ".join(every).encode()])
    assert len(found) == REFERENCES_MOST
    assert found == (every[0], *every[51:])


def test_a_message_says_to_which_conversation_it_belongs() -> None:
    message = read("Message-ID: <3@x>", "In-Reply-To: <2@x> <0@x>", "References: <1@x>\r\n\t<2@x>")
    assert message.message_id == "<3@x>"
    assert message.in_reply_to == "<2@x>"
    assert message.references == ("<1@x>", "<2@x>")
