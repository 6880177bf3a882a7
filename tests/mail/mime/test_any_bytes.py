"""Whatever arrives is read or said to be unreadable, and what was read can be stored."""

import time
from collections.abc import Iterator
from dataclasses import astuple

from hypothesis import given, settings
from hypothesis import strategies as st

from mail.mime.message import ParsedMessage, UnparseableError
from mail.mime.parse import parse, part_content

SECONDS = 1.0
# What messages are made of, put together in any order, so that every rule is reached.
pieces = st.sampled_from(
    [
        b"Content-Type: ", b"multipart/mixed", b"multipart/digest", b"text/html", b"text/plain",
        b"message/rfc822", b"image/png", b"; boundary=b", b"\r\n--b\r\n", b"\r\n--b--\r\n",
        b"\r\n\r\n", b"\n", b"\r", b"\r\n ", b"Subject: ", b"From: ", b"To: ", b"Date: ",
        b"References: ", b"Message-ID: ", b"Content-ID: <1@x>\n", b"cid:1@x", b"=?utf-8?b?",
        b"=?koi8-r?q?", b"?=", b"=?", b"<a@b>", b'"', b"(", b")", b"<", b">", b";", b":", b",",
        b"\\", b"[", b"]", b"filename*0*=utf-8''", b"%", b"; filename=",
        b"Content-Disposition: attachment", b"Content-Transfer-Encoding: base64\n",
        b"Content-Transfer-Encoding: quoted-printable\n", b"; charset=", b"utf-7", b"utf-16",
        b"hz", b"iso-2022-jp", b"\x1b$B", b"\0", b"\xff", b"<p>", b"&#", b"<!--", b"</",
        b"; format=flowed", b"; delsp=yes", b"> ", b" \n", b"From bob Thu Jan 1",
        b"1 Jan 2026 99999999999:00 +99999999", "я".encode(), "\u202e".encode(),
    ]
)  # fmt: skip
mails = st.binary(max_size=300) | st.lists(pieces | st.binary(max_size=6), max_size=50).map(
    b"".join
)


def read(raw: bytes) -> ParsedMessage | None:
    try:
        return parse(raw)
    except UnparseableError:
        return None


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for inner in value:
            yield from texts(inner)


@settings(deadline=None, max_examples=400)
@given(mails)
def test_any_bytes_are_read_in_time_or_said_to_be_unreadable(raw: bytes) -> None:
    began = time.process_time()
    read(raw)
    assert time.process_time() - began < SECONDS


@settings(deadline=None, max_examples=400)
@given(mails)
def test_whatever_was_read_can_be_stored_and_shown(raw: bytes) -> None:
    message = read(raw)
    if message is None:
        return
    for text in texts(astuple(message)):
        assert "\0" not in text
        assert "\r" not in text
        text.encode()
    for text in texts(astuple(message)[:10] + astuple(message)[12:]):
        if text not in {message.text, message.html}:
            assert "\n" not in text
    assert len(message.preview) <= 200


@settings(deadline=None, max_examples=400)
@given(mails)
def test_every_part_that_is_listed_can_be_fetched(raw: bytes) -> None:
    message = read(raw)
    for part in message.parts if message else ():
        found, content = part_content(raw, part.path)
        assert len(content) == part.size == found.size
        assert not (part.is_attachment and part.is_inline_image)
        assert part.filename or not (part.is_attachment or part.is_inline_image)
