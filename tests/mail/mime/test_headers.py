"""Header sections: where they end, and what mail that went through files makes of them."""

import pytest

from mail.mime.headers import FIELDS_MOST, LINE_LONGEST, clean_line, decode_line, read_headers
from mail.mime.parse import parse
from tests.mail.mime.samples import mail, read

SUBJECT = "Отчёт за январь"


def headers_of(raw: bytes) -> tuple[dict[str, list[bytes]], bytes]:
    headers, start = read_headers(raw, 0, len(raw))
    return headers.fields, raw[start:]


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"], ids=["CRLF", "LF", "CR"])
def test_every_kind_of_line_end_ends_a_line(end: bytes) -> None:
    raw = b"Subject: one,\r\n two\r\nTo: bob@firm.test\r\n\r\nHello\r\nBob\r\n"
    message = parse(raw.replace(b"\r\n", end))
    assert message.subject == "one, two"
    assert message.to[0].address == "bob@firm.test"
    assert message.text == "Hello\nBob"


@pytest.mark.parametrize(
    ("raw", "fields", "body"),
    [
        (b"", {}, b""),
        (b"\r\nbody", {}, b"body"),
        (b"A: b", {"a": [b"b"]}, b""),
        (b"A: b\r\n", {"a": [b"b"]}, b""),
        (b"A: b\r\n\r\nbody", {"a": [b"b"]}, b"body"),
        (b"A:b\r\nA:c\r\n\r\n", {"a": [b"b", b"c"]}, b""),
        (b"A : b\r\n\r\n", {"a": [b"b"]}, b""),
        (b"A:\r\n\tb\r\n  c\r\n\r\n", {"a": [b"b  c"]}, b""),
        (b"A: b\r\nno field\r\n\r\nbody", {"a": [b"b"]}, b"no field\r\n\r\nbody"),
        (b"no field\r\nA: b\r\n", {}, b"no field\r\nA: b\r\n"),
        (b"A: \0b\r\n\r\n", {"a": [b"\0b"]}, b""),
        # the line of a mailbox file, and lines that lost their beginning
        (b"From bob@firm.test Thu Jan  1 12:00:00 2026\nA: b\n\n", {"a": [b"b"]}, b""),
        (b"From : bob@firm.test\r\n\r\n", {"from": [b"bob@firm.test"]}, b""),
        (b"\tlost\r\n: lost\r\nA: b\r\n\r\n", {"a": [b"b"]}, b""),
        (b" \t \r\nA: b\r\n\r\nbody", {"a": [b"b"]}, b"body"),
        (b" \n\t\n: lost\nA: b\n\nbody", {"a": [b"b"]}, b"body"),
    ],
)
def test_a_header_section_is_read(raw: bytes, fields: dict[str, list[bytes]], body: bytes) -> None:
    assert headers_of(raw) == (fields, body)


def test_a_line_of_space_before_the_text_of_a_part_does_not_make_fields_of_it() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n \nNote: text\n\nmore\n--b--"
    assert parse(raw).text == " \nNote: text\n\nmore"


def test_beyond_so_many_fields_the_body_is_still_found() -> None:
    raw = mail("Subject: Report", *["X: y"] * FIELDS_MOST * 2, body="Hello")
    fields, body = headers_of(raw)
    assert sum(map(len, fields.values())) == FIELDS_MOST
    assert body == b"Hello"


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "utf-8", "iso-8859-5"])
def test_a_subject_in_raw_bytes_is_read_in_the_charset_of_the_body(charset: str) -> None:
    message = read(
        b"Subject: " + "Я".encode(charset), f"Content-Type: text/plain; charset={charset}"
    )
    assert message.subject == "Я"


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "utf-8", "iso-8859-5"])
def test_raw_bytes_inside_an_encoded_word_are_read_in_the_charset_of_the_body(charset: str) -> None:
    subject = f"=?{charset}?Q?a_Я?=".encode(charset)
    message = read(b"Subject: " + subject, f"Content-Type: text/plain; charset={charset}")
    assert message.subject == "a Я"


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "utf-8"])
@pytest.mark.parametrize("said", ["", "; charset=nope", "; charset=us-ascii", "; charset=utf-8"])
def test_a_subject_in_raw_bytes_is_recognised_without_a_charset(charset: str, said: str) -> None:
    message = read(b"Subject: " + SUBJECT.encode(charset), f"Content-Type: text/plain{said}")
    assert message.subject == SUBJECT


def test_a_subject_in_koi8_r_is_read() -> None:
    assert decode_line(b"=?koi8-r?B?8NLJ18XU?= =?KOI8-R?Q?=2C_=CD=C9=D2?=") == "Привет, мир"


def test_a_folded_subject_is_one_line() -> None:
    message = read("Subject: =?utf-8?q?one_?=\r\n =?utf-8?q?two?=\r\n\tthree")
    assert message.subject == "one two\tthree".replace("\t", " ")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  a  ", "a"),
        ("a\r\nBcc: b", "a  Bcc: b"),
        ("a\0b\x1b[31mc\x7f\x9bd", "ab[31mcd"),
        ("a\u2028b\x85c\td", "a b c d"),
        ("a\u202eb\u2066c", "abc"),
        ("a\u200eb\u200f", "ab".replace("a", "a\u200e") + "\u200f"),
    ],
)
def test_a_line_has_no_line_ends_and_neither_control_nor_direction_characters(
    text: str, clean: str
) -> None:
    assert clean_line(text) == clean


def test_what_is_hidden_in_encoded_words_is_cleaned_too() -> None:
    message = read("Subject: =?utf-8?q?a=0D=0AX=3A_b=00=1B=E2=80=AEc?=")
    assert message.subject == "a  X: bc"


def test_a_subject_that_is_too_long_is_cut() -> None:
    assert read("Subject: " + "a" * 10_000).subject == "a" * LINE_LONGEST
