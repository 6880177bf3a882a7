"""The product as processes of its own, for tests and pictures that need it running."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class House:
    """A ``flask`` command on a data folder, with what it printed."""

    def __init__(self, command: str, data: Path, settings: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._command = command
        self._environment = {
            **{name: value for name, value in os.environ.items() if not _is_setting(name)},
            "POSTROOM_DATA": str(data),
            "POSTROOM_LISTEN": f"127.0.0.1:{self.port}",
            **(settings or {}),
        }
        self._lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    @property
    def output(self) -> str:
        return "".join(self._lines)

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "it was not started"
        return self._process

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - a command of our own
            [sys.executable, "-m", "flask", "--app", str(ROOT / "app.py"), self._command],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """What the pattern found in the output. Raises TimeoutError with the output."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.search(pattern, self.output)
            if found:
                return found
            time.sleep(0.02)
        raise TimeoutError(f"{pattern!r} was not printed in {seconds} s:\n{self.output}")

    def wait_for_web(self) -> None:
        until_listening(self.port)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ends it as Ctrl+C does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join(STOP_SECONDS)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._lines.append(line)


@contextmanager
def running(
    command: str, data: Path, settings: Mapping[str, str] | None = None, *, until: str
) -> Iterator[House]:
    """A house that runs, once it printed ``until`` and its web answers."""
    house = House(command, data, settings)
    house.start()
    try:
        house.wait_for(until)
        house.wait_for_web()
        yield house
    finally:
        house.stop()


def until_listening(port: int, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_setting(name: str) -> bool:
    return name.startswith("POSTROOM_")
