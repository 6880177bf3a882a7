"""imaplib on a MailSocket: our limits and deadlines, and nobody's errors but ours.

imaplib is made to be subclassed at ``open``, ``read``, ``readline``, ``send`` and ``shutdown``.
Beyond these, what it says itself is replaced where it is too trusting: the greeting, a refusal,
a BYE, and what it remembers.
"""

import base64
import imaplib
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from mail.connection import Credentials, Network, Server, UnsendableError, start_tls
from mail.mail_socket import MailSocket
from mail.server_errors import Cause, MailServerError, Step, spoken_cause

log = logging.getLogger(__name__)

# One untagged response: its text, each literal with the text before it.
Row = list[bytes | tuple[bytes, bytes]]

# Of one answer, beside its literals: enough for the flags of 500,000 messages.
_LINES_BYTES: Final = 64 * 1024 * 1024
_LOGOUT_SECONDS: Final = 5.0
_NEWS: Final = frozenset({"EXISTS", "EXPUNGE", "FETCH", "VANISHED"})
_GREETING: Final = re.compile(rb"\* (OK|PREAUTH|BYE)(?: (.*))?", re.IGNORECASE)
# Unlike imaplib's own, without demanding a text behind OK, which some servers leave out.
_TAGGED: Final = re.compile(rb"(?P<tag>P\d+) (?P<type>OK|NO|BAD)\b ?(?P<data>.*)")
_CODE: Final = re.compile(r"\[([A-Za-z0-9-]+)[ \]]")
# RFC 5530.
_CODE_CAUSES: Final = {
    "UNAVAILABLE": Cause.UNAVAILABLE,
    "INUSE": Cause.UNAVAILABLE,
    "SERVERBUG": Cause.UNAVAILABLE,
    "OVERQUOTA": Cause.OVER_QUOTA,
    "THROTTLED": Cause.THROTTLED,  # Gmail's and Yahoo's
    "AUTHENTICATIONFAILED": Cause.LOGIN_REFUSED,
    "AUTHORIZATIONFAILED": Cause.LOGIN_REFUSED,
    "EXPIRED": Cause.LOGIN_REFUSED,
    "PRIVACYREQUIRED": Cause.LOGIN_DISABLED,
}
_STEP_CAUSES: Final = {Step.ENCRYPTION: Cause.TLS_FAILED, Step.LOGIN: Cause.LOGIN_REFUSED}
# After these the connection can no longer be used.
_BROKEN: Final = frozenset({Cause.TIMED_OUT, Cause.CLOSED, Cause.PROTOCOL_ERROR})
imaplib.Commands.setdefault("IDLE", ("AUTH", "SELECTED"))  # Python 3.14 knows it by itself
# What imaplib and IMAPClient are known to raise while they read something unexpected.
_MISUNDERSTOOD: Final = (
    imaplib.IMAP4.error,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    RecursionError,
)


