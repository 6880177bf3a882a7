"""Opens every connection to a mail server; nothing else in the project does.

A name is resolved once (the operator's own table of hosts first), its addresses are tried in
order, and a certificate is always verified against the name that was configured. Whatever goes
wrong is a ``MailServerError`` that names the step and the cause.
"""

import base64
import ipaddress
import select
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, Final

from mail.address_policy import may_reach
from mail.mail_socket import MailSocket, wait_for
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step, before_greeting
from mail.server_string import Protocol

__all__ = [
    "Cause",
    "Credentials",
    "MailServerError",
    "MailSocket",
    "Network",
    "Server",
    "Step",
    "UnsendableError",
    "ignore_step",
    "open_socket",
    "open_tcp",
    "require_one_line",
    "shake_hands",
    "start_tls",
]

_ADDRESSES_MOST: Final = 8  # addresses of one name that are tried
_UNTRUSTED: Final = frozenset(
    {2, 18, 19, 20, 21, 27}  # X509_V_ERR_*: no issuer, self-signed, unverifiable, untrusted
)
_CERTIFICATE_CAUSES: Final = {
    10: Cause.CERTIFICATE_EXPIRED,  # X509_V_ERR_CERT_HAS_EXPIRED
    62: Cause.CERTIFICATE_WRONG_NAME,  # X509_V_ERR_HOSTNAME_MISMATCH
    64: Cause.CERTIFICATE_WRONG_NAME,  # X509_V_ERR_IP_ADDRESS_MISMATCH
    **dict.fromkeys(_UNTRUSTED, Cause.CERTIFICATE_UNTRUSTED),
}
_SAID_BY_ANYBODY: Final = frozenset(
    {Cause.BAD_GREETING, Cause.CLOSED, Cause.PROTOCOL_ERROR, Cause.TIMED_OUT}
)
# OpenSSL says so of what does not begin like a record (RFC 8446, section 5.1): a greeting, HTTP.
_NO_TLS_RECORD: Final = "WRONG_VERSION_NUMBER"

# Family, kind, protocol, canonical name, address: what getaddrinfo answers.
_Address = tuple[int, int, int, str, tuple[Any, ...]]


@dataclass(frozen=True)
class Server:
    """How to reach one server. ``ca_pem`` is trusted beside the machine's own authorities.

    ``networks`` is None where it may be anywhere; else all its addresses have to be public or in
    one of these (see mail/address_policy.py), or nothing is connected to. That holds for the
    operator's table of hosts as well: it says where a name is, and not who may go there.
    """

    protocol: Protocol
    host: str
    port: int
    security: Security
    ca_pem: str | None = field(default=None, repr=False)
    networks: tuple[str, ...] | None = None

    @property
    def is_typed(self) -> bool:
        """Whether an employee typed it, who learns no more of it than ``before_greeting`` tells."""
        return self.networks is not None


@dataclass(frozen=True)
class Credentials:
    """A login and its password, which ``repr()`` does not show."""

    login: str
    password: str = field(repr=False)

    def require_sendable(self) -> None:
        """Raises UnsendableError for what no command may carry."""
        require_one_line(self.login, "A login")
        require_one_line(self.password, "A password")

    @property
    def plain(self) -> bytes:
        """The message of the SASL mechanism PLAIN (RFC 4616), in UTF-8."""
        return f"\0{self.login}\0{self.password}".encode()

    def hide_in(self, words: str) -> str:
        """The words without the password, which some servers repeat."""
        for secret in (self.plain, self.password.encode()):
            words = words.replace(base64.b64encode(secret).decode("ascii"), "***")
        # One of three letters is part of other words: it would be shown by its absence.
        return words.replace(self.password, "***") if len(self.password) > 3 else words


@dataclass(frozen=True)
class Network:
    """How connections are made, and the limits they keep.

    ``hosts`` maps names to addresses and comes before DNS. ``connect_seconds`` limits all that
    leads to an open (with TLS: encrypted) connection, ``command_seconds`` a command with its
    whole answer. ``line_bytes`` is the most that a server may send in one line, ``literal_bytes``
    in the literals of one answer: for IMAP, the largest message that is fetched.

    ``typed_seconds`` is how long a test lasts of a server that an employee typed and where no mail
    server answered, whatever did instead. Half of it is for all up to the greeting, the other half
    for second looks (see mail/diagnosis.py).
    """

    hosts: Mapping[str, str] = field(default_factory=dict)
    connect_seconds: float = 10
    typed_seconds: float = 15
    command_seconds: float = 30
    line_bytes: int = 64 * 1024
    literal_bytes: int = 100 * 1024 * 1024

    @staticmethod
    def parse_hosts(text: str) -> dict[str, str]:
        """``imap.firm.test=127.0.0.1, smtp.firm.test=::1``. Raises ValueError with a sentence."""
        hosts: dict[str, str] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            name, equals, address = (part.strip() for part in entry.partition("="))
            if not name or not equals:
                raise ValueError(
                    f"{entry!r} is not a name and its address, such as imap.firm.test=127.0.0.1."
                )
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise ValueError(f"{address!r}, given for {name}, is not an IP address.") from None
            if name.lower() in hosts:
                raise ValueError(f"{name} has two addresses.")
            hosts[name.lower()] = address
        return hosts


