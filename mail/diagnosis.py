"""The connection test: everything that using a mailbox needs, step by step, and no more.

With a login, ``try_imap`` and ``try_smtp`` go as far as a mailbox does. Without one, ``probe`` ends
with what the server offers; it knows no credential. Where a failure alone does not say what stands
at the other end, a second look does (``_understood``).

Of a server that an employee typed, they say more than no_mail_server only where a mail server
answered. Any other test of it ends ``network.typed_seconds`` after it began: else a port that is
closed and one that is silent would be told apart with a watch. A name that was not found ends it
at once: that is said anyway, and whoever mistypes one should not have to wait.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import Final

from mail.connection import Credentials, Network, Server, ignore_step, open_socket
from mail.imap import client
from mail.imap.client import open_session
from mail.imap.wire import Wire
from mail.mail_socket import MailSocket
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from mail.smtp import EHLO_NAME, SmtpSession, open_smtp

_LOOK_SECONDS: Final = 2.0  # for each silence of a second look
_CONNECT_SECONDS: Final = 5.0  # for each of its connections
_LOOK_BYTES: Final = 16 * 1024
_IMAP_GREETING: Final = re.compile(rb"\* (OK|PREAUTH|BYE)\b", re.IGNORECASE)
# Changes nothing anywhere, and has no content in its answer (RFC 9110, section 9.3.2).
_HTTP_REQUEST: Final = b"HEAD / HTTP/1.0\r\n\r\n"
_ANSWERS: Final = {Protocol.IMAP: Cause.IMAP_ANSWERS, Protocol.SMTP: Cause.SMTP_ANSWERS}
# After these another security may be the right one: see ``right_security``.
SECURITY_CAUSES: Final = frozenset(
    {
        Cause.NOT_TLS,
        Cause.TLS_WANTED,
        Cause.STARTTLS_MISSING,
        Cause.AUTH_MISSING,  # many servers offer it only when the connection is encrypted
        Cause.LOGIN_DISABLED,
    }
)
_MECHANISM: Final = re.compile(r"[A-Z0-9_-]{1,20}")  # RFC 4422, section 3.1
_TOLD: Final = {
    Protocol.IMAP: ("IDLE", "CONDSTORE", "QRESYNC", "MOVE", "SPECIAL-USE"),
    Protocol.SMTP: ("SMTPUTF8",),
}


@dataclass(frozen=True)
class Offers:
    """What a server offers to whoever has not signed in yet.

    ``mechanisms`` are those of SASL, and LOGIN where IMAP's command of that name is allowed.
    ``extensions`` are those of the protocol that make a difference here, in a fixed order; many
    IMAP servers (Dovecot, Gmail) announce more of them after the login. ``size_limit`` is the
    largest message in bytes that an SMTP server takes (RFC 1870), None where it names no limit.
    """

    mechanisms: tuple[str, ...]
    extensions: tuple[str, ...]
    size_limit: int | None = None


def steps_for(server: Server, login: bool = True) -> tuple[Step, ...]:
    """The steps of a test in the order in which they happen with this protocol and security."""
    encryption = (Step.ENCRYPTION, Step.CERTIFICATE)
    middle = {
        Security.NONE: (Step.GREETING,),
        Security.STARTTLS: (Step.GREETING, *encryption),
        Security.TLS: (*encryption, Step.GREETING),
    }
    end: tuple[Step, ...] = (Step.CAPABILITIES,)
    if login:
        end = (Step.LOGIN, Step.INBOX) if server.protocol is Protocol.IMAP else (Step.LOGIN,)
    return (Step.NAME, Step.PORT, *middle[server.security], *end)


def try_imap(
    server: Server,
    credentials: Credentials,
    network: Network,
    on_step: Callable[[Step], None] = ignore_step,
) -> None:
    """Signs in and opens INBOX for reading only. ``on_step`` is called after each success.

    Raises MailServerError, and ValueError when login or password could not be sent.
    """
    with (
        _understood(server, network),
        open_session(server, credentials, network, on_step) as session,
    ):
        try:
            session.select("INBOX", readonly=True)
        except MailServerError as error:
            if error.cause is not Cause.REFUSED:
                raise
            raise MailServerError(Step.INBOX, Cause.INBOX_MISSING, error.server_words) from None
        on_step(Step.INBOX)


def try_smtp(
    server: Server,
    credentials: Credentials,
    network: Network,
    on_step: Callable[[Step], None] = ignore_step,
) -> None:
    """Signs in; no message is sent. Else as ``try_imap``."""
    with _understood(server, network), open_smtp(server, credentials, network, on_step):
        pass


def probe(
    server: Server, network: Network, on_step: Callable[[Step], None] = ignore_step
) -> Offers:
    """Greeting, encryption and what is offered then. ``on_step`` is called after each success.

    Raises MailServerError, also where no password could be used: auth_missing, login_disabled,
    oauth_wanted.
    """
    look = _probe_imap if server.protocol is Protocol.IMAP else _probe_smtp
    with _understood(server, network), closing(open_socket(server, network, on_step)) as line:
        return look(line, server, network, on_step)


def right_security(server: Server, network: Network) -> Security | None:
    """The best other security with which the same port greets and encrypts; None without one.

    For use after one of ``SECURITY_CAUSES``; nobody signs in. A certificate may have any fault:
    that is another question. ``Security.NONE`` is an answer, too, also where somebody in between
    takes STARTTLS away: whoever offers it says what it means. All of it takes about
    ``network.connect_seconds`` at most.
    """
    others = [one for one in reversed(Security) if one is not server.security]
    deadline = monotonic() + network.connect_seconds
    for left, security in zip(range(len(others), 0, -1), others, strict=True):
        seconds = (deadline - monotonic()) / left / 2  # a connection, and what is said over it
        quick = replace(network, connect_seconds=seconds, command_seconds=seconds)
        if _speaks(replace(server, security=security), quick):
            return security
    return None


def _speaks(server: Server, network: Network) -> bool:
    start = _start_imap if server.protocol is Protocol.IMAP else _start_smtp
    try:
        with closing(open_socket(server, network)) as line:
            start(line, server, network, ignore_step)
    except MailServerError as error:
        return error.step is Step.CERTIFICATE
    return True


def _start_imap(
    line: MailSocket, server: Server, network: Network, on_step: Callable[[Step], None]
) -> Wire:
    wire = Wire(line, network, str)
    client.start(wire, server, on_step)
    return wire


def _start_smtp(
    line: MailSocket, server: Server, network: Network, on_step: Callable[[Step], None]
) -> SmtpSession:
    session = SmtpSession(line, network, str)
    session.start(server, on_step, EHLO_NAME)
    return session


def _probe_imap(
    line: MailSocket, server: Server, network: Network, on_step: Callable[[Step], None]
) -> Offers:
    wire = _start_imap(line, server, network, on_step)
    line.step = Step.CAPABILITIES
    client.require_password_login(wire)
    on_step(Step.CAPABILITIES)
    wire.say_goodbye()
    mechanisms = [one[5:] for one in wire.capabilities if one.startswith("AUTH=")]
    if "LOGINDISABLED" not in wire.capabilities:
        mechanisms.append("LOGIN")
    return _offers(server.protocol, mechanisms, wire.capabilities)


def _probe_smtp(
    line: MailSocket, server: Server, network: Network, on_step: Callable[[Step], None]
) -> Offers:
    session = _start_smtp(line, server, network, on_step)
    line.step = Step.CAPABILITIES
    session.require_password_login()
    on_step(Step.CAPABILITIES)
    session.quit()
    offers = _offers(server.protocol, session.extensions["AUTH"].split(), session.extensions)
    size = session.extensions.get("SIZE", "").strip()
    # 0 means that there is no fixed limit. 20 digits are what RFC 1870 allows.
    limit = int(size) if size.isascii() and size.isdigit() and len(size) <= 20 else 0
    return replace(offers, size_limit=limit or None)


def _offers(protocol: Protocol, mechanisms: Iterable[str], extensions: Iterable[str]) -> Offers:
    return Offers(
        tuple(sorted({one for one in mechanisms if _MECHANISM.fullmatch(one)})),
        tuple(one for one in _TOLD[protocol] if one in extensions),
    )


# ---- A second look ---------------------------------------------------------------------------


@contextmanager
def _understood(server: Server, network: Network) -> Iterator[None]:
    """Puts the true cause in the place of one that can have several."""
    end = monotonic() + network.typed_seconds
    try:
        yield
    except MailServerError as error:
        seen = error.beneath or error
        try:
            cause = _look_again(seen, server, _for_looks(server, network, end - monotonic()))
        except MailServerError:
            cause = None  # nothing answers any more
        if cause is not None:
            raise MailServerError(seen.step, cause, seen.server_words) from None
        if error.beneath is not None:
            sleep(max(end - monotonic(), 0))
        raise


def _for_looks(server: Server, network: Network, seconds: float) -> Network:
    """With limits under which two looks at what an employee typed, each of a connection and two
    silences, end within ``seconds``.
    """
    connect = min(network.connect_seconds, _CONNECT_SECONDS)
    command = min(network.command_seconds, _LOOK_SECONDS)
    if server.is_typed:
        connect, command = min(connect, seconds / 6), min(command, seconds / 6)
    return replace(network, connect_seconds=connect, command_seconds=command, typed_seconds=seconds)


def _look_again(error: MailServerError, server: Server, network: Network) -> Cause | None:
    """A cause that says more, if there is one; of a server that an employee typed, only what a mail
    server says of itself. Raises MailServerError when there is no connection any more.
    """
    own = _ANSWERS[server.protocol]
    silent = error.cause in {Cause.TIMED_OUT, Cause.CLOSED}
    if error.step is Step.ENCRYPTION and server.security is Security.TLS:
        # Whatever speaks in the clear, the other protocol's name or HTTP's says more than that.
        found = _who_answers(replace(server, security=Security.NONE), network)
        return Cause.NOT_TLS if found is own else found
    if error.step is Step.GREETING and silent and server.security is not Security.TLS:
        # Whoever waits for a TLS client says nothing. Neither does who waits for a request.
        try:
            found = _who_answers(replace(server, security=Security.TLS), network)
        except MailServerError as failure:
            if failure.step is Step.CERTIFICATE and not server.is_typed:
                return Cause.TLS_WANTED
        else:
            wants_tls = found is own or (found is None and not server.is_typed)
            return Cause.TLS_WANTED if wants_tls else found
    if error.step is Step.GREETING and (silent or error.cause is Cause.BAD_GREETING):
        found = _who_answers(server, network)
        return None if found is own else found
    return None


def _who_answers(server: Server, network: Network) -> Cause | None:
    """Who greets there or, after a silence, answers to HTTP. None when it is somebody else.

    At what an employee typed nobody is asked, and only mail servers are named. Raises
    MailServerError when there is no connection.
    """
    with closing(open_socket(server, network)) as line:
        try:
            greets = line.wait(network.command_seconds)
            line.begin(network.command_seconds, _LOOK_BYTES)
            if not greets and not server.is_typed:
                line.send(_HTTP_REQUEST)
            found = _speaker(line)
        except MailServerError:
            return None
    return None if server.is_typed and found is Cause.HTTP_ANSWERS else found


def _speaker(line: MailSocket) -> Cause | None:
    said = line.readline()
    if said.startswith(b"HTTP/"):
        return Cause.HTTP_ANSWERS
    if _IMAP_GREETING.match(said):
        return Cause.IMAP_ANSWERS
    if not said.startswith(b"220"):
        return None
    while said[3:4] == b"-":
        said = line.readline()
    line.send(f"EHLO {EHLO_NAME}\r\n".encode())  # FTP greets with 220, too
    return Cause.SMTP_ANSWERS if line.readline().startswith(b"250") else None
