"""Hands a message to an SMTP server (RFC 5321, RFC 6409).

Not by smtplib: it sends the content of a message and its end in one call with DATA, it lets
anything stand behind the answer to STARTTLS, it signs in with ASCII passwords only, and it waits
anew at every byte.
"""

import base64
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

import idna

from mail.connection import (
    Credentials,
    Network,
    Server,
    UnsendableError,
    ignore_step,
    open_socket,
    require_one_line,
    start_tls,
)
from mail.mail_socket import MailSocket
from mail.security import Security
from mail.server_errors import (
    Cause,
    MailServerError,
    Step,
    clean_words,
    no_password_cause,
    spoken_cause,
)

log = logging.getLogger(__name__)

# RFC 5321, section 4.1.3, wants a name or an address. This one tells nobody anything about the
# company's network, and passes where "localhost" is refused for having no dot.
EHLO_NAME: Final = "[127.0.0.1]"
_REPLY_BYTES: Final = 256 * 1024
_QUIT_SECONDS: Final = 5.0
_EARLY_SECONDS: Final = 1.0
# RFC 5321, section 4.5.3.2.6: the answer to a message may take 10 minutes. Whoever gives up
# sooner leaves people with messages of which nobody knows whether they went.
_CONTENT_FACTOR: Final = 10
_CONTENT_SECONDS: Final = 600.0
_NOT_THERE: Final = 553
_REPLY_LINE: Final = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?")
_BARE_END: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
# No way to sign in with a password: mechanism, order or encryption is not as the server wants it.
_NO_WAY_IN: Final = frozenset({500, 502, 503, 504, 530, 538})


@dataclass(frozen=True, slots=True)
class Reply:
    """``words`` are the server's, cleaned, at most 500 characters, in one line."""

    code: int
    words: str

    @property
    def accepted(self) -> bool:
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        """Refused for now; a permanent refusal is neither accepted nor temporary."""
        return 400 <= self.code < 500


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """The answer to one RCPT. Not yet a delivery: that is the answer to DATA."""

    code: int
    words: str
    accepted: bool


def open_smtp(
    server: Server,
    credentials: Credentials,
    network: Network,
    on_step: Callable[[Step], None] = ignore_step,
    *,
    ehlo_name: str = EHLO_NAME,
) -> "SmtpSession":
    """Connects, encrypts exactly as configured, and signs in.

    ``on_step`` is called after each step that succeeded. Raises MailServerError, and ValueError
    (UnsendableError) when login or password could not be sent.
    """
    credentials.require_sendable()
    session = SmtpSession(open_socket(server, network, on_step), network, credentials.hide_in)
    try:
        session.start(server, on_step, ehlo_name)
        session.sign_in(credentials)
        on_step(Step.LOGIN)
    except BaseException:
        session.close()
        raise
    return session


