"""Multiparts: their leaves, their numbers, and their limits."""

import pytest

from mail.mime.message import UnparseableError
from mail.mime.parse import parse
from mail.mime.structure import DEEPEST, PARTS_MOST, leaves
from tests.mail.mime.samples import mail, multipart

ONE = mail("X-Name: one", body="1")
TWO = mail("X-Name: two", body="2")
HEAD = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def bodies(raw: bytes) -> list[tuple[str, bytes]]:
    return [(leaf.path, leaf.content) for leaf in leaves(raw)[1]]


def nested(depth: int) -> bytes:
    raw = mail(body="deep")
    for level in range(depth):
        raw = multipart(raw, boundary=f"b{level}x")
    return raw


def test_the_leaves_are_numbered_as_imap_does() -> None:
    raw = multipart(multipart(ONE, TWO, boundary="i", kind="alternative"), mail(body="3"))
    assert bodies(raw) == [("1.1", b"1"), ("1.2", b"2"), ("2", b"3")]
    assert bodies(mail(body="alone")) == [("1", b"alone")]


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
        b"--b\n\none\n--b\n\ntwo\n--b--\n",
        b"--b\r\rone\r--b\r\rtwo\r--b--\r",
        b"--b\r\n\r\none\r--b\n\ntwo\n--b--",
        b"--b\n\none\r--b\r\rtwo\r\n--b--\r--b\rno",
        b"preamble\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\nepilogue\r\n--b\r\n\r\nno",
        b"--b \t\r\n\r\none\r\n--b\t\r\n\r\ntwo\r\n--b-- \r\n",
        b"--b\r\n\r\none\r\n--b\r\n\r\ntwo",
        b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--",
    ],
)
def test_the_parts_lie_between_the_lines_of_the_boundary(body: bytes) -> None:
    assert bodies(HEAD + body) == [("1", b"one"), ("2", b"two")]


def test_a_line_that_only_begins_like_the_boundary_is_text() -> None:
    body = b"--b\r\n\r\n--bb\r\n x--b\r\n--b-\r\n--b--\r\n"
    assert bodies(HEAD + body) == [("1", b"--bb\r\n x--b\r\n--b-")]


def test_a_part_keeps_the_line_ends_that_are_its_own() -> None:
    assert bodies(HEAD + b"--b\r\n\r\n\r\none\r\n\r\n--b--") == [("1", b"\r\none\r\n")]


@pytest.mark.parametrize("boundary", ["a b", "=_(x)+?'.*[", "я", "a\\\\b"])
def test_any_characters_may_be_in_a_boundary(boundary: str) -> None:
    sent = boundary.replace("\\\\", "\\")
    head = f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'
    assert bodies(f"{head}--{sent}\r\n\r\none\r\n--{sent}--".encode()) == [("1", b"one")]


@pytest.mark.parametrize(
    "head", [b"multipart/mixed", b"multipart/mixed; boundary=", b"multipart/mixed; boundary=x"]
)
def test_a_multipart_whose_parts_are_not_found_is_text(head: bytes) -> None:
    raw = b"Content-Type: " + head + b"\r\n\r\n--b\r\n\r\none\r\n"
    assert parse(raw).text == "--b\n\none"


@pytest.mark.parametrize("said", ["", "Content-Type: \r\n", "Content-Type: text\r\n"])
def test_a_part_without_a_type_is_text_and_in_a_digest_a_message(said: str) -> None:
    part = f"{said}\r\nSubject: x\r\n".encode()
    assert leaves(multipart(part))[1][0].kind == "text/plain"
    assert leaves(multipart(part, kind="digest"))[1][0].kind == "message/rfc822"


def test_multiparts_as_deep_as_allowed_are_read_and_deeper_ones_refused() -> None:
    assert parse(nested(DEEPEST)).text == "deep"
    for depth in (DEEPEST + 1, 5_000):
        with pytest.raises(UnparseableError) as caught:
            parse(nested(depth))
        assert str(DEEPEST) in caught.value.reason


def test_as_many_parts_as_allowed_are_read_and_more_refused() -> None:
    assert len(parse(multipart(*[ONE] * PARTS_MOST)).parts) == PARTS_MOST
    with pytest.raises(UnparseableError) as caught:
        parse(multipart(*[ONE] * (PARTS_MOST + 1)))
    assert str(PARTS_MOST) in caught.value.reason
