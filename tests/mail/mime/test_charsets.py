"""Bytes as text: what the message says, and what it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.charsets import charset_of_html, codec_of, decode_text
from tests.mail.mime.samples import patiently

SENTENCE = "Добрый день! Высылаю счёт на оплату."
names = st.sampled_from(
    "utf-8 utf-7 utf-16 utf-32 koi8-r hz iso-2022-jp iso-2022-kr big5 gb18030 cp1252 shift_jis "
    "tis-620 nope unicode_escape idna".split()
)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("utf-8", "utf_8"),
        (" UTF8 ", "utf_8"),
        ("KOI8-R", "koi8_r"),
        ("windows-1251", "cp1251"),
        ("cp1251", "cp1251"),
        ("iso-8859-5", "iso8859_5"),
        ("x-mac-cyrillic", "mac_cyrillic"),
        ("iso-8859-8-i", "iso8859_8"),
        ("unicode-1-1-utf-7", "utf_7"),
        # the larger one, which senders mean
        ("iso-8859-1", "cp1252"),
        ("latin1", "cp1252"),
        ("gb2312", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("shift_jis", "cp932"),
    ],
)
def test_a_name_of_a_charset_is_known(name: str, codec: str) -> None:
    assert codec_of(name) == codec


@pytest.mark.parametrize(
    "name",
    [
        "", "nope", "x-user-defined", "unicode_escape", "raw_unicode_escape", "undefined", "idna",
        "punycode", "base64", "rot13", "zlib", "mbcs", "utf-8\0", "../utf_8", "a" * 100,
    ],
)  # fmt: skip
def test_what_is_no_charset_of_mail_is_unknown(name: str) -> None:
    assert codec_of(name) is None


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "iso-8859-5", "cp866", "utf-8"])
def test_russian_is_read_in_the_charset_that_is_given(charset: str) -> None:
    assert decode_text("Я".encode(charset), charset) == "Я"


@pytest.mark.parametrize("given_charset", ["", "nope", "us-ascii", "utf-8", "unicode_escape"])
@pytest.mark.parametrize("charset", ["koi8-r", "cp1251", "utf-8"])
def test_russian_is_recognised_when_the_charset_is_missing_unknown_or_wrong(
    charset: str, given_charset: str
) -> None:
    assert decode_text(SENTENCE.encode(charset), given_charset) == SENTENCE


def test_russian_is_recognised_behind_much_ascii() -> None:
    text = "plain words\n" * 20_000 + SENTENCE
    assert decode_text(text.encode("koi8-r")) == text


def test_japanese_is_recognised_by_its_escapes() -> None:
    assert decode_text("日本語".encode("iso-2022-jp")) == "日本語"


def test_one_damaged_byte_does_not_change_the_charset() -> None:
    data = SENTENCE.encode() * 5
    assert decode_text(data + b"\xff", "utf-8") == SENTENCE * 5 + "\ufffd"


@pytest.mark.parametrize("character", ["“", "€", "–"])
def test_latin_1_is_what_senders_mean_by_it(character: str) -> None:
    assert decode_text(character.encode("cp1252"), "iso-8859-1") == character


def test_half_characters_of_utf_7_do_not_come_out() -> None:
    assert decode_text(b"a+2AA-b", "utf-7") == "a\ufffdb"


@pytest.mark.parametrize(
    ("html", "charset"),
    [
        (b'<meta charset="koi8-r">', "koi8-r"),
        (b"<META http-equiv=x content='text/html; charset=windows-1251'>", "windows-1251"),
        (b"<p>charset=koi8-r", ""),
        (b"<meta name=x>", ""),
        (b" " * 5000 + b'<meta charset="koi8-r">', ""),
    ],
)
def test_html_names_its_charset_near_its_beginning(html: bytes, charset: str) -> None:
    assert charset_of_html(html) == charset


@patiently
@given(st.binary(max_size=200), st.just("") | st.text(max_size=12) | names)
def test_any_bytes_become_text_that_can_be_stored(data: bytes, charset: str) -> None:
    decode_text(data, charset).encode()


@patiently
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_in_utf_8_is_read_as_it_was(text: str) -> None:
    assert decode_text(text.encode(), "utf-8") == text
