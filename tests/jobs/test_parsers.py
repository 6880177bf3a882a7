"""Parsing in processes apart: one message that exhausts its limits takes nobody with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from jobs import parsers
from jobs.parsers import DirectParser, ParserClosedError, ParserPool
from mail.mime.parse import ParsedMessage
from scripts.house import ROOT
from tests.waiting import until

GOOD = b"Subject: good\r\n\r\nhello\r\n"
UNREADABLE = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 1_001


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    started = ParserPool(1, seconds=3)
    yield started
    started.close()


@contextmanager
def pool_of_one(*, seconds: float) -> Iterator[ParserPool]:
    with closing(ParserPool(1, seconds=seconds)) as started:
        yield started


def subjects(parsed: list[ParsedMessage | None]) -> list[str | None]:
    return [one.subject if one is not None else None for one in parsed]


def test_what_nobody_can_read_is_none_among_the_others_in_their_order(pool: ParserPool) -> None:
    other = GOOD.replace(b"good", b"other")
    expected = ["good", None, "other"]
    assert subjects(pool.parse([GOOD, UNREADABLE, other])) == expected
    assert subjects(DirectParser().parse([GOOD, UNREADABLE, other])) == expected


def test_a_message_that_takes_too_long_is_given_up_and_the_others_are_read(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsers, "parse_or_none", stuck_at_bad)
    bad = GOOD.replace(b"good", b"bad")
    assert subjects(pool.parse([GOOD, bad, GOOD])) == ["good", None, "good"]


def test_a_message_that_ends_its_process_is_given_up_and_the_others_are_read(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsers, "parse_or_none", killed_at_bad)
    bad = GOOD.replace(b"good", b"bad")
    assert subjects(pool.parse([bad, GOOD])) == [None, "good"]


def test_a_message_that_takes_too_long_costs_another_mailbox_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parsers, "parse_or_none", stuck_at_bad)
    bad = GOOD.replace(b"good", b"bad")
    with pool_of_one(seconds=1) as pool, ThreadPoolExecutor(3) as threads:
        batches = list(threads.map(pool.parse, ([bad], [GOOD] * 3, [GOOD, bad])))
    assert [subjects(batch) for batch in batches] == [[None], ["good"] * 3, ["good", None]]


def test_waiting_for_others_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsers, "parse_or_none", slow)
    with pool_of_one(seconds=1) as pool, ThreadPoolExecutor(2) as threads:
        batches = list(threads.map(pool.parse, ([GOOD] * 4, [GOOD] * 4)))
    assert [subjects(batch) for batch in batches] == [["good"] * 4] * 2


def test_what_is_not_parsed_when_the_worker_stops_is_not_called_unreadable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parsers, "parse_or_none", stuck_at_bad)
    bad = GOOD.replace(b"good", b"bad")
    with ThreadPoolExecutor(1) as threads:
        with pool_of_one(seconds=60) as pool:
            assert subjects(pool.parse([GOOD])) == ["good"]
            waiting = threads.submit(pool.parse, [bad, GOOD])
        with pytest.raises(ParserClosedError):
            waiting.result()
    with pytest.raises(ParserClosedError):
        pool.parse([GOOD])


def test_a_message_that_wants_more_memory_than_there_is_to_have_is_given_up(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsers, "parse_or_none", greedy)
    assert pool.parse([GOOD]) == [None]


def test_the_processes_end_when_whoever_started_them_is_killed() -> None:
    program = (
        "import multiprocessing, sys\n"
        "from jobs.parsers import ParserPool\n"
        "if __name__ == '__main__':\n"
        "    ParserPool(2).parse([b'Subject: x\\r\\n\\r\\n'] * 4)\n"
        "    print(*(one.pid for one in multiprocessing.active_children()), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with started:
        assert started.stdout is not None
        children = [int(pid) for pid in started.stdout.readline().split()]
        started.kill()
    assert children
    assert until(lambda: not any(is_alive(pid) for pid in children))


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text(encoding="ascii")


def stuck_at_bad(raw: bytes) -> ParsedMessage | None:
    if b"bad" in raw:
        signal.pause()
    return DirectParser().parse([raw])[0]


def slow(raw: bytes) -> ParsedMessage | None:
    time.sleep(0.4)  # so long does this message take; four are longer than one may take
    return DirectParser().parse([raw])[0]


def killed_at_bad(raw: bytes) -> ParsedMessage | None:
    if b"bad" in raw:
        os.kill(os.getpid(), signal.SIGKILL)
    return DirectParser().parse([raw])[0]


def greedy(_raw: bytes) -> ParsedMessage | None:
    try:
        return DirectParser().parse([bytes(parsers.MEMORY_BYTES)])[0]
    except MemoryError:
        return None
