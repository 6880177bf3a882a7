"""Domains as administrators type and paste them."""

import pytest

from mail.domain_name import parse_domain
from mail.errors import RuleError


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        ("firm.test", "firm.test"),
        ("  Firm.TEST\n", "firm.test"),
        ("bob@firm.test", "firm.test"),
        ("Bob Stone <bob@firm.test>", "firm.test"),
        ("bob@home@firm.test", "firm.test"),
        (f"{'b' * 64}@mail.firm.test", "mail.firm.test"),
        ("почта.рф", "xn--80a1acny.xn--p1ai"),
        ("боб@Почта.РФ", "xn--80a1acny.xn--p1ai"),
        ("xn--80a1acny.xn--p1ai", "xn--80a1acny.xn--p1ai"),
        ("straße。test", "xn--strae-oqa.test"),
    ],
)
def test_a_domain_is_taken_from_what_was_typed(typed: str, domain: str) -> None:
    assert parse_domain(typed) == domain


@pytest.mark.parametrize(
    "typed",
    [
        "firm",
        "localhost",
        "bob@",
        "@",
        ".firm.test",
        "firm.test.",
        "firm..test",
        "firm test",
        "fi\0rm.test",
        "fi\u202erm.test",
        "https://firm.test",
        "firm.test/mail",
        "firm.test:25",
        "fi_rm.test",
        "-firm.test",
        "xn--.test",
        "192.0.2.1",
        "bob@[192.0.2.1]",
        "[2001:db8::1]",
        "2001:db8::1",
        "[::ffff:192.0.2.1]",
        "1.2.3",
        f"{'x' * 64}.test",
        f"{'x.' * 126}test",
    ],
)
def test_what_is_no_domain_is_refused(typed: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_domain(typed)
    assert (caught.value.field, caught.value.code) == ("domain", "domain_broken")


@pytest.mark.parametrize("typed", ["", " \n"])
def test_a_domain_is_required(typed: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_domain(typed)
    assert (caught.value.field, caught.value.code) == ("domain", "required")


def test_a_refusal_repeats_a_little_of_what_was_typed() -> None:
    with pytest.raises(RuleError) as caught:
        parse_domain("fi\0\u202erm\n" + "x" * 10_000)
    assert caught.value.parameters == {"domain": "fi rm " + "x" * 54}
