"""Content-Transfer-Encoding, undone."""

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.transfer import decode_base64, decode_transfer
from tests.mail.mime.samples import patiently


@pytest.mark.parametrize(
    ("body", "decoded"),
    [
        (b"a=3Db", b"a=b"),
        (b"=d0=af", "Я".encode()),
        (b"a=\r\nb", b"ab"),
        (b"a=\nb", b"ab"),
        (b"a=20\r\nb", b"a \r\nb"),
        # wrong, and read all the same
        (b"a= \t\r\nb", b"ab"),
        (b"a=\rb=\rc", b"abc"),
        (b"a=", b"a"),
        (b"a=XX=4", b"a=XX=4"),
        (b"\xff=\xff", b"\xff=\xff"),
    ],
)
def test_quoted_printable_is_decoded(body: bytes, decoded: bytes) -> None:
    assert decode_transfer(body, "quoted-printable") == decoded


@pytest.mark.parametrize(
    ("body", "decoded"),
    [
        (b"YWJj", b"abc"),
        (b"YW\r\nJj\r\n", b"abc"),
        (b"YWI=", b"ab"),
        # wrong, and read all the same
        (b"YWI", b"ab"),
        (b"Y*W-J j", b"abc"),
        (b"YWJjY", b"abc"),
        (b"YWI=\r\n-- \r\nlist", b"ab"),
        (b"YWI=\r\nSent from my phone", b"ab"),
        (b"YWI=\r\n\r\n", b"ab"),
        (b"=YWJj", b"abc"),
        # one behind the other, each with its padding
        (b"YWI=YWI=", b"abab"),
        (b"YQ==\r\nYWI=\r\nYWJj\r\n", b"aababc"),
        (b"YWJj\r\nYQ==\r\nYW\r\nI=\r\n", b"abcaab"),
        (b"YWI=YW", b"aba"),
        (b"YWI=YWI=Y", b"abab"),
        (b"YWI=\r\nYWI=\r\n \r\n", b"abab"),
        (b"YWI=====YWI=", b"ab"),
        (b"=", b""),
        (b"", b""),
    ],
)
def test_base64_is_decoded(body: bytes, decoded: bytes) -> None:
    assert decode_base64(body) == decoded
    assert decode_transfer(body, "base64") == decoded


@pytest.mark.parametrize(
    "encoding", ["base64", " BASE64 ", "Base64;", '"base64"', "base64 (comment)"]
)
def test_the_name_of_an_encoding_is_read_leniently(encoding: str) -> None:
    assert decode_transfer(b"YWJj", encoding) == b"abc"


@pytest.mark.parametrize(
    "encoding", ["", "7bit", "8bit", "binary", "x-uuencode", "nope", "\ufffd", "7-bit"]
)
def test_what_is_not_encoded_or_unknown_stays_as_it_is(encoding: str) -> None:
    assert decode_transfer(b"YWJj=3D\0\xff", encoding) == b"YWJj=3D\0\xff"


@patiently
@given(st.binary(max_size=300), st.sampled_from(["base64", "quoted-printable", "7bit"]))
def test_any_bytes_are_decoded(body: bytes, encoding: str) -> None:
    decode_transfer(body, encoding)


@patiently
@given(st.binary(max_size=300))
def test_what_was_encoded_comes_back(data: bytes) -> None:
    assert decode_transfer(base64.encodebytes(data), "base64") == data
    assert decode_transfer(base64.encodebytes(data) * 3, "base64") == data * 3
    whole = data.replace(b"\r", b"").replace(b"\n", b"")
    assert decode_transfer(quopri.encodestring(whole), "quoted-printable") == whole