class UnsendableError(ValueError):
    """An argument of a command that must not reach the wire. Its text does not repeat it."""


def require_one_line(text: str, what: str) -> None:
    """Raises UnsendableError for CR, LF and NUL, and for what has no UTF-8."""
    if any(letter in "\r\n\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise UnsendableError(f"{what} cannot contain a line break, NUL or half a character.")


def ignore_step(step: Step) -> None:
    """For callers that do not watch the steps."""


def open_socket(
    server: Server, network: Network, on_step: Callable[[Step], None] = ignore_step
) -> MailSocket:
    """Resolves, connects and, for ``Security.TLS``, encrypts, within ``connect_seconds``.

    ``on_step`` is called after each step that succeeded; what it raises passes through. Raises
    MailServerError, of a server that an employee typed as ``before_greeting`` tells it.
    """
    if not server.is_typed:
        deadline = monotonic() + network.connect_seconds
        opened = _open(server, network, on_step, deadline)
        return MailSocket(opened, Step.GREETING, **_limits(network))
    until = monotonic() + network.typed_seconds / 2
    deadline = min(until, monotonic() + network.connect_seconds)
    try:
        opened = _open(server, network, on_step, deadline)
    except MailServerError as error:
        raise before_greeting(error) from None
    return _TypedSocket(opened, server.protocol, until, **_limits(network))


def _open(
    server: Server, network: Network, on_step: Callable[[Step], None], deadline: float
) -> socket.socket:
    addresses = _resolve(server.host, server.port, network, deadline)
    on_step(Step.NAME)
    if server.networks is not None:
        _require_allowed(addresses, server.networks)
    opened = _connect(addresses, deadline)
    try:
        on_step(Step.PORT)
        if server.security is Security.TLS:
            opened = _encrypt(opened, server, deadline, on_step)
    except BaseException:
        opened.close()
        raise
    return opened


def _limits(network: Network) -> dict[str, int]:
    return {"line_bytes": network.line_bytes, "literal_bytes": network.literal_bytes}


class _TypedSocket(MailSocket):
    """Leads to what an employee typed. While its step is the greeting, it has one deadline, and its
    errors are as ``before_greeting`` tells them.

    FTP and others greet like SMTP, with a number: there the answer to EHLO belongs to the greeting.
    """

    def __init__(
        self, connected: socket.socket, protocol: Protocol, until: float, **limits: int
    ) -> None:
        super().__init__(connected, Step.GREETING, **limits)
        self._protocol = protocol
        self._until = until

    def begin(self, seconds: float, most_lines_bytes: int) -> None:
        if self.step is Step.GREETING:
            seconds = max(min(seconds, self._until - monotonic()), 0)
        super().begin(seconds, most_lines_bytes)

    def failure(self, cause: Cause, words: str = "") -> MailServerError:
        # Only who greeted in the words of IMAP can say anything else: goodbye, for instance.
        is_mail = self._protocol is Protocol.IMAP and cause not in _SAID_BY_ANYBODY
        if self.step is not Step.GREETING or is_mail:
            return super().failure(cause, words)
        # Whoever reads a greeting makes the second of the first, but no longer knows it as such.
        known = Cause.BAD_GREETING if cause is Cause.PROTOCOL_ERROR else cause
        return before_greeting(super().failure(known))


def open_tcp(
    host: str,
    port: int,
    network: Network,
    is_allowed: Callable[[str], bool] | None = None,
) -> socket.socket:
    """Resolves and connects to what need not be a mail server, within ``connect_seconds``.

    ``is_allowed`` says which IP addresses of a name are tried; the one that the operator's table
    gives always is. Raises MailServerError.
    """
    deadline = monotonic() + network.connect_seconds
    addresses = _resolve(host, port, network, deadline)
    if is_allowed is not None and host.lower() not in network.hosts:
        addresses = [address for address in addresses if is_allowed(str(address[4][0]))]
    return _connect(addresses, deadline)


def start_tls(
    line: MailSocket,
    server: Server,
    network: Network,
    on_step: Callable[[Step], None] = ignore_step,
) -> None:
    """Encrypts a connection whose server just agreed to STARTTLS, within ``connect_seconds``.

    Raises MailServerError: starttls_injected when the server said more than that, tls_failed,
    not_tls, timed_out, certificate_….
    """
    deadline = monotonic() + network.connect_seconds
    line.change_socket(lambda opened: _encrypt(opened, server, deadline, on_step))


def _resolve(host: str, port: int, network: Network, deadline: float) -> Sequence[_Address]:
    """In a thread, because getaddrinfo waits as long as the resolver likes (up to minutes)."""
    name = network.hosts.get(host.lower(), host)
    answers: SimpleQueue[Sequence[_Address]] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError, OverflowError):  # ValueError: not a name at all
            answers.put([])

    Thread(target=ask, name="resolve", daemon=True).start()
    try:
        addresses = answers.get(timeout=max(deadline - monotonic(), 0))
    except Empty:
        addresses = []
    if not addresses:
        raise MailServerError(Step.NAME, Cause.NAME_NOT_FOUND)
    return addresses


