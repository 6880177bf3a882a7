"""Names of attachments: whatever is sent, they are safe to store and to show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.message import Part
from mail.mime.parse import NAME_LONGEST
from tests.mail.mime.samples import patiently, read


def attachment(disposition: str | bytes, content_type: str = "application/octet-stream") -> Part:
    if isinstance(disposition, str):
        disposition = disposition.encode()
    (part,) = read(
        b"Content-Disposition: " + disposition, f"Content-Type: {content_type}", body="x"
    ).parts
    assert part.is_attachment
    return part


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        (r"C:\\Users\\Bob\\report.pdf", "report.pdf"),
        (r"..\\..\\x.exe", "x.exe"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("a\u2066b\u200f.txt", "ab.txt"),
        ("a\u200bb\ufeff.txt", "ab.txt"),
        ("a\x00b\x07\x7f.txt", "ab.txt"),
        ('<b>:*?|\\".txt', "_b______.txt"),
        (" .report. ", "report"),
        ("..htaccess", "htaccess"),
        ("Отчёт за январь.txt", "Отчёт за январь.txt"),
    ],
)
def test_a_name_is_made_safe(sent: str, name: str) -> None:
    assert attachment(f'attachment; filename="{sent}"').filename == name


def test_line_ends_hidden_in_an_encoded_name_do_not_stay() -> None:
    assert attachment("attachment; filename*=utf-8''a%0D%0AX: b.txt").filename == "a  X_ b.txt"


def test_a_path_hidden_in_an_encoded_word_does_not_stay() -> None:
    assert attachment('attachment; filename="=?utf-8?q?=2E=2E=2Fa=2Etxt?="').filename == "a.txt"


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("application/pdf", "part-1.pdf"),
        ("message/rfc822", "part-1.eml"),
        ("text/calendar", "part-1.ics"),
        ("text/plain", "part-1.txt"),
        ("application/x-what", "part-1.bin"),
    ],
)
@pytest.mark.parametrize("sent", ["", '; filename=""', '; filename=".."', '; filename="a/"'])
def test_an_attachment_without_a_name_is_given_one(sent: str, content_type: str, name: str) -> None:
    assert attachment(f"attachment{sent}", content_type).filename == name


def test_the_name_of_the_content_type_is_used_when_the_disposition_has_none() -> None:
    part = attachment("attachment", 'application/pdf; name="=?koi8-r?q?=F1?=.pdf"')
    assert part.filename == "Я.pdf"


def test_a_name_that_is_too_long_keeps_its_extension() -> None:
    name = attachment(f'attachment; filename="{"a" * 300}.pdf"').filename
    assert name == "a" * (NAME_LONGEST - 4) + ".pdf"
    assert attachment(f'attachment; filename="{"a" * 300}"').filename == "a" * NAME_LONGEST


@pytest.mark.parametrize("charset", ["koi8-r", "cp1251", "utf-8"])
def test_a_name_in_raw_bytes_is_read(charset: str) -> None:
    sent = "Отчёт за январь.txt".encode(charset)
    assert attachment(b'attachment; filename="' + sent + b'"').filename == "Отчёт за январь.txt"


@patiently
@given(st.text(max_size=300) | st.binary(max_size=300))
def test_no_name_has_a_path_or_characters_that_cannot_be_seen(sent: str | bytes) -> None:
    raw = sent.encode("utf-8", "replace") if isinstance(sent, str) else sent
    encoded = "".join(f"%{byte:02X}" for byte in raw)
    name = attachment(f"attachment; filename*=utf-8''{encoded}").filename
    assert 1 <= len(name) <= NAME_LONGEST
    assert name.isprintable()
    assert not set(name) & set('\\/:*?"<>|')
    assert name.strip(" .")
