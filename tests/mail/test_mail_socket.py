"""Lines, literals and deadlines over a pair of connected sockets."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mail.mail_socket import MailSocket
from mail.server_errors import Cause, MailServerError, Step

SECONDS = 5.0  # more than any test takes
LINES = 10_000
Pair = tuple[MailSocket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Ours and the server's end, with a limit of 100 bytes a line and 1,000 in literals."""
    near, far = socket.socketpair()
    line = MailSocket(near, Step.LOGIN, line_bytes=100, literal_bytes=1000)
    line.begin(SECONDS, LINES)
    yield line, far
    line.close()
    far.close()


def fails_with(cause: Cause, action: Callable[[], object]) -> None:
    with pytest.raises(MailServerError) as caught:
        action()
    assert (caught.value.cause, caught.value.step) == (cause, Step.LOGIN)


def test_lines_and_literals_follow_each_other(pair: Pair) -> None:
    line, far = pair
    far.sendall(b"one {3}\r\nabc two\nthree\r\n")
    assert line.readline() == b"one {3}\r\n"
    assert line.read(3) == b"abc"
    assert line.read(0) == b""
    assert line.readline() == b" two\n"
    assert line.readline() == b"three\r\n"


def test_a_line_has_its_limit(pair: Pair) -> None:
    line, far = pair
    far.sendall(b"x" * 99 + b"\n" + b"y" * 100 + b"\n")
    assert len(line.readline()) == 100
    fails_with(Cause.PROTOCOL_ERROR, line.readline)


def test_a_line_without_end_is_not_collected(pair: Pair) -> None:
    line, far = pair
    far.sendall(b"x" * 101)
    fails_with(Cause.PROTOCOL_ERROR, line.readline)


def test_lines_have_a_limit_together(pair: Pair) -> None:
    line, far = pair
    far.sendall(b"\r\n" * 400)
    line.begin(SECONDS, 66 * 200)
    for _ in range(200):
        line.readline()
    fails_with(Cause.PROTOCOL_ERROR, line.readline)


def test_literals_have_a_limit_together_that_is_known_before_they_come(pair: Pair) -> None:
    line, far = pair
    far.sendall(b"x" * 600)
    assert line.read(600) == b"x" * 600
    fails_with(Cause.PROTOCOL_ERROR, lambda: line.read(401))
    line.begin(SECONDS, LINES)
    far.sendall(b"x" * 1000)
    assert len(line.read(1000)) == 1000


def test_a_server_that_drips_meets_the_deadline(pair: Pair) -> None:
    line, far = pair
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.02):
            far.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    started = time.monotonic()
    line.begin(0.2, LINES)
    fails_with(Cause.TIMED_OUT, line.readline)
    stop.set()
    thread.join()
    assert 0.2 <= time.monotonic() - started < 1


def test_a_large_literal_may_take_longer_than_the_deadline_while_it_comes(pair: Pair) -> None:
    line, far = pair
    line.literal_bytes = 100_000

    def send() -> None:
        for _ in range(10):
            time.sleep(0.05)  # the line is slow: ten times 10 kB in half a second
            far.sendall(b"x" * 10_000)

    thread = threading.Thread(target=send)
    thread.start()
    line.begin(0.2, LINES)
    assert len(line.read(100_000)) == 100_000
    thread.join()


def test_even_a_flood_ends(pair: Pair) -> None:
    line, far = pair
    line.literal_bytes = 2**40
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            try:
                far.sendall(b"x" * 100_000)
            except OSError:
                return

    thread = threading.Thread(target=flood)
    thread.start()
    line.begin(0.01, LINES)
    fails_with(Cause.TIMED_OUT, lambda: line.read(2**40))
    stop.set()
    line.close()
    thread.join()


def test_a_server_that_does_not_read_meets_the_deadline(pair: Pair) -> None:
    line, _ = pair
    line.begin(0.1, LINES)
    fails_with(Cause.TIMED_OUT, lambda: line.send(b"x" * 10_000_000))


@pytest.mark.parametrize("said", [b"", b"half a line"])
def test_the_end_is_closed(pair: Pair, said: bytes) -> None:
    line, far = pair
    far.sendall(said)
    far.close()
    fails_with(Cause.CLOSED, line.readline)


def test_the_end_within_a_literal_is_closed(pair: Pair) -> None:
    line, far = pair
    far.sendall(b"abc")
    far.close()
    fails_with(Cause.CLOSED, lambda: line.read(4))


def test_nothing_works_after_close(pair: Pair) -> None:
    line, _ = pair
    line.close()
    line.close()
    fails_with(Cause.CLOSED, line.readline)
    fails_with(Cause.CLOSED, lambda: line.send(b"x"))
    fails_with(Cause.CLOSED, lambda: line.wait(1))


def test_waiting_sees_what_is_there_what_comes_and_the_end(pair: Pair) -> None:
    line, far = pair
    assert not line.wait(0.01)
    far.sendall(b"a\nb\n")
    assert line.wait(SECONDS)
    line.readline()
    assert line.wait(SECONDS)
    line.readline()
    assert not line.wait(0)
    far.close()
    fails_with(Cause.CLOSED, lambda: line.wait(SECONDS))


@pytest.mark.parametrize("read_first", [True, False])
def test_a_socket_is_not_changed_over_something_unread(pair: Pair, read_first: bool) -> None:
    line, far = pair
    far.sendall(b"OK\r\n")
    if read_first:
        far.sendall(b"injected")
        line.readline()

    def change(_: socket.socket) -> socket.socket:
        raise AssertionError("must not be called")

    with pytest.raises(MailServerError) as caught:
        line.change_socket(change)
    assert (caught.value.cause, caught.value.step) == (Cause.STARTTLS_INJECTED, Step.ENCRYPTION)
