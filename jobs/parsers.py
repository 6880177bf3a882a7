"""Parsing apart from everything else: in spawned processes with a limit on memory and time.

A message that exhausts either is unreadable; the others of its batch are not.
"""

import logging
import multiprocessing
import os
import resource
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from mail.mime.parse import ParsedMessage, UnparseableError, parse

log = logging.getLogger(__name__)

MEMORY_BYTES = 1 << 30
SECONDS_PER_MESSAGE = 20.0


class Parser(Protocol):
    def parse(self, sources: Sequence[bytes]) -> list[ParsedMessage | None]: ...


class DirectParser:
    """In this process, without limits: for tests and small commands."""

    def parse(self, sources: Sequence[bytes]) -> list[ParsedMessage | None]:
        return [parse_or_none(raw) for raw in sources]


class ParserPool:
    """Several threads may ask at once; they share the processes."""

    def __init__(self, processes: int, *, seconds: float = SECONDS_PER_MESSAGE) -> None:
        self._processes = processes
        self._seconds = seconds
        self._lock = threading.Lock()
        self._pool = self._new_pool()

    def parse(self, sources: Sequence[bytes]) -> list[ParsedMessage | None]:
        """In the order of ``sources``; None for what nobody can read."""
        try:
            return self._together(sources)
        except (BrokenProcessPool, TimeoutError):
            # One of them is to blame: each alone, so that only that one is given up.
            return [self._alone(raw) for raw in sources]

    def close(self) -> None:
        with self._lock:
            _kill(self._pool)

    def _together(self, sources: Sequence[bytes]) -> list[ParsedMessage | None]:
        pool = self._pool
        waiting = [pool.submit(parse_or_none, raw) for raw in sources]
        try:
            return [future.result(self._seconds) for future in waiting]
        except (BrokenProcessPool, TimeoutError):
            self._replace(pool)
            raise

    def _alone(self, raw: bytes) -> ParsedMessage | None:
        pool = self._pool
        future: Future[ParsedMessage | None] = pool.submit(parse_or_none, raw)
        try:
            return future.result(self._seconds)
        except (BrokenProcessPool, TimeoutError):
            log.warning("a message of %d bytes exhausted its time or memory", len(raw))
            self._replace(pool)
            return None

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                _kill(broken)
                self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
        )


def parse_or_none(raw: bytes) -> ParsedMessage | None:
    try:
        return parse(raw)
    except (UnparseableError, MemoryError, RecursionError):
        return None


def _begin() -> None:
    """In each process, before its first message."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker that is killed cannot tell its processes: they would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _kill(pool: ProcessPoolExecutor) -> None:
    # The executor has no way of its own to end a task that runs.
    for process in list((pool._processes or {}).values()):  # noqa: SLF001 - see above
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)
