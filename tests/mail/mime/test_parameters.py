"""Content-Type and Content-Disposition with their parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.parameters import PARAMETERS_MOST, Parameters, read_parameters
from tests.mail.mime.samples import patiently


@pytest.mark.parametrize(
    ("text", "value", "names"),
    [
        ("", "", {}),
        ("text/plain", "text/plain", {}),
        (" TEXT/Plain ; Charset=UTF-8", "text/plain", {"charset": "UTF-8"}),
        ("text/plain; charset = utf-8 ; format=flowed", "text/plain",
            {"charset": "utf-8", "format": "flowed"}),
        ('a/b; name="x; y=z"', "a/b", {"name": "x; y=z"}),
        (r'a/b; name="x \"y\" \\z"', "a/b", {"name": r'x "y" \z'}),
        ("a/b (why; not); c=d", "a/b (why", {"not)": "", "c": "d"}),
        ("a/b (comment); c=d (comment)", "a/b", {"c": "d"}),
        ("a/b; c=d; c=e", "a/b", {"c": "d"}),
        ("a/b; c='d'", "a/b", {"c": "d"}),
        ("a/b; name=my report.pdf; c=d", "a/b", {"name": "my report.pdf", "c": "d"}),
        ('a/b; name="never closed', "a/b", {"name": "never closed"}),
        ("a/b;; ;c=d;", "a/b", {"c": "d"}),
        ('a/b; =x; ="; c=d', "a/b", {"x": "", "c": "d"}),
        ("a/b; c", "a/b", {"c": ""}),
        ("; c=d", "", {"c": "d"}),
    ],
)  # fmt: skip
def test_a_value_and_its_parameters_are_read(text: str, value: str, names: dict[str, str]) -> None:
    assert read_parameters(text) == Parameters(value, names)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("filename*=utf-8''%D0%AF.txt", "Я.txt"),
        ("filename*=UTF-8'ru'%D0%AF.txt", "Я.txt"),
        ("filename*=koi8-r''%F1.txt", "Я.txt"),
        ("filename*=windows-1251''%DF.txt", "Я.txt"),
        ("filename*=''%D0%AF", "Я"),
        ("filename*=nope''%D0%AF", "Я"),
        ("filename*=%D0%AF.txt", "Я.txt"),
        ("filename*='utf-8''%D0%AF.txt'", "Я.txt"),
        ("filename*0='a'; filename*1='b.txt'", "ab.txt"),
        ("filename*=utf-8''", ""),
        ("filename*=utf-8'ru'", ""),
        ("filename*='utf-8'''", ""),
        ("filename*=utf-8''; filename=plain.txt", "plain.txt"),
        ("filename*0*=utf-8''; filename*1*=%D0%AF", "Я"),
        ("filename*=utf-8''Bob's", "Bob's"),
        ("filename*=utf-8''%ZZ.txt", "%ZZ.txt"),
        ("filename*=\"utf-8''%D0%AF.txt\"", "Я.txt"),
        ("filename*0=a; filename*1=b.txt", "ab.txt"),
        ('filename*0="a b"; filename*1="; c.txt"', "a b; c.txt"),
        ("filename*1=b.txt; filename*0=a", "ab.txt"),
        ("; ".join(f"filename*{number}={number % 10}" for number in range(12)), "012345678901"),
        ("filename*0*=utf-8''%D0; filename*1*=%AF.txt", "Я.txt"),
        ("filename*0*=utf-8''%D0%AF; filename*1=\"%20.txt\"", "Я%20.txt"),
        ("filename=plain.txt; filename*=utf-8''%D0%AF.txt", "Я.txt"),
        ("filename*=utf-8''%D0%AF.txt; filename=plain.txt", "Я.txt"),
        ('filename="=?utf-8?b?0K8=?=.txt"', "Я.txt"),
        ("filename==?utf-8?b?0K8=?=", "Я"),
        ('filename="=?utf-8?q?a?=  =?utf-8?q?b?="', "ab"),
    ],
)
def test_a_name_is_read_after_rfc_2231_and_after_what_others_do(text: str, name: str) -> None:
    assert read_parameters(f"attachment; {text}").get("filename") == name


@pytest.mark.parametrize(
    "text", ["a/\0b\x1b; c=\0d", "a/b\u202e; c=d\u202e", "a/b; c*=utf-8''%00d%1B%E2%80%AE"]
)
def test_neither_a_value_nor_a_parameter_keeps_control_or_direction_characters(text: str) -> None:
    assert read_parameters(text) == Parameters("a/b", {"c": "d"})


def test_a_parameter_that_is_missing_is_empty() -> None:
    assert read_parameters("text/plain").get("charset") == ""


def test_only_so_many_parameters_are_looked_at() -> None:
    text = "a/b" + "".join(f"; p{number}=x" for number in range(PARAMETERS_MOST * 2))
    assert len(read_parameters(text).names) == PARAMETERS_MOST


@patiently
@given(st.text(max_size=200) | st.text("abc;=*'\"\\%0 ()?", max_size=200))
def test_any_text_is_read(text: str) -> None:
    read_parameters(text)
