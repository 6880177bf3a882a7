"""Child processes that start and stop together."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

import click

STOP_SECONDS = 12.0
RESTART_SECONDS = 1.0
SOON_SECONDS = 5.0  # whoever ends so soon after the start will do it again
STARTS_MOST = 3
_PR_SET_PDEATHSIG = 1


class StoppedError(Exception):
    """Ctrl+C came while something was being prepared."""


@dataclass(frozen=True)
class Command:
    """``first_line`` is written to its standard input, which stays open while we live.

    One that is ``quiet`` prints for programs, not for people.
    """

    arguments: Sequence[str]
    first_line: str | None = None
    quiet: bool = False


class Processes:
    """Runs every command until SIGINT or SIGTERM; one that dies is started again.

    One that cannot even start, three times in a row, ends them all.

    Should this process itself be killed, the kernel ends its children (Linux).
    """

    def __init__(self, commands: Mapping[str, Command], environment: Mapping[str, str]) -> None:
        self._commands = commands
        self._environment = dict(environment)
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._started_at: dict[str, float] = {}
        self._in_vain: dict[str, int] = {}
        self._stopping = False

    def run(
        self,
        started: Callable[[Callable[[], None]], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        """``started`` is called once all run, with a function to call while it waits.

        That function keeps the processes alive, and raises StoppedError after Ctrl+C. After
        ``started``, ``meanwhile`` is called ten times a second; it must not wait.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            for name in self._commands:
                self._start(name)
            if started is not None:
                started(self._watch)
            while True:
                self._watch()
                if meanwhile is not None:
                    meanwhile()
        except StoppedError:
            pass
        finally:
            self._stop()

    def _watch(self) -> None:
        if self._stopping:
            raise StoppedError
        time.sleep(0.1)
        for name, process in self._running.items():
            code = process.poll()
            if code is not None and not self._stopping:
                self._require_hope(name)
                click.echo(f"{name} ended with {code}; it is started again.", err=True)
                time.sleep(RESTART_SECONDS)
                self._start(name)
                return

    def _require_hope(self, name: str) -> None:
        """Raises ClickException when starting it again is of no use."""
        soon = time.monotonic() - self._started_at[name] < SOON_SECONDS
        self._in_vain[name] = self._in_vain.get(name, 0) + 1 if soon else 0
        if self._in_vain[name] >= STARTS_MOST:
            raise click.ClickException(
                f"{name} ended {STARTS_MOST} times right after its start; why stands above."
            )

    def _start(self, name: str) -> None:
        command = self._commands[name]
        self._started_at[name] = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 - commands of our own
            command.arguments,
            env=self._environment,
            stdin=subprocess.PIPE if command.first_line else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if command.quiet else None,
            text=True,
            preexec_fn=_end_with_parent,
        )
        if process.stdin is not None and command.first_line is not None:
            process.stdin.write(command.first_line + "\n")
            process.stdin.flush()
        self._running[name] = process

    def _stop(self) -> None:
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True


def _end_with_parent() -> None:
    # A session of its own: Ctrl+C reaches the parent alone, which then stops all in order.
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
