"""Waiting for what happens elsewhere, without sleeping longer than it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SECONDS = 20.0


def until(condition: Callable[[], T], seconds: float = SECONDS) -> T:
    """The first answer that is true. Fails when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found