class Wire(imaplib.IMAP4):
    """Greets at once. Every method may raise MailServerError, or UnsendableError before sending.

    ``hide`` takes what nobody may read out of the server's words.
    """

    def __init__(self, line: MailSocket, network: Network, hide: Callable[[str], str]) -> None:
        self.line = line
        self._network = network
        self._hide = hide
        with self.understood():
            super().__init__()

    def open(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - opened already
        self.sock = self.line  # type: ignore[assignment]

    def read(self, size: int) -> bytes:
        return self.line.read(size)

    def readline(self) -> bytes:
        return self.line.readline()

    def send(self, data: Any) -> None:
        self.line.send(data)

    def shutdown(self) -> None:
        self.line.close()

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Around all that reads an answer: what the server did wrong becomes MailServerError."""
        try:
            yield
        except UnsendableError:
            raise
        except MailServerError as error:
            if error.cause in _BROKEN:
                self.line.close()
            raise
        except imaplib.IMAP4.readonly:
            raise self.line.failure(Cause.REFUSED) from None
        except _MISUNDERSTOOD as error:
            # Its text may hold anything, a password too.
            log.info("an answer was not understood: %s", type(error).__name__)
            self.line.close()
            raise self.line.failure(Cause.PROTOCOL_ERROR) from None

    def encrypt(self, server: Server, on_step: Callable[[Step], None]) -> None:
        """STARTTLS (RFC 9051, section 6.2.1), or an error: never on in the clear."""
        self.line.step = Step.ENCRYPTION
        if "STARTTLS" not in self.capabilities:
            raise self.line.failure(Cause.STARTTLS_MISSING)
        with self.understood():
            self._simple_command("STARTTLS")
        start_tls(self.line, server, self._network, on_step)
        with self.understood():
            self._get_capabilities()  # what was offered before is forgotten

    def sign_in(self, credentials: Credentials) -> None:
        """AUTHENTICATE PLAIN (RFC 4616, UTF-8) where offered, else LOGIN, which is ASCII."""
        self.line.step = Step.LOGIN
        with self.understood():
            if "AUTH=PLAIN" in self.capabilities:
                self._authenticate_plain(credentials.plain)
            else:
                words = (credentials.login.encode(), credentials.password.encode())
                if "LOGINDISABLED" in self.capabilities or not b"".join(words).isascii():
                    raise self.line.failure(Cause.LOGIN_DISABLED)
                self._simple_command("LOGIN", *map(quoted, words))
            self.state = "AUTH"
            self._get_capabilities()

    def ask(self, response: str, command: str, *arguments: str | bytes) -> list[Row]:
        """Runs a command; the untagged responses of that name which came before its end."""
        with self.understood():
            self._simple_command(command, *arguments)
            return rows(self.untagged_responses.get(response, []))

    @contextmanager
    def longer_lines(self, length: int) -> Iterator[None]:
        """For an answer that is one line however much it says, as SEARCH's is."""
        usual = self.line.line_bytes
        self.line.line_bytes = usual + min(length, self.line.literal_bytes)
        try:
            yield
        finally:
            self.line.line_bytes = usual

    def wait_for_news(self, seconds: float) -> bool:
        """IDLE (RFC 2177) for so long; True, sooner, when the selected folder changed."""
        until = time.monotonic() + seconds
        with self.understood():
            tag = self._command("IDLE")
            while self._get_response() is not None:
                if self.tagged_commands[tag]:
                    self._command_complete("IDLE", tag)
            while not self._has_news() and self.line.wait(until - time.monotonic()):
                self.untagged_responses = {}  # "still here", for hours
                self._begin()
                self._get_response()
                self._check_bye()
            self._begin()
            self.send(b"DONE\r\n")
            self._command_complete("IDLE", tag)
            return self._has_news()

    def _authenticate_plain(self, message: bytes) -> None:
        if "SASL-IR" in self.capabilities:  # RFC 4959: saves a round trip
            self._simple_command("AUTHENTICATE", "PLAIN", base64.b64encode(message))
            return
        answers = iter([message])
        # A server that asks a second time gets "*", which ends it.
        self.authenticate("PLAIN", lambda _: next(answers, None))

    def say_goodbye(self) -> None:
        """LOGOUT and the end of the connection; never raises MailServerError."""
        try:
            with self.understood():
                tag = self._command("LOGOUT")
                self.line.begin(min(_LOGOUT_SECONDS, self._network.command_seconds), _LINES_BYTES)
                self._get_tagged_response(tag, expect_bye=True)
        except MailServerError as error:
            log.debug("no goodbye: %s", error)
        finally:
            self.state = "LOGOUT"
            self.line.close()

    def _has_news(self) -> bool:
        return not _NEWS.isdisjoint(self.untagged_responses)

    def _begin(self) -> None:
        self.line.begin(self._network.command_seconds, _LINES_BYTES)

    def _words(self, said: bytes) -> str:
        return self._hide(said.decode("utf-8", "replace"))

    def _cause(self, words: str, otherwise: Cause) -> Cause:
        code = _CODE.match(words)
        by_code = _CODE_CAUSES.get(code[1].upper(), otherwise) if code else otherwise
        return spoken_cause(words, by_code)

    def _greeting(self) -> re.Match[bytes]:
        try:
            found = _GREETING.fullmatch(self._get_line())
        except MailServerError as error:
            if error.cause is not Cause.PROTOCOL_ERROR:
                raise
            found = None  # a line without end
        if found is None:
            raise self.line.failure(Cause.BAD_GREETING)
        return found

    # From here on imaplib's own methods, replaced.

    def _connect(self) -> None:
        """Reads the greeting (RFC 9051, sections 7.1.4 and 7.1.5) and asks what is offered."""
        self.tagpre = b"P"  # type: ignore[assignment]  # typeshed takes it for str
        self.tagre = _TAGGED  # type: ignore[assignment]
        self._begin()
        greeting = self._greeting()
        kind, words = greeting[1].upper(), self._words(greeting[2] or b"")
        if kind == b"PREAUTH":
            # Whoever stands between says so to be told secrets without STARTTLS (CVE-2020-12398).
            raise self.line.failure(Cause.PREAUTH, words)
        if kind == b"BYE":
            raise self.line.failure(self._cause(words, Cause.UNAVAILABLE), words)
        self.state = "NONAUTH"
        self._get_capabilities()

    def _command(self, name: str, *args: str | bytes | None) -> bytes:
        """Begins a command with nothing left of the one before, and no line break in it."""
        for argument in args:
            if not _is_sendable(argument):
                self.literal = None
                raise UnsendableError("an argument of a command has a line break or NUL in it")
        self.untagged_responses = {}
        self._begin()
        tag: bytes = super()._command(name, *args)  # type: ignore[misc]  # typeshed hides it
        return tag

    def _command_complete(self, _name: str, tag: bytes) -> tuple[str, list[bytes]]:
        """Raises MailServerError unless the answer is OK."""
        kind, data = self._get_tagged_response(tag)
        self._check_bye()
        words = self._words(data[-1])
        # RFC 5530: some of the messages are gone; what is left was answered.
        if kind == "OK" or words.upper().startswith("[EXPUNGEISSUED]"):
            return "OK", data
        otherwise = _STEP_CAUSES.get(self.line.step, Cause.REFUSED)
        if kind == "BAD":
            otherwise = Cause.PROTOCOL_ERROR
        raise self.line.failure(self._cause(words, otherwise), words)

    def _check_bye(self) -> None:
        bye = self.untagged_responses.get("BYE")
        if bye:
            words = self._words(b"".join(piece for piece in bye if isinstance(piece, bytes)))
            raise self.line.failure(self._cause(words, Cause.CLOSED), words)

    def _get_line(self) -> bytes:
        return self.readline().rstrip(b"\r\n")

    def _log(self, line: str) -> None:
        """imaplib keeps the last commands for a debugger, passwords and all. We do not."""


def _is_sendable(argument: str | bytes | None) -> bool:
    if isinstance(argument, str):
        return argument.isascii() and _is_sendable(argument.encode())
    return argument is None or not any(byte in argument for byte in b"\r\n\0")


def quoted(text: bytes) -> bytes:
    """A quoted string (RFC 9051, section 9)."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def rows(data: Iterable[bytes | tuple[bytes, bytes]]) -> list[Row]:
    """Puts together what belongs to one response: imaplib keeps the pieces around literals
    behind each other, and ends every response with a piece that is no pair."""
    found: list[Row] = []
    row: Row = []
    for piece in data:
        row.append(piece)
        if isinstance(piece, bytes):
            found.append(row)
            row = []
    return found