class SmtpSession:
    """One signed-in connection; a context manager that says QUIT. Not for two threads at once.

    Every method may raise MailServerError; UnsendableError (a ValueError) comes before anything
    is sent. ``hide`` takes what nobody may read out of the server's words. ``extensions`` are what
    the server offered last, in upper case: parameters by name (RFC 5321, section 4.1.1.1).
    """

    def __init__(self, line: MailSocket, network: Network, hide: Callable[[str], str]) -> None:
        self._line = line
        self._network = network
        self._hide = hide
        self.extensions: dict[str, str] = {}
        self._in_transaction = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.quit()
        else:
            self.close()

    def envelope(
        self, sender: str, recipients: Iterable[str], *, size: int | None = None
    ) -> dict[str, RecipientResult]:
        """MAIL and a RCPT for each recipient; what the server said of each.

        A domain goes out in its ASCII form. An address that is not ASCII before the @ needs
        SMTPUTF8 (RFC 6531): without it the recipient is refused here with 553 5.6.7, and such a
        sender is ``refused``. ``size`` in bytes is announced if the server wants to know it.
        """
        listed = list(dict.fromkeys(recipients))
        paths = {address: _path(address) for address in (sender, *listed)}
        international = "SMTPUTF8" in self.extensions
        if not (international or paths[sender].isascii()):
            raise self._line.failure(Cause.REFUSED)
        if self._in_transaction:
            self._command("RSET")
        self._in_transaction = True
        options = self._options(size, utf8=not "".join(paths.values()).isascii())
        reply = self._command(f"MAIL FROM:<{paths[sender]}>{options}")
        if not reply.accepted:
            raise self._refusal(reply)
        results = {}
        for address in listed:
            if international or paths[address].isascii():
                results[address] = self._recipient(paths[address])
            else:
                words = "5.6.7 the server does not offer SMTPUTF8"
                results[address] = RecipientResult(_NOT_THERE, words, accepted=False)
        return results

    def data(self, raw: bytes, before_content: Callable[[], None]) -> Reply:
        """Sends the message to the recipients that were accepted, and returns the answer.

        ``before_content`` is called when the server is ready and not one byte of the message has
        left. What it raises passes through, and the connection is closed: the server forgets
        a message without an end. A refusal that comes in the middle of the content closes it, too.
        MailServerError with ``started`` False means that the message
        did not go out; with True, that nobody knows.
        """
        content = dot_stuffed(raw)
        reply = self._command("DATA")
        if reply.code != 354:
            raise self._refusal(reply)
        try:
            before_content()
        except BaseException:
            self.close()
            raise
        self._in_transaction = False
        try:
            return self._content(content)
        except MailServerError as error:
            self.close()
            error.started = True
            raise

    def quit(self) -> None:
        """Says QUIT and closes. Never raises MailServerError."""
        try:
            self._command("QUIT", min(_QUIT_SECONDS, self._network.command_seconds))
        except MailServerError as error:
            log.debug("no goodbye: %s", error)
        finally:
            self.close()

    def close(self) -> None:
        self._line.close()

    # How a session begins; open_smtp calls start and sign_in.

    def start(self, server: Server, on_step: Callable[[Step], None], ehlo_name: str) -> None:
        """The greeting, EHLO, and encryption exactly as configured."""
        self.greet(ehlo_name)
        on_step(Step.GREETING)
        if server.security is Security.STARTTLS:
            self.agree_on_tls()
            start_tls(self._line, server, self._network, on_step)
            self.say_hello(ehlo_name)

    def greet(self, ehlo_name: str) -> None:
        """The server's greeting, and EHLO."""
        self._begin(self._network.command_seconds)
        try:
            reply = self._reply()
        except MailServerError as error:
            if error.cause is not Cause.PROTOCOL_ERROR:
                raise
            reply = None  # anything but an SMTP server
        if reply is None or 300 <= reply.code < 400:
            raise self._line.failure(Cause.BAD_GREETING)
        if not reply.accepted:
            cause = spoken_cause(reply.words, Cause.UNAVAILABLE)
            raise self._line.failure(cause, reply.words)
        self.say_hello(ehlo_name)

    def say_hello(self, ehlo_name: str) -> None:
        """EHLO. What was offered before is forgotten (RFC 3207, section 4.2)."""
        lines = self._exchange(f"EHLO {ehlo_name}")
        reply = self._read_as_reply(lines)
        if not reply.accepted:
            # Without EHLO there is no AUTH. FTP servers greet with 220, too.
            cause = Cause.UNAVAILABLE if reply.temporary else Cause.BAD_GREETING
            raise self._line.failure(cause, reply.words)
        self.extensions = {}
        for _, words in lines[1:]:
            # "AUTH=PLAIN LOGIN" is how it was written before RFC 2554.
            name, _, parameters = words.replace("=", " ", 1).partition(" ")
            known = self.extensions.get(name.upper(), "")
            self.extensions[name.upper()] = f"{known} {parameters}".upper()

    def agree_on_tls(self) -> None:
        """STARTTLS (RFC 3207), or an error: never on in the clear. The handshake has to follow."""
        self._line.step = Step.ENCRYPTION
        if "STARTTLS" not in self.extensions:
            raise self._line.failure(Cause.STARTTLS_MISSING)
        reply = self._command("STARTTLS")
        if reply.code != 220:
            raise self._line.failure(Cause.TLS_FAILED, reply.words)

    def require_password_login(self) -> None:
        """Raises MailServerError where no password is taken, before one is said."""
        mechanisms = self.extensions.get("AUTH", "").split()
        if not mechanisms:
            raise self._line.failure(Cause.AUTH_MISSING)
        if "PLAIN" not in mechanisms and "LOGIN" not in mechanisms:
            raise self._line.failure(no_password_cause(mechanisms))

    def sign_in(self, credentials: Credentials) -> None:
        """AUTH PLAIN (RFC 4616) or, where that is not offered, AUTH LOGIN; both in UTF-8."""
        self._line.step = Step.LOGIN
        self.require_password_login()
        command, answers = "AUTH LOGIN", [credentials.login, credentials.password]
        if "PLAIN" in self.extensions["AUTH"].split():
            command, answers = f"AUTH PLAIN {_base64(credentials.plain)}", []
        reply = self._command(command)
        for answer in answers:
            if reply.code != 334:
                break
            reply = self._command(_base64(answer.encode()))
        if reply.code != 235:
            raise self._line.failure(_login_cause(reply), reply.words)

    def _recipient(self, path: str) -> RecipientResult:
        reply = self._command(f"RCPT TO:<{path}>")
        if reply.code == 421:  # the server leaves (RFC 5321, section 3.8)
            raise self._refusal(reply)
        return RecipientResult(reply.code, reply.words, reply.accepted)

    def _options(self, size: int | None, *, utf8: bool) -> str:
        options = ""
        if size is not None and "SIZE" in self.extensions:
            options += f" SIZE={size}"
        if "8BITMIME" in self.extensions:  # RFC 6152: it may be, it need not be
            options += " BODY=8BITMIME"
        return f"{options} SMTPUTF8" if utf8 else options

    def _content(self, content: bytes) -> Reply:
        self._begin(self._network.command_seconds)
        try:
            self._line.send(content)
        except MailServerError:
            refusal = self._early_refusal()
            if refusal is None:
                raise
            self.close()  # the next command would stand in the middle of this message
            return refusal
        self._begin(min(self._network.command_seconds * _CONTENT_FACTOR, _CONTENT_SECONDS))
        reply = self._reply()
        if reply.code < 400 and not reply.accepted:
            raise self._line.failure(Cause.PROTOCOL_ERROR, reply.words)
        return reply

    def _early_refusal(self) -> Reply | None:
        """What a server says that hangs up in the middle of a message it does not want."""
        self._begin(_EARLY_SECONDS)
        try:
            reply = self._reply()
        except MailServerError:
            return None
        return reply if reply.code >= 400 else None

    def _refusal(self, reply: Reply) -> MailServerError:
        """Of MAIL, of DATA, or of all that follows (421)."""
        otherwise = Cause.UNAVAILABLE if reply.code == 421 else Cause.REFUSED
        if reply.temporary and spoken_cause(reply.words, otherwise) is Cause.THROTTLED:
            otherwise = Cause.THROTTLED
        if not 400 <= reply.code <= 599:
            otherwise = Cause.PROTOCOL_ERROR
        step, temporary = self._line.step, reply.code < 500
        return MailServerError(step, otherwise, reply.words, temporary=temporary)

    def _command(self, text: str, seconds: float | None = None) -> Reply:
        return self._read_as_reply(self._exchange(text, seconds))

    def _exchange(self, text: str, seconds: float | None = None) -> list[tuple[int, str]]:
        require_one_line(text, "A command")
        self._begin(self._network.command_seconds if seconds is None else seconds)
        self._line.send(f"{text}\r\n".encode())
        return self._lines()

    def _begin(self, seconds: float) -> None:
        self._line.begin(seconds, _REPLY_BYTES)

    def _reply(self) -> Reply:
        return self._read_as_reply(self._lines())

    def _read_as_reply(self, lines: list[tuple[int, str]]) -> Reply:
        words = clean_words(self._hide(" ".join(words for _, words in lines)))
        return Reply(lines[0][0], words)

    def _lines(self) -> list[tuple[int, str]]:
        """Code and text of each line of one reply (RFC 5321, section 4.2.1)."""
        lines = []
        while True:
            found = _REPLY_LINE.fullmatch(self._line.readline().rstrip(b"\r\n"))
            if found is None:
                raise self._line.failure(Cause.PROTOCOL_ERROR)
            lines.append((int(found[1]), (found[3] or b"").decode("utf-8", "replace")))
            if lines[-1][0] != lines[0][0]:
                raise self._line.failure(Cause.PROTOCOL_ERROR)
            if found[2] != b"-":
                return lines


