"""What can go wrong with a mail server: the step, the cause, and the server's own words."""

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final

WORDS_LONGEST: Final = 500  # characters of a server's words that are kept


class Step(StrEnum):
    """What is done when a server is contacted. ``diagnosis.steps_for`` has their order."""

    NAME = "name"
    PORT = "port"
    ENCRYPTION = "encryption"
    CERTIFICATE = "certificate"
    GREETING = "greeting"
    LOGIN = "login"
    INBOX = "inbox"
    CAPABILITIES = "capabilities"  # the end of a test without a login


class Cause(StrEnum):
    """Why a mail server could not be used."""

    NAME_NOT_FOUND = "name_not_found"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_TIMED_OUT = "connection_timed_out"
    UNREACHABLE = "unreachable"
    NO_MAIL_SERVER = "no_mail_server"  # no more is told: see ``before_greeting``
    TLS_FAILED = "tls_failed"
    NOT_TLS = "not_tls"  # plain text where TLS was expected
    TLS_WANTED = "tls_wanted"  # the server waits for TLS where plain text was expected
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_WRONG_NAME = "certificate_wrong_name"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_REFUSED = "certificate_refused"  # anything else: not valid yet, too weak a key
    STARTTLS_MISSING = "starttls_missing"
    STARTTLS_INJECTED = "starttls_injected"
    PREAUTH = "preauth"
    BAD_GREETING = "bad_greeting"  # not a server of this protocol; if known, what else it is:
    IMAP_ANSWERS = "imap_answers"
    SMTP_ANSWERS = "smtp_answers"
    HTTP_ANSWERS = "http_answers"
    LOGIN_REFUSED = "login_refused"
    LOGIN_DISABLED = "login_disabled"  # there is no way to sign in with a password here
    AUTH_MISSING = "auth_missing"  # an SMTP server that lets nobody sign in
    OAUTH_WANTED = "oauth_wanted"
    APP_PASSWORD_WANTED = "app_password_wanted"  # noqa: S105 - the name of a cause
    OVER_QUOTA = "over_quota"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    INBOX_MISSING = "inbox_missing"
    PROTOCOL_ERROR = "protocol_error"
    TIMED_OUT = "timed_out"
    CLOSED = "closed"
    REFUSED = "refused"  # one command or one message, not the mailbox


_NEEDS_PERSON: Final = frozenset(
    {
        Cause.CERTIFICATE_EXPIRED,
        Cause.CERTIFICATE_WRONG_NAME,
        Cause.CERTIFICATE_UNTRUSTED,
        Cause.CERTIFICATE_REFUSED,
        Cause.STARTTLS_MISSING,
        Cause.STARTTLS_INJECTED,
        Cause.PREAUTH,
        Cause.LOGIN_REFUSED,
        Cause.LOGIN_DISABLED,
        Cause.AUTH_MISSING,
        Cause.OAUTH_WANTED,
        Cause.APP_PASSWORD_WANTED,
        Cause.OVER_QUOTA,
        Cause.INBOX_MISSING,
        Cause.REFUSED,
    }
)


class MailServerError(Exception):
    """A mail server could not be used.

    ``step`` is where it happened; once a session works, it stays the last step of the opening.
    ``server_words`` is what the server said, cleaned, at most 500 characters, and empty until it
    has greeted like a mail server. They are kept out of ``str()``: a server can say anything.
    ``started`` is True when the content of a message may have reached the server. ``beneath`` is
    what a no_mail_server really was: for a second look and for the log, for nobody's page.
    """

    def __init__(
        self,
        step: Step,
        cause: Cause,
        server_words: str = "",
        *,
        temporary: bool | None = None,
        started: bool = False,
    ) -> None:
        super().__init__(f"{step.value}: {cause.value}")
        self.step = step
        self.cause = cause
        self.server_words = clean_words(server_words)
        self.started = started
        self.beneath: MailServerError | None = None
        self._temporary = temporary

    @property
    def temporary(self) -> bool:
        """Whether the same may succeed later without anybody changing anything."""
        return self.cause not in _NEEDS_PERSON if self._temporary is None else self._temporary

    @property
    def refused_message(self) -> bool:
        """Whether this one command or message was refused, and the mailbox works."""
        return self.cause is Cause.REFUSED


def before_greeting(error: MailServerError) -> MailServerError:
    """What may be told of a server that an employee typed until it greets like a mail server.

    Refused, silent, forbidden, or something else that answers there: one step and one cause, or
    whoever types servers learns what listens in a network. Two are told as they are: a name that
    was not found, the usual slip of the pen, which speaks of the name alone; and what is wrong
    with a certificate, which has to be known to be put right.
    """
    if error.step in {Step.NAME, Step.CERTIFICATE}:
        return error
    told = MailServerError(Step.PORT, Cause.NO_MAIL_SERVER)
    told.beneath = error
    return told


def clean_words(words: str) -> str:
    """One line without control, format and bidirectional characters, at most 500 long."""
    shown = (letter if letter.isprintable() else " " for letter in words[: 4 * WORDS_LONGEST])
    return " ".join("".join(shown).split())[:WORDS_LONGEST].rstrip()


_SPOKEN: Final = (
    # Gmail, Yahoo, iCloud, Zoho, Fastmail, Yandex; mail.ru says it in transliterated Russian.
    (
        Cause.APP_PASSWORD_WANTED,
        re.compile(r"\bapp(lication)?([ -]specific)?[ -]password|parol prilozheniya", re.I),
    ),
    # Gmail ("Too many simultaneous connections", "exceeded command or bandwidth limits"), Yahoo,
    # Dovecot ("Maximum number of connections from user+IP exceeded").
    (
        Cause.THROTTLED,
        re.compile(
            r"\btoo many\b|\brate limit|\bbandwidth limit|\bthrottl|\bnumber of connections\b", re.I
        ),
    ),
    # Microsoft: "5.7.139 Authentication unsuccessful, basic authentication is disabled".
    (Cause.OAUTH_WANTED, re.compile(r"\bbasic auth\w* is (disabled|blocked)", re.I)),
    # Microsoft, with the same code: "SmtpClientAuthentication is disabled for the Tenant".
    (Cause.LOGIN_DISABLED, re.compile(r"\bsmtpclientauth\w* is disabled", re.I)),
    (Cause.UNAVAILABLE, re.compile(r"\btemporar(y|ily)\b", re.I)),
)

# RFC 7628, and what Google had before it and Microsoft took over.
_OAUTH: Final = frozenset({"OAUTHBEARER", "XOAUTH2"})


def spoken_cause(words: str, otherwise: Cause) -> Cause:
    """Why a server refuses, by what providers say: their codes alone do not tell these apart."""
    for cause, pattern in _SPOKEN:
        if pattern.search(words):
            return cause
    return otherwise


def no_password_cause(mechanisms: Collection[str]) -> Cause:
    """Why no password can be used where only these SASL mechanisms are offered, if any."""
    return (
        Cause.OAUTH_WANTED if mechanisms and _OAUTH.issuperset(mechanisms) else Cause.LOGIN_DISABLED
    )
