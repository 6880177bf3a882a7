"""Causes, and the words of servers."""

import pytest

from mail.server_errors import Cause, MailServerError, Step, clean_words, spoken_cause


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("  plain\r\n words ", "plain words"),
        ("\x1b[31mred\x07", "[31mred"),
        ("evil\u202etxt.exe\u200b", "evil txt.exe"),
        ("half \ud800", "half"),
        ("Почта \U0001f4e8 не работает", "Почта \U0001f4e8 не работает"),
        ("", ""),
    ],
)
def test_words_are_cleaned(said: str, shown: str) -> None:
    assert clean_words(said) == shown


def test_words_are_cut() -> None:
    assert clean_words("x" * 100_000) == "x" * 500
    assert MailServerError(Step.LOGIN, Cause.CLOSED, "a\nb").server_words == "a b"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("[ALERT] Application-specific password required: https://…", Cause.APP_PASSWORD_WANTED),
        (
            "5.7.8 authentication failed: Application password is REQUIRED",
            Cause.APP_PASSWORD_WANTED,
        ),
        ("535 5.7.0 NEOBHODIM parol prilozheniya https://help.mail.ru", Cause.APP_PASSWORD_WANTED),
        ("Please use an app password", Cause.APP_PASSWORD_WANTED),
        ("app-specific password", Cause.APP_PASSWORD_WANTED),
        ("Too many simultaneous connections. (Failure)", Cause.THROTTLED),
        ("[UNAVAILABLE] Maximum number of connections from user+IP exceeded", Cause.THROTTLED),
        ("Account exceeded command or bandwidth limits.", Cause.THROTTLED),
        ("5.7.139 unsuccessful, basic authentication is disabled.", Cause.OAUTH_WANTED),
        ("5.7.139 SmtpClientAuthentication is disabled for the Tenant.", Cause.LOGIN_DISABLED),
        ("Temporary authentication failure.", Cause.UNAVAILABLE),
        ("The password happened to be wrong", Cause.LOGIN_REFUSED),
        ("", Cause.LOGIN_REFUSED),
    ],
)
def test_what_providers_say(words: str, cause: Cause) -> None:
    assert spoken_cause(words, Cause.LOGIN_REFUSED) is cause


def test_what_heals_by_itself() -> None:
    def temporary(cause: Cause) -> bool:
        return MailServerError(Step.LOGIN, cause).temporary

    assert temporary(Cause.CLOSED)
    assert temporary(Cause.NAME_NOT_FOUND)
    assert temporary(Cause.UNAVAILABLE)
    assert not temporary(Cause.LOGIN_REFUSED)
    assert not temporary(Cause.CERTIFICATE_EXPIRED)
    assert MailServerError(Step.LOGIN, Cause.REFUSED, temporary=True).temporary


def test_the_text_of_an_error_repeats_no_server() -> None:
    error = MailServerError(Step.LOGIN, Cause.LOGIN_REFUSED, "words")
    assert (str(error), "words" in repr(error)) == ("login: login_refused", False)
    assert not error.refused_message
    assert not error.started
