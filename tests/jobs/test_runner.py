"""A runner does each key at most once at a time, and never dies of its work."""

import logging
import threading

import pytest

from jobs.runner import Runner

SOON = 5.0


def test_what_is_woken_is_done() -> None:
    done = threading.Event()
    runner = Runner("test", lambda key: done.set() if key == 7 else None, threads=2)
    runner.start()
    runner.wake(7)
    assert done.wait(SOON)
    runner.stop(SOON)


def test_a_key_that_is_woken_while_it_runs_runs_once_more_but_never_twice_at_a_time() -> None:
    started, go_on = threading.Semaphore(0), threading.Semaphore(0)
    running: list[int] = []
    most: list[int] = []

    def work(key: int) -> None:
        running.append(key)
        most.append(len(running))
        started.release()
        go_on.acquire(timeout=SOON)
        running.remove(key)

    runner = Runner("test", work, threads=3)
    runner.start()
    runner.wake(1)
    assert started.acquire(timeout=SOON)
    runner.wake(1)
    runner.wake(1)
    go_on.release()
    assert started.acquire(timeout=SOON)
    go_on.release()
    runner.stop(SOON)
    assert most == [1, 1]


def test_a_key_that_is_woken_idle_runs_unless_it_runs_already() -> None:
    started, go_on = threading.Semaphore(0), threading.Semaphore(0)
    done: list[int] = []

    def work(key: int) -> None:
        done.append(key)
        started.release()
        go_on.acquire(timeout=SOON)

    runner = Runner("test", work, threads=1)
    runner.start()
    runner.wake_idle(1)
    assert started.acquire(timeout=SOON)
    runner.wake_idle(1)
    runner.wake_idle(2)
    go_on.release(2)
    assert started.acquire(timeout=SOON)
    runner.stop(SOON)
    assert done == [1, 2]


def test_one_that_fails_is_logged_and_the_next_is_done(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def work(key: int) -> None:
        if key == 1:
            raise RuntimeError("broken")
        done.set()

    runner = Runner("test", work, threads=1)
    runner.start()
    with caplog.at_level(logging.ERROR):
        runner.wake(1)
        runner.wake(2)
        assert done.wait(SOON)
    runner.stop(SOON)
    assert "test 1 failed" in caplog.text
