"""A few threads that run one kind of work, each key at most once at a time."""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Runner:
    """``wake(7)`` runs ``work(7)`` soon; woken while it runs, it runs once more afterwards.

    What ``work`` raises is logged and never ends a thread: rows are the truth, and the sweep comes
    back to what was left undone.
    """

    def __init__(self, name: str, work: Callable[[int], None], *, threads: int) -> None:
        self._name = name
        self._work = work
        self._woken: dict[int, None] = {}
        self._running: set[int] = set()
        self._stopping = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._loop, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self, key: int) -> None:
        with self._changed:
            self._woken[key] = None
            self._changed.notify()

    def wake_idle(self, key: int) -> None:
        """As ``wake``, but not while the key runs: for who only sees that a run has not ended."""
        with self._changed:
            if key not in self._running:
                self._woken[key] = None
                self._changed.notify()

    def take_no_more(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def stop(self, timeout: float) -> None:
        """Takes nothing new; waits so many seconds in all for what is running."""
        self.take_no_more()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _loop(self) -> None:
        while (key := self._take()) is not None:
            try:
                self._work(key)
            except Exception:
                log.exception("%s %s failed", self._name, key)
            finally:
                self._leave(key)

    def _take(self) -> int | None:
        with self._changed:
            while not self._stopping:
                free = next((key for key in self._woken if key not in self._running), None)
                if free is not None:
                    del self._woken[free]
                    self._running.add(free)
                    return free
                self._changed.wait()
        return None

    def _leave(self, key: int) -> None:
        with self._changed:
            self._running.discard(key)
            self._changed.notify_all()