def _require_allowed(addresses: Sequence[_Address], networks: Sequence[str]) -> None:
    """Each of them: a name that has a public address and one of ours is a trick."""
    if not all(may_reach(str(address[4][0]), networks) for address in addresses):
        raise MailServerError(Step.PORT, Cause.UNREACHABLE)


def _connect(addresses: Sequence[_Address], deadline: float) -> socket.socket:
    """The first address that answers. Each has an equal share of the time that is left: an IPv6
    address that nobody routes does not use up the time of the IPv4 address behind it."""
    failures = []
    addresses = addresses[:_ADDRESSES_MOST]
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            return _connect_to(address, (deadline - monotonic()) / left)
        except TimeoutError:
            failures.append(Cause.CONNECTION_TIMED_OUT)
        except ConnectionRefusedError:
            failures.append(Cause.CONNECTION_REFUSED)
        except OSError:
            failures.append(Cause.UNREACHABLE)
    # "No way to there" says the least: often it is only a machine without IPv6.
    said = [cause for cause in failures if cause is not Cause.UNREACHABLE]
    raise MailServerError(Step.PORT, said[0] if said else Cause.UNREACHABLE)


def _connect_to(address: _Address, seconds: float) -> socket.socket:
    family, kind, protocol, _, place = address
    connecting = socket.socket(family, kind, protocol)
    try:
        # A timeout of 0 would mean something else: not to wait at all.
        connecting.settimeout(max(seconds, 0.001))
        connecting.connect(place)
        # A literal and the end of its line are sent apart: 40 ms each with Nagle's algorithm.
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connecting.close()
        raise
    return connecting


def _encrypt(
    opened: socket.socket, server: Server, deadline: float, on_step: Callable[[Step], None]
) -> ssl.SSLSocket:
    """Takes the socket over, and closes it when it fails."""
    context = _context(server.ca_pem)
    opened.setblocking(False)
    try:
        wrapped = context.wrap_socket(
            opened, server_hostname=server.host, do_handshake_on_connect=False
        )
    except OSError:  # closed meanwhile
        raise MailServerError(Step.ENCRYPTION, Cause.TLS_FAILED) from None
    try:
        objection = shake_hands(wrapped, deadline)
        on_step(Step.ENCRYPTION)
        if objection is not None:
            raise MailServerError(Step.CERTIFICATE, objection)
        on_step(Step.CERTIFICATE)
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def shake_hands(wrapped: ssl.SSLSocket, deadline: float) -> Cause | None:
    """What is wrong with the certificate, if anything. Raises MailServerError for the rest.

    One deadline for the whole handshake: a socket's timeout begins again at every byte.
    """
    event = select.POLLIN
    while monotonic() < deadline:
        try:
            wrapped.do_handshake()
        except ssl.SSLWantReadError:
            event = select.POLLIN
        except ssl.SSLWantWriteError:
            event = select.POLLOUT
        except ssl.SSLCertVerificationError as error:
            return _CERTIFICATE_CAUSES.get(error.verify_code, Cause.CERTIFICATE_REFUSED)
        except OSError as error:
            no_record = getattr(error, "reason", None) == _NO_TLS_RECORD
            cause = Cause.NOT_TLS if no_record else Cause.TLS_FAILED
            raise MailServerError(Step.ENCRYPTION, cause) from None
        else:
            return None
        wait_for(wrapped, event, deadline - monotonic())
    raise MailServerError(Step.ENCRYPTION, Cause.TIMED_OUT)


@lru_cache(maxsize=16)
def _context(ca_pem: str | None) -> ssl.SSLContext:
    """Kept, because reading the machine's authorities takes 10 ms and more."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_pem:
        try:
            context.load_verify_locations(cadata=ca_pem)
        except (ssl.SSLError, ValueError):
            raise MailServerError(Step.CERTIFICATE, Cause.CERTIFICATE_REFUSED) from None
        # What is given may be an intermediate, or the server's own certificate.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
