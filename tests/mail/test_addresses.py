"""Addresses as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.addresses import (
    ADDRESS_LONGEST,
    LINE_LONGEST,
    RECIPIENTS_MOST,
    check_address,
    parse_recipients,
)
from mail.errors import RuleError
from mail.mime.message import Address
from tests.mail.mime.samples import patiently


def refusal(text: str) -> RuleError:
    with pytest.raises(RuleError) as caught:
        parse_recipients(text, "to")
    assert caught.value.field == "to"
    return caught.value


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("bob@firm.test", "bob@firm.test"),
        ("Bob.Smith+x@FIRM.Test", "Bob.Smith+x@firm.test"),
        ("bob@firm", "bob@firm"),
        ("bob@mail.local", "bob@mail.local"),
        ("bob@firm.lan", "bob@firm.lan"),
        ("bob@firm.example", "bob@firm.example"),
        ("bob@xn--80a1acny.xn--p1ai", "bob@почта.рф"),
        ("bob@почта.рф", "bob@почта.рф"),
        ("иван@почта.рф", "иван@почта.рф"),
    ],
)
def test_a_right_address_is_given_in_its_normal_form(text: str, normal: str) -> None:
    assert check_address(text, "address") == normal
    assert check_address(normal, "address") == normal


@pytest.mark.parametrize(
    "text",
    [
        "bob", "@firm.test", "bob@", "bob@@firm.test", "bob smith@firm.test", ".bob@firm.test",
        "bob..smith@firm.test", "bob@firm..test", "bob@-firm.test", "bob@firm.test\n",
        "bob@firm.test\r\nBcc: x@evil.test", "bob\0@firm.test", "bob@firm.test>", "<bob@firm.test>",
        "Bob <bob@firm.test>", "bob@[127.0.0.1]", "bob@firm_.test", " ",
        "bob@" + "a" * 64 + ".test", "bob@\u202efirm.test", "a@x.test, b@x.test",
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused_and_named(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        check_address(text, "address")
    assert (caught.value.field, caught.value.code) == ("address", "address_broken")
    assert caught.value.parameters == {"address": text}


def test_an_address_is_required() -> None:
    with pytest.raises(RuleError) as caught:
        check_address("", "address")
    assert (caught.value.field, caught.value.code) == ("address", "required")


def test_of_an_address_that_is_too_long_only_the_beginning_is_named() -> None:
    with pytest.raises(RuleError) as caught:
        check_address("a" * (ADDRESS_LONGEST + 1), "address")
    assert caught.value.code == "address_broken"
    assert caught.value.parameters == {"address": "a" * 60}


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("", []),
        (" ,; \r\n ", []),
        ("bob@firm.test", [("", "bob@firm.test")]),
        (" Bob <bob@FIRM.test> ", [("Bob", "bob@firm.test")]),
        ('"Smith, Bob" <bob@firm.test>', [("Smith, Bob", "bob@firm.test")]),
        ("Иван Петров <ivan@почта.рф>", [("Иван Петров", "ivan@почта.рф")]),
        ("a@x.test, B <b@x.test>,", [("", "a@x.test"), ("B", "b@x.test")]),
        ("a@x.test; B <b@x.test>;", [("", "a@x.test"), ("B", "b@x.test")]),
        ("a@x.test\r\nB <b@x.test>\nc@x.test",
            [("", "a@x.test"), ("B", "b@x.test"), ("", "c@x.test")]),
        ('"Smith; Bob" <bob@firm.test>', [("Smith; Bob", "bob@firm.test")]),
        (r'"Bob \"the\" Smith" <bob@firm.test>', [('Bob "the" Smith', "bob@firm.test")]),
        ("Bob (Sales) <bob@firm.test>", [("Bob (Sales)", "bob@firm.test")]),
        ("B\x07o\u202eb <bob@firm.test>", [("Bob", "bob@firm.test")]),
        # each once, as it was typed first
        ("Bob <bob@firm.test>, BOB@firm.test", [("Bob", "bob@firm.test")]),
        ("b@x.test, a@x.test, b@x.test", [("", "b@x.test"), ("", "a@x.test")]),
    ],
)  # fmt: skip
def test_recipients_are_read_as_they_are_typed(text: str, people: list[tuple[str, str]]) -> None:
    assert parse_recipients(text, "to") == tuple(Address(*person) for person in people)


@pytest.mark.parametrize(
    "text",
    [
        "Bob", "Bob <>", "bob@firm.test, Carol", "bob@firm.test carol@firm.test",
        "Smith, Bob <bob@firm.test>", "bob@firm..test", "a@x.test, @x.test",
        '"never closed <bob@firm.test>', "bob\0@firm.test", "bob@x.test, (carol@x.test", "<", "(((",
        "alice@x.test <bob@x.test>", "bob@x.test, <carol@x.test", "team: a@x.test, b@x.test;",
        "Bob <bob@x.test> Carol <carol@x.test>",
    ],
)  # fmt: skip
def test_among_recipients_a_wrong_one_is_refused(text: str) -> None:
    assert refusal(text).code == "address_broken"


def test_as_many_recipients_as_allowed_are_read_and_more_refused() -> None:
    every = [f"p{number}@firm.test" for number in range(RECIPIENTS_MOST + 1)]
    assert len(parse_recipients(", ".join(every[:-1]), "to")) == RECIPIENTS_MOST
    error = refusal(", ".join(every))
    assert (error.code, error.parameters) == ("recipients_many", {"most": RECIPIENTS_MOST})


def test_a_line_that_is_too_long_is_refused_before_it_is_read() -> None:
    assert refusal("," * (LINE_LONGEST + 1)).code == "recipients_many"
    assert parse_recipients("," * LINE_LONGEST, "to") == ()


def test_a_name_that_is_too_long_is_cut() -> None:
    (person,) = parse_recipients(f"{'a' * 300} <bob@firm.test>", "to")
    assert person.name == "a" * 200


@patiently
@given(st.text(max_size=200) | st.text('ab@.test<>,;:()[]"\\ \r\n\0', max_size=200))
def test_whatever_is_typed_is_refused_or_can_be_sent(text: str) -> None:
    try:
        people = parse_recipients(text, "to")
    except RuleError:
        return
    for person in people:
        assert check_address(person.address, "to") == person.address
        assert not person.name or person.name.isprintable()
    assert len({person.address.lower() for person in people}) == len(people)
