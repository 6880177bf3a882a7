"""Parsing apart from everything else: in spawned processes with a limit on memory and time.

A message that exhausts either is unreadable; the others of its batch, and of other mailboxes,
are not.
"""

import logging
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Protocol

from mail.mime.parse import ParsedMessage, UnparseableError, parse

log = logging.getLogger(__name__)

MEMORY_BYTES = 1 << 30
SECONDS_PER_MESSAGE = 20.0


class ParserClosedError(Exception):
    """The worker stops: what is not parsed yet is left to the next one."""


class Parser(Protocol):
    def parse(self, sources: Sequence[bytes]) -> list[ParsedMessage | None]: ...


class DirectParser:
    """In this process, without limits: for tests and small commands."""

    def parse(self, sources: Sequence[bytes]) -> list[ParsedMessage | None]:
        return [parse_or_none(raw) for raw in sources]


class ParserPool:
    """Several threads may ask at once; they share the processes.

    A message that takes too long ends its process, and with it the pool: whatever everybody had
    in it is tried again, each message in a process that it shares with nobody.
    """

    def __init__(self, processes: int, *, seconds: float = SECONDS_PER_MESSAGE) -> None:
        self._processes = processes
        self._seconds = seconds
        self._lock = threading.RLock()
        self._open: set[ProcessPoolExecutor] = set()
        self._closed = False
        self._pool = self._new_pool(processes)

    def parse(self, sources: Sequence[bytes]) -> list[ParsedMessage | None]:
        """In the order of ``sources``; None for what nobody can read. Raises ParserClosedError."""
        found = self._together(sources)
        left = [place for place in range(len(sources)) if place not in found]
        if left:
            alone = self._one_by_one([sources[place] for place in left])
            found.update(zip(left, alone, strict=True))
        return [found[place] for place in range(len(sources))]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            still_open, self._open = self._open, set()
        for pool in still_open:
            _kill(pool)

    def _together(self, sources: Sequence[bytes]) -> dict[int, ParsedMessage | None]:
        """By place, what came to its end before somebody's message broke the pool."""
        pool = self._pool
        waiting: list[Future[ParsedMessage | None]] = []
        with suppress(BrokenProcessPool):
            waiting.extend(self._submit(pool, raw) for raw in sources)
        found = {}
        for place, future in enumerate(waiting):
            with suppress(BrokenProcessPool):
                found[place] = future.result()
        if len(found) < len(sources):
            self._replace(pool)
        return found

    def _one_by_one(self, sources: Sequence[bytes]) -> Iterator[ParsedMessage | None]:
        """In a process of their own: what ends it has only itself to blame."""
        pool = None
        try:
            for raw in sources:
                if pool is None:
                    pool = self._new_pool(1)
                    # A process that cannot even begin says nothing about the message.
                    pool.submit(os.getpid).result()
                try:
                    yield self._submit(pool, raw).result()
                except BrokenProcessPool:
                    self._drop(pool)
                    self._require_open()
                    pool = None
                    log.warning("a message of %d bytes exhausted its time or memory", len(raw))
                    yield None
        finally:
            if pool is not None:
                self._drop(pool)

    def _submit(self, pool: ProcessPoolExecutor, raw: bytes) -> Future[ParsedMessage | None]:
        try:
            return pool.submit(in_time, self._seconds, parse_or_none, raw)
        except RuntimeError:
            self._require_open()
            raise

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        self._drop(broken)
        with self._lock:
            if self._pool is broken:
                self._pool = self._new_pool(self._processes)

    def _new_pool(self, processes: int) -> ProcessPoolExecutor:
        with self._lock:
            self._require_open()
            pool = ProcessPoolExecutor(
                processes, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
            )
            self._open.add(pool)
            return pool

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            self._open.discard(pool)
        _kill(pool)

    def _require_open(self) -> None:
        if self._closed:
            raise ParserClosedError


def parse_or_none(raw: bytes) -> ParsedMessage | None:
    try:
        return parse(raw)
    except (UnparseableError, MemoryError, RecursionError):
        return None


def in_time(
    seconds: float, work: Callable[[bytes], ParsedMessage | None], raw: bytes
) -> ParsedMessage | None:
    """In a process of the pool, which ends when the time is over: SIGALRM stops C code too."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return work(raw)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _begin() -> None:
    """In each process, before its first message."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker that is killed cannot tell its processes: they would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _kill(pool: ProcessPoolExecutor) -> None:
    # The executor has no way of its own to end a task that runs. Nothing is cancelled: whoever
    # waits is told that the pool is broken.
    for process in list((pool._processes or {}).values()):  # noqa: SLF001 - see above
        process.kill()
    pool.shutdown(wait=False)
