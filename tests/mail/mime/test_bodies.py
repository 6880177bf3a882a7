"""What a message says: its text, its HTML, its preview."""

import pytest

from mail.mime.parse import TEXT_LONGEST, parse
from tests.mail.mime.samples import mail, multipart, read

PLAIN = mail("Content-Type: text/plain", body="plain")
HTML = mail("Content-Type: text/html", body="<p>html</p>")
NOTE = mail("Content-Type: text/plain", "Content-Disposition: attachment", body="note")
NAMED = mail("Content-Type: text/plain; name=note.txt", body="note")
SENTENCE = "Добрый день! Высылаю счёт на оплату."


@pytest.mark.parametrize(
    ("raw", "text", "html"),
    [
        (PLAIN, "plain", None),
        (HTML, "html", "<p>html</p>"),
        (multipart(PLAIN, HTML, kind="alternative"), "plain", "<p>html</p>"),
        (multipart(PLAIN, multipart(HTML, kind="related", boundary="i"), kind="alternative"),
            "plain", "<p>html</p>"),
        (multipart(PLAIN, HTML), "plain\n\nhtml", "<p>html</p>"),
        (multipart(PLAIN, NOTE, PLAIN), "plain\n\nplain", None),
        (multipart(PLAIN, NAMED), "plain", None),
        (multipart(NOTE), "", None),
        (multipart(multipart(PLAIN, HTML, kind="alternative", boundary="i"), NOTE), "plain",
            "<p>html</p>"),
        (mail("Content-Type: text/plain", body=" \r\n\r\n"), "", None),
        (mail("Content-Type: image/png", body="x"), "", None),
        (mail(), "", None),
        (b"", "", None),
    ],
)  # fmt: skip
def test_the_text_of_a_message_is_found(raw: bytes, text: str, html: str | None) -> None:
    message = parse(raw)
    assert (message.text, message.html) == (text, html)


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "iso-8859-5", "utf-8", "utf-16"])
def test_a_text_is_read_in_its_charset(charset: str) -> None:
    field = f"Content-Type: text/plain; charset={charset}"
    assert read(field, body=SENTENCE.encode(charset)).text == SENTENCE


@pytest.mark.parametrize("field", ["X: y", "Content-Type: text/plain; charset=nope"])
@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "utf-8"])
def test_a_text_without_a_known_charset_is_recognised(field: str, charset: str) -> None:
    assert read(field, body=SENTENCE.encode(charset)).text == SENTENCE


def test_html_without_a_charset_in_its_header_is_read_as_it_says_itself() -> None:
    body = '<meta charset="koi8-r"><p>Я</p>'.encode("koi8-r")
    assert read("Content-Type: text/html", body=body).text == "Я"
    said = read("Content-Type: text/html; charset=windows-1251", body="<p>Я".encode("cp1251"))
    assert said.text == "Я"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_an_encoded_text_is_decoded(encoding: str) -> None:
    body = {"base64": "0K8=", "quoted-printable": "=D0=\r\n=AF"}[encoding]
    field = f"Content-Transfer-Encoding: {encoding}"
    assert read(field, "Content-Type: text/plain; charset=utf-8", body=body).text == "Я"


def test_a_text_has_neither_nuls_nor_other_line_ends_than_lf() -> None:
    for kind in ("plain", "html"):
        message = read(f"Content-Type: text/{kind}", body=b"a\0b\rc\r\nd\n\re")
        shown = message.text if kind == "plain" else message.html
        assert shown == "ab\nc\nd\n\ne"


def test_a_text_that_is_too_long_is_cut() -> None:
    body = "a" * (TEXT_LONGEST + 100)
    assert read("Content-Type: text/plain", body=body).text == "a" * TEXT_LONGEST
    assert read("Content-Type: text/html", body=body).html == "a" * TEXT_LONGEST


@pytest.mark.parametrize(
    ("body", "preview"),
    [
        ("", ""),
        ("  Hello \r\n\r\n Bob,\t how ", "Hello Bob, how"),
        ("> quoted\r\nmine\r\n> quoted", "mine"),
        ("> only quoted", "> only quoted"),
        ("a\x1b\u202eb\u2028c", "ab c"),
        ("a" * 500, "a" * 200),
    ],
)
def test_the_preview_is_one_line_of_what_the_sender_wrote(body: str, preview: str) -> None:
    assert read("Content-Type: text/plain; charset=utf-8", body=body).preview == preview
