"""The rules of mail code on a form, and the sentences in which they are said."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask_babel import Babel
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, Form, RadioField

from mail.errors import RuleError
from mail.security import (
    Security,
    SecurityFault,
    SecurityWarning,
    check_security,
    warnings,
)
from mail.server_string import Protocol, ServerAddress, ServerFault, parse_server_string
from tests.mail.server_string_cases import IMAP, PAIRS, REFUSED, SMTP, Pair, Refused
from web.sentences import WORDINGS, sentence
from web.validators import SecurityMatches, ServerField, ServerString

CHOICES = [security.name for security in Security]


class OneServer(Form):  # type: ignore[misc]  # WTForms ships no types
    """A block of the window *Mail service settings*."""

    server = ServerField("SMTP server", [ServerString(SMTP, non_standard_field="non_standard")])
    security = RadioField(
        "Connection security",
        [SecurityMatches(SMTP, "server", "non_standard")],
        choices=CHOICES,
    )
    non_standard = BooleanField("Non-standard server")


class SecurityFirst(Form):  # type: ignore[misc]  # WTForms ships no types
    """The same fields in another order."""

    non_standard = BooleanField("Non-standard server")
    security = RadioField(
        "Connection security",
        [SecurityMatches(SMTP, "server", "non_standard")],
        choices=CHOICES,
    )
    server = ServerField("SMTP server", [ServerString(SMTP, non_standard_field="non_standard")])


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with english().app_context():
        yield


def english() -> Flask:
    app = Flask("sentences")
    Babel(app)
    return app


def sent(
    form: type[Form], server: str, security: str = "TLS", *, non_standard: bool = False
) -> dict[str, list[str]]:
    """What the form answers at its fields."""
    switch = {"non_standard": "y"} if non_standard else {}
    filled = form(MultiDict({"server": server, "security": security, **switch}))
    filled.validate()
    return {field.name: [str(error) for error in field.errors] for field in filled if field.errors}


def test_alice_types_a_right_server_and_the_form_knows_its_address() -> None:
    form = OneServer(MultiDict({"server": " SMTP.Почта.рф:465 ", "security": "TLS"}))
    assert form.validate()
    assert form.server.address == ServerAddress("smtp.xn--80a1acny.xn--p1ai", 465)
    assert form.server.data == " SMTP.Почта.рф:465 "


def test_alice_forgets_the_port_and_is_shown_where_it_goes() -> None:
    assert sent(OneServer, "smtp.myserver.com") == {
        "server": ["Add the port after a colon, for example smtp.myserver.com:465."]
    }


@pytest.mark.parametrize("form", [OneServer, SecurityFirst])
class TestWhicheverFieldComesFirst:
    def test_a_wrong_pair_is_refused_at_the_security_field(self, form: type[Form]) -> None:
        assert sent(form, "smtp.myserver.com:465", "STARTTLS") == {
            "security": ["Port 465 uses TLS. Choose TLS, or port 587 for STARTTLS."]
        }

    def test_a_port_of_the_other_protocol_is_refused_at_the_server_field(
        self, form: type[Form]
    ) -> None:
        for security in Security:
            assert sent(form, "smtp.myserver.com:993", security.name) == {
                "server": [
                    "993 is an IMAP port, type the SMTP port, for example smtp.myserver.com:465."
                ]
            }

    def test_bob_is_told_of_a_broken_server_only_there(self, form: type[Form]) -> None:
        for security in Security:
            assert list(sent(form, "smtp.myserver.com", security.name)) == ["server"]

    def test_carol_may_use_a_server_that_is_built_otherwise(self, form: type[Form]) -> None:
        for server, security in (
            ("mail.firm.example:25", "STARTTLS"),
            ("192.168.1.10:143", "NONE"),
            ("[fd00::1]:993", "TLS"),
            ("mailhost:465", "NONE"),
        ):
            assert list(sent(form, server, security)) == ["server"]
            assert sent(form, server, security, non_standard=True) == {}


def test_a_field_left_empty_is_refused_with_an_example() -> None:
    assert sent(OneServer, "")["server"] == [
        "Type the server and its port, for example smtp.myserver.com:465."
    ]
    nothing = OneServer(MultiDict())
    assert not nothing.validate()
    assert list(nothing.errors) == ["server", "security"]


@pytest.mark.parametrize("chosen", ["", "ssl", "Security.TLS"])
def test_a_security_that_does_not_exist_is_answered_with_those_that_do(chosen: str) -> None:
    assert sent(OneServer, "smtp.myserver.com:2525", chosen) == {
        "security": ["Choose None, STARTTLS or TLS."]
    }


def test_a_security_that_the_field_does_not_offer_stays_refused() -> None:
    assert "security" in sent(OneServer, "smtp.myserver.com:2525", "tls")
    assert "security" in sent(OneServer, "smtp.myserver.com:465", "none")


def test_no_security_at_all_is_not_taken_for_none() -> None:
    form = OneServer(MultiDict({"server": "smtp.myserver.com:25"}))
    assert not form.validate()
    assert form.errors == {"security": ["Choose None, STARTTLS or TLS."]}


def test_every_code_is_worded() -> None:
    assert {*ServerFault, *SecurityFault, *SecurityWarning} <= set(WORDINGS)


def test_a_code_that_nobody_worded_is_a_mistake_of_the_program() -> None:
    with pytest.raises(KeyError, match="nobody_worded_this"):
        sentence(RuleError("server", "nobody_worded_this"))


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_is_wrong_with_a_server_is_one_sentence_with_an_example(case: Refused) -> None:
    with pytest.raises(RuleError) as caught:
        parse_server_string(case.text, case.protocol, non_standard=case.non_standard)
    words = sentence(caught.value)
    assert is_one_sentence(words)
    assert f"example {case.example}" in words.replace("example as", "example")


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.fault], ids=str)
def test_what_is_wrong_with_a_pair_is_said_with_what_would_be_right(pair: Pair) -> None:
    with pytest.raises(RuleError) as caught:
        check_security(pair.protocol, pair.port, pair.security)
    assert no_placeholder_is_left(sentence(caught.value))
    assert str(pair.port) in sentence(caught.value)


@pytest.mark.parametrize(
    ("protocol", "port", "security", "words"),
    [
        (SMTP, 465, "STARTTLS", "Port 465 uses TLS. Choose TLS, or port 587 for STARTTLS."),
        (SMTP, 465, "NONE", "Port 465 uses TLS. Choose TLS, or port 25 for None."),
        (SMTP, 25, "TLS", "Port 25 is not encrypted. Choose None, or port 465 for TLS."),
        (SMTP, 587, "TLS", "Port 587 uses STARTTLS. Choose STARTTLS, or port 465 for TLS."),
        (IMAP, 143, "TLS", "Port 143 uses STARTTLS or None. Choose STARTTLS, or port 993 for TLS."),
        (IMAP, 993, "NONE", "Port 993 uses TLS. Choose TLS, or port 143 for None."),
        (IMAP, 993, "STARTTLS", "Port 993 uses TLS. Choose TLS, or port 143 for STARTTLS."),
        (
            IMAP, 465, "TLS",
            "465 is an SMTP port, type the IMAP port, for example imap.myserver.com:993.",
        ),
    ],
)  # fmt: skip
def test_a_wrong_pair_is_said_in_these_words(
    protocol: Protocol, port: int, security: str, words: str
) -> None:
    with pytest.raises(RuleError) as caught:
        check_security(protocol, port, Security[security])
    assert sentence(caught.value) == words


def test_a_person_is_warned_in_these_words() -> None:
    assert [sentence(one) for one in warnings(SMTP, 993, Security.NONE, non_standard=True)] == [
        "993 is usually an IMAP port, SMTP usually has 465.",
        "Login and messages travel unencrypted.",
    ]


@settings(deadline=None)
@given(st.text(), st.sampled_from(Protocol), st.booleans())
def test_whatever_is_typed_no_placeholder_is_left_in_the_answer(
    text: str, protocol: Protocol, non_standard: bool
) -> None:
    try:
        parse_server_string(text, protocol, non_standard=non_standard)
        words = "It is right."
    except RuleError as error:
        words = sentence(error)
    assert is_one_sentence(words)


def no_placeholder_is_left(words: str) -> bool:
    return "%(" not in words and words.isprintable()


def is_one_sentence(words: str) -> bool:
    ended = words.endswith(".") and ". " not in words
    return no_placeholder_is_left(words) and ended and words[0].isupper() and len(words) < 500
