"""A server that plays a script over one loopback connection, for what no real one can be made to
do. It keeps every byte it hears, and knows which of them came in the clear."""

import itertools
import select
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import time_machine

from demo.certificates import company_certificates

PATIENCE: Final = 5.0  # more than any test takes
_DRIP: Final = 0.02
_PIECE: Final = 64 * 1024
_HANDSHAKE: Final = b"\x16"  # the first byte of a TLS client (RFC 8446, section 5.1)


@dataclass(frozen=True)
class Identity:
    """A certificate for imap.firm.test and smtp.firm.test, and the authority that issued it."""

    ca_pem: str
    own_pem: str
    context: ssl.SSLContext


@cache
def identity(whose: str = "the firm", *, made: timedelta = timedelta(0)) -> Identity:
    """Made so long after now: two years valid, issued by an authority that is ten years valid.
    ``whose`` tells authorities apart that differ in nothing but their keys."""
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder, time_machine.travel(now + made, tick=False):
        files = company_certificates(Path(folder) / whose)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.cert_path, files.key_path)
        return Identity(files.ca_pem, files.cert_path.read_text(), context)


class Talk:
    """The server's end of a connection, in the words of a script.

    Whoever hears nothing for ``PATIENCE`` seconds fails the test; when the client hangs up, the
    script ends without a word.
    """

    def __init__(self, connection: socket.socket, stop: threading.Event) -> None:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tag = ""
        self.in_clear = bytearray()
        self.encrypted = bytearray()
        self._connection = connection
        self._stop = stop
        self._buffer = bytearray()

    def send(self, raw: bytes) -> None:
        self._connection.sendall(raw)

    def say(self, *lines: str) -> None:
        """All in one piece."""
        self.send("".join(f"{line}\r\n" for line in lines).encode())

    def hear(self, expected: str = "") -> str:
        """The next line, in which the expected words occur; its first word is the tag."""
        while b"\n" not in self._buffer:
            self._receive()
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        said = line.decode().removesuffix("\r")
        assert expected in said, f"heard {said!r} instead of {expected!r}"
        self.tag = said.partition(" ")[0]
        return said

    def hear_bytes(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._receive()
        heard = bytes(self._buffer[:size])
        del self._buffer[:size]
        return heard

    def heard_something(self) -> bool:
        """Whether the client has spoken meanwhile."""
        return bool(self._buffer) or bool(select.select([self._connection], [], [], 0)[0])

    def answer(self, expected: str, *lines: str, end: str = "OK done") -> str:
        """Hears a command of IMAP; says untagged lines, and the end with the command's tag."""
        said = self.hear(expected)
        self.say(*lines, f"{self.tag} {end}")
        return said

    def reply(self, expected: str, *lines: str) -> str:
        """Hears a command of SMTP, and answers."""
        said = self.hear(expected)
        self.say(*lines)
        return said

    def start_tls(self, ours: Identity) -> None:
        """What comes now that is no handshake was said in the clear."""
        if self._connection.recv(1, socket.MSG_PEEK) != _HANDSHAKE:
            return
        self._connection = ours.context.wrap_socket(self._connection, server_side=True)

    def drip(self, raw: bytes) -> None:
        """One byte after the other, over and over, until the client hangs up."""
        for byte in itertools.cycle(raw):
            if self._stop.wait(_DRIP):
                return
            self.send(bytes([byte]))

    def flood(self, raw: bytes) -> None:
        """Over and over, as fast as it goes, until the client hangs up."""
        while not self._stop.is_set():
            self.send(raw)

    def cut(self) -> None:
        self._connection.close()

    def listen_to_the_end(self) -> None:
        while True:
            self._receive()

    def _receive(self) -> None:
        received = self._connection.recv(_PIECE)
        if not received:
            raise ConnectionError("the client hung up")
        self._buffer += received
        encrypted = isinstance(self._connection, ssl.SSLSocket)
        (self.encrypted if encrypted else self.in_clear).extend(received)


Script = Callable[[Talk], object]


class ScriptedServer:
    """Takes one connection. What it heard is known when that has ended."""

    def __init__(self, script: Script, port: int = 0) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._talk: Talk | None = None
        self._failure: BaseException | None = None
        self._caller: object = None
        self._accepted = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scripted server")
        self._thread.start()

    @property
    def called(self) -> bool:
        """Whether anybody connected so far. Asked once, at the end: if nobody did, it is us."""
        with socket.socket() as probe:
            probe.connect(("127.0.0.1", self.port))
            assert self._accepted.wait(PATIENCE), "nobody is let in"
            return bool(self._caller != probe.getsockname())

    @property
    def heard(self) -> bytes:
        """Everything, in the clear or not. Waits for the client to hang up."""
        return self.in_clear + self.encrypted

    @property
    def in_clear(self) -> bytes:
        return bytes(self._ended().in_clear)

    @property
    def encrypted(self) -> bytes:
        return bytes(self._ended().encrypted)

    def close(self) -> None:
        self._stop.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for a client
        self._thread.join()
        self._listener.close()

    def raise_failure(self) -> None:
        """What went wrong in the script, if anything."""
        if self._failure is not None:
            raise self._failure

    def _ended(self) -> Talk:
        self._thread.join(2 * PATIENCE)
        self.raise_failure()
        assert not self._thread.is_alive(), "the script does not end"
        assert self._talk is not None, "nobody connected"
        return self._talk

    def _run(self) -> None:
        try:
            connection, self._caller = self._listener.accept()
        except OSError:
            return
        self._talk = Talk(connection, self._stop)
        self._accepted.set()
        try:
            self._script(self._talk)
            self._talk.listen_to_the_end()
        except TimeoutError:
            self._failure = AssertionError("the client neither spoke nor hung up")
        except OSError:
            return  # it hung up, was cut, or did not accept the certificate
        except BaseException as failure:  # noqa: BLE001 - told to the test
            self._failure = failure
        finally:
            self._talk.cut()


@contextmanager
def serving(script: Script, port: int = 0) -> Iterator[ScriptedServer]:
    """At a port that is free, or that a server which was closed had."""
    server = ScriptedServer(script, port)
    try:
        yield server
    finally:
        server.close()
        server.raise_failure()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that is taken, and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


# ---- How sessions usually begin --------------------------------------------------------------

IMAP_OFFERS: Final = "IMAP4rev1 AUTH=PLAIN SASL-IR"


def greet_imap(talk: Talk, offers: str = IMAP_OFFERS) -> None:
    talk.say("* OK ready")
    talk.answer("CAPABILITY", f"* CAPABILITY {offers}")


def welcome_imap(talk: Talk, offers: str = IMAP_OFFERS) -> None:
    """As far as a client that has signed in."""
    greet_imap(talk, offers)
    talk.answer("AUTHENTICATE PLAIN")
    talk.answer("CAPABILITY", f"* CAPABILITY {offers}")


def offer_smtp(talk: Talk, *extensions: str) -> None:
    """Answers EHLO."""
    lines = ["smtp.firm.test", *extensions]
    spoken = [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]
    talk.reply("EHLO", *spoken)


def greet_smtp(talk: Talk, *extensions: str) -> None:
    talk.say("220 ready")
    offer_smtp(talk, *extensions)


def welcome_smtp(talk: Talk, *extensions: str) -> None:
    """As far as a client that has signed in."""
    greet_smtp(talk, "AUTH PLAIN", *extensions)
    talk.reply("AUTH PLAIN", "235 welcome")
