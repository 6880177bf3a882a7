"""What a person reads when a mail server could not be used."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask_babel import Babel

from mail.server_errors import Cause
from web.cause_words import words

SERVER = "imap.firm.test:993"
AUDIENCES = [False, True]
# What an employee of a company's service cannot change.
SETTINGS = ("port", "security", "server's name", "OAuth", "spelling")


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    app = Flask("sentences")
    Babel(app)
    with app.app_context():
        yield


@pytest.mark.parametrize("administrator", AUDIENCES)
@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_short_sentences_that_name_the_server(
    cause: Cause, administrator: bool
) -> None:
    said = words(cause, SERVER, administrator=administrator)
    assert said.count(SERVER) == 1
    assert said.endswith(".")
    assert "!" not in said
    assert len(said) <= 190
    happened, _, advice = said.replace(SERVER, "it").partition(". ")
    assert happened
    assert advice, "what to do is missing"


@pytest.mark.parametrize("administrator", AUDIENCES)
def test_no_two_causes_sound_the_same(administrator: bool) -> None:
    said = [words(cause, SERVER, administrator=administrator) for cause in Cause]
    assert len(set(said)) == len(Cause)


@pytest.mark.parametrize("cause", Cause)
def test_an_employee_is_not_left_alone_with_what_only_an_administrator_can_change(
    cause: Cause,
) -> None:
    said = words(cause, SERVER)
    assert "Postroom" not in said
    if any(setting in said for setting in SETTINGS):
        assert "administrator" in said


@pytest.mark.parametrize("cause", Cause)
def test_an_administrator_is_sent_to_nobody_above(cause: Cause) -> None:
    assert "administrator" not in words(cause, SERVER, administrator=True).lower()


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (Cause.NAME_NOT_FOUND, "Check its spelling"),
        (Cause.CONNECTION_REFUSED, "Change the port"),
        (Cause.NOT_TLS, "Change Connection security to STARTTLS, or the port to 465"),
        (Cause.TLS_WANTED, "Change Connection security to TLS."),
        (Cause.STARTTLS_MISSING, "Change Connection security to TLS and the port"),
        (Cause.CERTIFICATE_WRONG_NAME, "Change the server's name"),
        (Cause.CERTIFICATE_UNTRUSTED, "into Trusted CA certificate"),
        (Cause.IMAP_ANSWERS, "is an IMAP server, not an SMTP server. Change the port to 465"),
        (Cause.SMTP_ANSWERS, "is an SMTP server, not an IMAP server. Change the port to 993"),
        (Cause.HTTP_ANSWERS, "is a web server. Change the port"),
        (Cause.AUTH_MISSING, "587 with STARTTLS or 465 with TLS"),
        (Cause.LOGIN_DISABLED, "Change Connection security"),
    ],
)
def test_alice_reads_which_field_to_change(cause: Cause, advice: str) -> None:
    assert advice in words(cause, SERVER, administrator=True)


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (Cause.LOGIN_REFUSED, "Type them again."),
        (Cause.APP_PASSWORD_WANTED, "Make one at your provider."),
        (Cause.OAUTH_WANTED, "Tell your administrator."),
        (Cause.NOT_TLS, "or tell your administrator."),
        (Cause.THROTTLED, "Try again later."),
    ],
)
def test_bob_reads_what_he_can_do(cause: Cause, advice: str) -> None:
    assert words(cause, SERVER).endswith(advice)


@pytest.mark.parametrize("administrator", AUDIENCES)
def test_a_cause_that_nobody_worded_is_an_answer_that_was_not_understood(
    administrator: bool,
) -> None:
    """Rows remember causes longer than the program does."""
    assert words("of_yesterday", SERVER, administrator=administrator) == words(
        Cause.PROTOCOL_ERROR, SERVER, administrator=administrator
    )
