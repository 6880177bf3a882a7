"""Fetches a small file from a stranger's web server.

Certificates are verified, private addresses are not reached unless the operator's table of hosts
names them, and whatever the server does, it ends within the time and the size that are given.
"""

import io
import re
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass, replace
from http.client import HTTPException, HTTPResponse
from time import monotonic
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urljoin, urlsplit

from mail.connection import MailServerError, Network, open_tcp
from mail.public_address import is_public

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FILE_LARGEST: Final = 256 * 1024  # bytes
REDIRECTS_MOST: Final = 3
_HEAD_LARGEST: Final = 64 * 1024  # bytes of all headers, and of what chunks cost
_URL_LONGEST: Final = 2000
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"https": 443, "http": 80}
_HOST: Final = re.compile(r"[a-z0-9][a-z0-9.-]*")
_TARGET: Final = re.compile(r"/[!-~]*")


@dataclass(frozen=True)
class Web:
    """How files are fetched.

    ``seconds`` limits all that one URL leads to, redirects too. ``ca_pem`` is trusted beside the
    machine's own authorities. Other ports than these two are not reached.
    """

    https_port: int = 443
    http_port: int = 80
    seconds: float = 5
    ca_pem: str | None = None

    def port(self, scheme: str) -> int:
        return self.https_port if scheme == "https" else self.http_port


class _UnusableError(Exception):
    """What the server wants is not done."""


def fetch(url: str, network: Network, web: Web) -> bytes | None:
    """The file at an ``https`` or ``http`` URL; None for everything else that may come of it.

    At most three redirects are followed, none of them from https to http.
    """
    deadline = monotonic() + web.seconds
    try:
        place = _Place.parse(url, web)
        for _ in range(1 + REDIRECTS_MOST):
            answer = _ask(place, network, web, deadline)
            if isinstance(answer, bytes):
                return answer
            place = place.redirected(answer, web)
    # ValueError: a chunk of a negative length is one to http.client.
    except (_UnusableError, MailServerError, HTTPException, OSError, ValueError):
        return None
    return None


@dataclass(frozen=True)
class _Place:
    """A URL that can be asked for: all parts are plain ASCII without control characters."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, url: str, web: Web) -> "_Place":
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:  # brackets, or a port that is no number
            raise _UnusableError from None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if (
            len(url) > _URL_LONGEST
            or parts.scheme not in _PORTS
            or "@" in parts.netloc
            or not _HOST.fullmatch(host)
            or not _TARGET.fullmatch(target)
            or port not in {None, _PORTS[parts.scheme], web.port(parts.scheme)}
        ):
            raise _UnusableError
        return cls(parts.scheme, host, web.port(parts.scheme), target)

    def redirected(self, location: str, web: Web) -> "_Place":
        try:
            place = _Place.parse(
                urljoin(f"{self.scheme}://{self.host}{self.target}", location), web
            )
        except ValueError:
            raise _UnusableError from None
        if self.scheme == "https" and place.scheme == "http":
            raise _UnusableError
        return place

    @property
    def request(self) -> bytes:
        usual = self.port == _PORTS[self.scheme]
        return (
            f"GET {self.target} HTTP/1.1\r\n"
            f"Host: {self.host if usual else f'{self.host}:{self.port}'}\r\n"
            "User-Agent: Postroom\r\n"
            "Accept: application/xml, text/xml, */*\r\n"
            "Accept-Encoding: identity\r\n"
            "Connection: close\r\n\r\n"
        ).encode("ascii")


def _ask(place: _Place, network: Network, web: Web, deadline: float) -> bytes | str:
    """The file, or where it is said to be. Raises _UnusableError, and what connections raise."""
    quick = replace(network, connect_seconds=deadline - monotonic())
    opened = open_tcp(place.host, place.port, quick, is_allowed=is_public)
    with closing(_Line(opened, deadline)) as line:
        if place.scheme == "https":
            line.encrypt(place.host, web.ca_pem)
        line.send(place.request)
        # All that it asks of a socket.
        response = HTTPResponse(cast(socket.socket, line), method="GET")
        response.begin()
        if response.status in _REDIRECTS:
            return response.getheader("Location", "")
        # Nothing is unpacked: a small file may become a huge one.
        if (
            response.status != 200
            or response.getheader("Content-Encoding", "identity") != "identity"
        ):
            raise _UnusableError
        body = response.read(FILE_LARGEST + 1)
        if len(body) > FILE_LARGEST or response.length:  # the rest of what was announced
            raise _UnusableError
        return body


class _Line(io.RawIOBase):
    """What a connection says, to be read once and until the deadline.

    A socket's timeout is set before each call, of which Python makes it the limit as a whole.
    """

    def __init__(self, opened: socket.socket, deadline: float) -> None:
        self._socket = opened
        self._deadline = deadline
        self._bytes_left = _HEAD_LARGEST + FILE_LARGEST

    def encrypt(self, host: str, ca_pem: str | None) -> None:
        context = ssl.create_default_context()
        if ca_pem:
            context.load_verify_locations(cadata=ca_pem)
        wrapped = context.wrap_socket(
            self._socket, server_hostname=host, do_handshake_on_connect=False
        )
        self._socket = wrapped
        self._begin()
        wrapped.do_handshake()

    def send(self, data: bytes) -> None:
        self._begin()
        self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        self._begin()
        size = self._socket.recv_into(buffer)
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise _UnusableError
        return size

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _begin(self) -> None:
        seconds = self._deadline - monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._socket.settimeout(seconds)