def dot_stuffed(raw: bytes) -> bytes:
    """The message as DATA carries it, with its end (RFC 5321, section 4.5.2).

    A bare CR or LF becomes CRLF: some servers take "LF . LF" for the end of a message, and what
    follows for commands.
    """
    if _BARE_END.search(raw):
        raw = _LINE_END.sub(b"\r\n", raw)
    stuffed = raw.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") or not stuffed else b"\r\n.\r\n")


def _path(address: str) -> str:
    """What stands between < and >, with the domain in ASCII. Raises UnsendableError."""
    require_one_line(address, "An address")
    if any(letter in "<>" or not letter.isprintable() for letter in address):
        raise UnsendableError("An address cannot contain < or > or what is not printed.")
    local, at, domain = address.rpartition("@")
    try:
        return f"{local}{at}{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return address


def _login_cause(reply: Reply) -> Cause:
    """RFC 4954, section 6, and what providers make of it."""
    if reply.code == 534 and reply.words.startswith("5.7.9"):
        return Cause.APP_PASSWORD_WANTED  # Gmail's; the RFC means too weak a mechanism by it
    if reply.code in _NO_WAY_IN:
        return Cause.LOGIN_DISABLED
    if reply.temporary:
        return spoken_cause(reply.words, Cause.UNAVAILABLE)
    if reply.code < 500:
        return Cause.PROTOCOL_ERROR
    return spoken_cause(reply.words, Cause.LOGIN_REFUSED)


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode("ascii")
