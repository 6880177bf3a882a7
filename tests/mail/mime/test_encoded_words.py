"""Encoded words (RFC 2047), right and wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.encoded_words import decode_words, encode_words
from tests.mail.mime.samples import patiently

letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("plain", "plain"),
        ("=?utf-8?Q?a_b?=", "a b"),
        ("=?UTF-8?q?=D0=AF?=", "Я"),
        ("=?utf-8?b?0K8=?=", "Я"),
        ("=?utf-8?B?0K8=?= said", "Я said"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= \t =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a_?= =?utf-8?q?b?=", "a b"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8?q?=3D=3F?=", "=?"),
        ("=?koi8-r*ru?q?=F1?=", "Я"),
        ("(=?utf-8?q?a?=)", "(a)"),
        ("=?koi8-r?q?=F0?= =?utf-8?q?=D0=AF?=", "ПЯ"),
        ("=?koi8-r?b?8NLJ18XU?=", "Привет"),
        ("=?windows-1251?Q?=CF=F0=E8=E2=E5=F2?=", "Привет"),
        ("=?iso-8859-1?q?Andr=E9?=", "André"),
        ("=?gb2312?b?xOO6ww==?=", "你好"),
        ("=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
    ],
)
def test_a_right_encoded_word_is_read(text: str, read: str) -> None:
    assert decode_words(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        # a letter's bytes in two words
        ("=?utf-8?b?0A==?= =?utf-8?b?rw==?=", "Я"),
        ("=?utf-8?q?=D0?=\t=?UTF-8?q?=AF?=", "Я"),
        # no space between words, or between a word and a letter
        ("=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
        ("x=?utf-8?q?a?=y", "xay"),
        # spaces and question marks inside
        ("=?utf-8?q?a b?=", "a b"),
        ("=?utf-8?q?a?b?=", "a?b"),
        # no padding
        ("=?utf-8?b?0K8?=", "Я"),
        ("=?utf-8?b?0K/Qrw?=", "ЯЯ"),
        # letters that should have been encoded stay what the header made of them
        ("=?iso-8859-1?Q?Frösche?=", "Frösche"),
        ("=?utf-8?q?Fr_ö_sche=D0=AF?=", "Fr ö scheЯ"),
        ("=?koi8-r?q?=F1é=F1?= =?koi8-r?q?=F0?=", "ЯéЯП"),
        ("=?iso-8859-1?q?é?= \t =?iso-8859-1?q?é?= é", "éé é"),
        ("=?nope?q?日本?= =?utf-8?q?語?=", "日本語"),
        # nothing, or nothing that can be decoded
        ("=?utf-8?q??=", ""),
        ("=?utf-8?b?!!!?=", ""),
        ("=?utf-8?q?=Z1?=", "=Z1"),
        ("=?utf-8?q?100=?=", "100"),
        # charsets that are unknown, wrong or not given
        ("=?nope?q?=D0=AF?=", "Я"),
        ("=?us-ascii?q?=D0=AF?=", "Я"),
        ("=?utf-8?q?=CF=F0=E8=E2=E5=F2?=", "Привет"),
        ("=?*ru?q?=D0=AF?= a", "Я a"),
        # what is no encoded word stays as it is
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?a", "=?utf-8?q?a"),
        ("=??q?a?=", "=??q?a?="),
        ("=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"),
        ("a =? b ?= c", "a =? b ?= c"),
    ],
)
def test_a_wrong_encoded_word_is_read_as_far_as_it_can_be(text: str, read: str) -> None:
    assert decode_words(text) == read


@patiently
@given(st.text("ab é日\ufffd", max_size=60), st.sampled_from(["utf-8", "koi8-r", "hz", "nope"]))
def test_letters_inside_a_word_are_kept_in_any_charset(text: str, charset: str) -> None:
    assert decode_words(f"=?{charset}?q?{text}?=") == text


def test_the_shorter_of_both_encodings_is_used() -> None:
    assert encode_words("Müller") == "=?utf-8?q?M=C3=BCller?="
    assert encode_words("Привет") == "=?utf-8?b?0J/RgNC40LLQtdGC?="


@patiently
@given(letters)
def test_every_text_comes_back_from_its_encoded_words(text: str) -> None:
    assert decode_words(encode_words(text)) == text


@patiently
@given(letters)
def test_every_encoded_word_is_whole_and_fits_into_a_line(text: str) -> None:
    for word in encode_words(text).split(" "):
        assert len(word) <= 76 - len("Subject: ")
        assert word.isascii()
        assert "\ufffd" not in decode_words(word).replace("\ufffd" if "\ufffd" in text else "", "")
