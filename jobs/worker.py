"""The worker: runners, the sweep that finds what was forgotten, the IDLE watcher, the tasks."""

import fcntl
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import IO

from huey import Huey

from domain import connection_tests, mailboxes, messages, outbox, removal, searching
from jobs import tasks
from jobs.connecting import run_test
from jobs.context import Job
from jobs.outbox import send
from jobs.preparing import prepare
from jobs.removing import remove
from jobs.runner import Runner
from jobs.searching import run_search
from jobs.sync import sync_mailbox
from jobs.watcher import Watcher
from mail import safe_html

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
# Between two batches of a removal. Whoever waits for SQLite to write looks every 100 ms.
REMOVAL_PAUSE_SECONDS = 0.15
STOP_SECONDS = 8.0
LOCK_FILE = "worker.lock"
LOCK_TRIES = 5
LOCK_TRY_SECONDS = 0.02


class WorkerRunsError(Exception):
    """Another worker uses this data folder."""


class Worker:
    def __init__(self, job: Job, *, sync_threads: int = 8) -> None:
        self._job = job
        self._stopping = threading.Event()
        self._sync = Runner("sync", self._synchronise, threads=sync_threads)
        self._tests = Runner("connection-test", self._test, threads=4)
        self._outbox = Runner("outbox", self._send, threads=4)
        self._prepare = Runner("prepare", lambda key: prepare(job, key), threads=1)
        self._searches = Runner("search", lambda key: run_search(job, key), threads=2)
        self._removing = Runner("removing", self._remove, threads=1)
        self._visited: set[int] = set()
        self._watcher = Watcher(job, self._sync.wake)
        self._sweeper = threading.Thread(target=self._sweep_often, name="sweep", daemon=True)

    @property
    def wake(self) -> dict[str, Callable[[int], None]]:
        return {
            tasks.MAILBOX: self._sync.wake,
            tasks.CONNECTION_TEST: self._tests.wake,
            tasks.OUTGOING: self._outbox.wake,
            tasks.PREPARE: self._prepare.wake,
            tasks.SEARCH: self._searches.wake,
            tasks.REMOVING: self._removing.wake,
        }

    def start(self) -> None:
        """Takes back what a former worker left behind, then starts everything."""
        with self._job.step() as session:
            connection_tests.release(session)
            mailboxes.look_soon(session, self._job.clock())
            searching.release(session)
            outbox.release(session, self._job.clock())
        for runner in (self._sync, self._tests, self._searches, self._outbox, self._prepare):
            runner.start()
        self._removing.start()
        self._sweeper.start()

    def stop(self) -> None:
        self._stopping.set()
        self._watcher.stop()
        # A message that is cut off has to be decided about by its sender: it may take all the time.
        runners = (
            self._outbox,
            self._tests,
            self._searches,
            self._sync,
            self._prepare,
            self._removing,
        )
        for runner in runners:
            runner.take_no_more()
        deadline = monotonic() + STOP_SECONDS
        for runner in runners:
            runner.stop(max(deadline - monotonic(), 0))

    def sweep(self) -> None:
        """Wakes a runner for every row whose time has come."""
        now, watched = self._job.clock(), self._watcher.watched
        with self._job.step() as session:
            outbox.hold_and_release(session)
            connection_tests.end_old(session, now)
            connection_tests.forget_old_passwords(session, now)
            connection_tests.forget_old(session, now)
            searching.forget_old(session, now)
            waiting = connection_tests.waiting(session)
            searches = searching.waiting(session)
            due = mailboxes.due(session, now)
            outgoing = outbox.due(session, now)
            followed = mailboxes.followed(session, watched)
            going = removal.waiting(session)
        self._watcher.keep(watched, followed)
        for keys, runner in (
            (waiting, self._tests),
            (searches, self._searches),
            (due, self._sync),
            (outgoing, self._outbox),
            (going, self._removing),
        ):
            for key in keys:
                runner.wake_idle(key)

    def _synchronise(self, mailbox_id: int) -> None:
        self._visited.add(mailbox_id)
        try:
            worked = sync_mailbox(self._job, mailbox_id)
        finally:
            self._visited.discard(mailbox_id)
        # One that was refused is left alone: watching would sign in once more.
        if worked:
            self._watcher.watch(mailbox_id)
            self._prepare_newest(mailbox_id)

    def _prepare_newest(self, mailbox_id: int) -> None:
        """So that what is opened first need not be made harmless while somebody waits."""
        with self._job.step() as session:
            newest = messages.unprepared(session, mailbox_id, safe_html.VERSION)
        for message_id in newest:
            self._prepare.wake(message_id)

    def _remove(self, mailbox_id: int) -> None:
        """A batch at a time: others write in between, and the worker can stop."""
        # A visit that began before may yet keep a source, and has to end first.
        if mailbox_id in self._visited:
            return
        if remove(self._job, mailbox_id):
            self._stopping.wait(REMOVAL_PAUSE_SECONDS)
            self._removing.wake(mailbox_id)

    def _test(self, test_id: int) -> None:
        mailbox_id = run_test(self._job, test_id)
        if mailbox_id is not None:
            self._sync.wake(mailbox_id)

    def _send(self, outgoing_id: int) -> None:
        mailbox_id = send(self._job, outgoing_id)
        if mailbox_id is not None:
            # Only the inbox is watched: the poll would find the copy in *Sent* a minute later.
            self._sync.wake(mailbox_id)

    def _sweep_often(self) -> None:
        while not self._stopping.wait(SWEEP_SECONDS):
            try:
                self.sweep()
            except Exception:
                log.exception("the sweep failed")


def run(worker: Worker, huey: Huey) -> None:
    """Runs until SIGTERM or SIGINT. The tasks are read by one thread that only wakes runners."""
    tasks.Tasks(huey, worker.wake)
    consumer = huey.create_consumer(
        workers=1, periodic=False, initial_delay=0.05, backoff=1.0, max_delay=0.1
    )
    worker.start()
    try:
        consumer.run()
    finally:
        worker.stop()


def only_worker(data_folder: Path) -> IO[str]:
    """Keeps the data folder to one worker for as long as the file stays open.

    Raises WorkerRunsError. The lock ends with the process, however it ends.
    """
    lock = (data_folder / LOCK_FILE).open("w")
    for left in reversed(range(LOCK_TRIES)):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not left:
                lock.close()
                raise WorkerRunsError from error
            # It may only be somebody who looks whether a worker runs.
            sleep(LOCK_TRY_SECONDS)
        else:
            break
    return lock


def worker_is_running(data_folder: Path) -> bool:
    """Whether a worker holds the lock. flock tells only by trying: shared, so that two who look
    do not take each other for a worker, and given back at once.
    """
    try:
        lock = (data_folder / LOCK_FILE).open("r")
    except OSError:  # no worker ever ran here, or it is not ours to see
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False
