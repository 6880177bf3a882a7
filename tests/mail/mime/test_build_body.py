"""The text of a message of ours on its way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.build import build
from mail.mime.parse import parse
from tests.mail.mime.samples import outgoing, patiently

pieces = st.sampled_from(
    ["From ", ".", "\n", "\r\n", "\r", " ", "\t", "=", "x" * 200, "я", "> ", "-- \n", "--b", "\0"]
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.lists(
    pieces, max_size=40
).map("".join)


def body(text: str) -> tuple[str, bytes]:
    head, _, content = build(outgoing(text=text)).partition(b"\r\n\r\n")
    encoding = head.rpartition(b"Content-Transfer-Encoding: ")[2]
    return encoding.decode(), content


@pytest.mark.parametrize(
    ("text", "encoding", "content"),
    [
        ("", "7bit", b"\r\n"),
        ("a\n\nb\n", "7bit", b"a\r\n\r\nb\r\n"),
        ("a", "7bit", b"a\r\n"),
        ("a\r\nb\rc", "7bit", b"a\r\nb\r\nc\r\n"),
        (".\n..\n.a", "7bit", b".\r\n..\r\n.a\r\n"),
        ("a From b", "7bit", b"a From b\r\n"),
        ("x" * 998, "7bit", b"x" * 998 + b"\r\n"),
        ("Я", "quoted-printable", b"=D0=AF\r\n"),
        ("Я=\n ", "quoted-printable", b"=D0=AF=3D\r\n=20\r\n"),
        ("From Bob", "quoted-printable", b"=46rom Bob\r\n"),
        (">From Bob\nFrom", "7bit", b">From Bob\r\nFrom\r\n"),
        ("a \nb", "quoted-printable", b"a=20\r\nb\r\n"),
        ("a b\t", "quoted-printable", b"a b=09\r\n"),
        ("-- \nBob", "quoted-printable", b"--=20\r\nBob\r\n"),
        ("a\0b", "quoted-printable", b"a=00b\r\n"),
        ("\ud800", "7bit", b"?\r\n"),
    ],
)
def test_a_text_is_encoded_only_where_it_must_be(text: str, encoding: str, content: bytes) -> None:
    assert body(text) == (encoding, content)


def test_a_line_beyond_998_characters_is_broken_softly() -> None:
    encoding, content = body("x" * 999)
    assert encoding == "quoted-printable"
    assert max(map(len, content.split(b"\r\n"))) == 76
    assert content.replace(b"=\r\n", b"") == b"x" * 999 + b"\r\n"


def test_a_soft_break_does_not_bring_from_to_the_beginning_of_a_line() -> None:
    for length in range(60, 80):
        encoding, content = body("я\n" + "x" * length + "From Bob")
        assert encoding == "quoted-printable"
        assert not any(line.startswith(b"From ") for line in content.split(b"\r\n"))


@patiently
@given(texts)
def test_every_body_survives_every_way(text: str) -> None:
    encoding, content = body(text)
    assert content.isascii()
    assert content.endswith(b"\r\n")
    lines = content.removesuffix(b"\r\n").split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert not any(line.startswith(b"From ") or line.endswith((b" ", b"\t")) for line in lines)
    assert max(map(len, lines)) <= (998 if encoding == "7bit" else 76)


@patiently
@given(texts)
def test_every_text_comes_back(text: str) -> None:
    expected = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").rstrip("\n")
    assert parse(build(outgoing(text=text))).text == (expected if expected.strip() else "")
