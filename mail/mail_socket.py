"""A connected socket as mail protocols need it: lines, literals, and a deadline per command."""

import select
import socket
import ssl
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final, TypeVar

from mail.server_errors import Cause, MailServerError, Step

T = TypeVar("T")

_PIECE: Final = 64 * 1024  # bytes handed to or taken from the system at once
# What Python keeps beside the bytes of a line: counted, or a flood of empty lines costs nothing.
_LINE_COST: Final = 64
# The time given to a command begins anew whenever this many bytes for each of its seconds came or
# went: a large message passes a slow line (256 kbit/s), a server that drips does not live by it.
_BYTES_PER_SECOND: Final = 32 * 1024
_LONGEST: Final = 20  # times what was given, however fast it goes


class MailSocket:
    """Every method may raise ``MailServerError`` (timed_out, closed, protocol_error).

    ``step`` is what such an error names. ``line_bytes`` is the most that one line may have,
    ``literal_bytes`` the most that all literals of one answer may have together. Not for use by
    two threads at once.
    """

    def __init__(
        self, connected: socket.socket, step: Step, *, line_bytes: int, literal_bytes: int
    ) -> None:
        connected.setblocking(False)
        self.step = step
        self.line_bytes = line_bytes
        self.literal_bytes = literal_bytes
        self._socket = connected
        self._buffer = bytearray()
        self._seconds = self._deadline = self._latest = 0.0
        self._moved = 0
        self._lines_left = self._literals_left = 0

    def begin(self, seconds: float, most_lines_bytes: int) -> None:
        """Begins a command. It and its answer have ``seconds``; all lines of the answer together
        may have ``most_lines_bytes``, of which each costs 64 more than its length."""
        now = monotonic()
        self._seconds, self._moved = seconds, 0
        self._deadline, self._latest = now + seconds, now + seconds * _LONGEST
        self._lines_left, self._literals_left = most_lines_bytes, self.literal_bytes

    def failure(self, cause: Cause, words: str = "") -> MailServerError:
        return MailServerError(self.step, cause, words)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            sent = self._attempt(partial(self._socket.send, view[:_PIECE]), select.POLLOUT)
            self._progress(sent)
            view = view[sent:]

    def readline(self) -> bytes:
        """One line with its end. A line that is too long is a protocol_error."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > self.line_bytes:
                break
            self._buffer += self._receive(_PIECE)
        self._lines_left -= end + 1 + _LINE_COST
        if end < 0 or end >= self.line_bytes or self._lines_left < 0:
            raise self.failure(Cause.PROTOCOL_ERROR)
        return self._take(end + 1)

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, a literal. Too many are a protocol_error."""
        self._literals_left -= size
        if self._literals_left < 0:
            raise self.failure(Cause.PROTOCOL_ERROR)
        pieces = [self._take(size)]
        missing = size - len(pieces[0])
        while missing:
            pieces.append(self._receive(min(missing, _PIECE)))
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def wait(self, seconds: float) -> bool:
        """Whether the server says something within so many seconds, of which 0 or less are none.

        Not known by asking the system alone: TLS has messages of its own (session tickets).
        """
        until = monotonic() + seconds
        while monotonic() < until:
            if self._buffer:
                return True
            try:
                received = self._socket.recv(_PIECE)
            except (BlockingIOError, ssl.SSLWantReadError):
                wait_for(self._socket, select.POLLIN, until - monotonic())
                continue
            except OSError:
                received = b""
            if not received:
                raise self.failure(Cause.CLOSED)
            self._buffer += received
        return False

    def change_socket(self, change: Callable[[socket.socket], socket.socket]) -> None:
        """Puts another socket in the place of the present one: STARTTLS.

        What the server sent before the change is an attack (CVE-2011-0411: it would be taken
        for something said under encryption) and refused as starttls_injected.
        """
        if self._buffer or self._unread():
            raise MailServerError(Step.ENCRYPTION, Cause.STARTTLS_INJECTED)
        self._socket = change(self._socket)
        self._socket.setblocking(False)

    def close(self) -> None:
        """Closes at once; may be called again, and never raises."""
        try:
            self._socket.close()
        except OSError:
            return

    def _unread(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _receive(self, most: int) -> bytes:
        received = self._attempt(partial(self._socket.recv, most), select.POLLIN)
        if not received:
            raise self.failure(Cause.CLOSED)
        self._progress(len(received))
        return received

    def _progress(self, moved: int) -> None:
        self._moved += moved
        if self._moved >= self._seconds * _BYTES_PER_SECOND:
            self._moved = 0
            self._deadline = min(monotonic() + self._seconds, self._latest)

    def _attempt(self, operation: Callable[[], T], event: int) -> T:
        while True:
            if monotonic() >= self._deadline:
                raise self.failure(Cause.TIMED_OUT)
            try:
                return operation()
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            except BlockingIOError:
                pass
            except OSError:
                raise self.failure(Cause.CLOSED) from None
            wait_for(self._socket, event, self._deadline - monotonic())


def wait_for(waiting: socket.socket, event: int, seconds: float) -> bool:
    """Whether a socket became readable (``POLLIN``) or writable in time. Not by ``select()``:
    that fails in a process with more than 1,024 open files."""
    poll = select.poll()
    poll.register(waiting, event)
    return bool(poll.poll(max(seconds, 0) * 1000))
