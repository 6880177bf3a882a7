"""The worker's own decisions: what it wakes, and whom it leaves alone."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from domain import connecting, mailboxes
from domain.secrets import KeyRing
from jobs import worker
from jobs.connecting import run_test
from jobs.context import Job
from jobs.parsers import DirectParser
from jobs.watcher import Watcher
from jobs.worker import Worker
from mail.connection import Network, UnsendableError
from models import ConnectionTest, ConnectionTestState, User
from models.source_store import SourceStore
from tests.mailroom import mailbox_of, service_of

SOON = 5.0


@pytest.fixture
def job(sessions: sessionmaker[Session], tmp_path: Path) -> Job:
    return Job(
        sessions=sessions,
        ring=KeyRing(current="1", keys={"1": b"r" * 32}),
        store=SourceStore(tmp_path / "messages"),
        network=Network(),
        parser=DirectParser(),
        clock=lambda: datetime.now(UTC),
    )


@pytest.mark.parametrize("worked", [True, False])
def test_only_a_mailbox_that_works_is_watched(
    job: Job, monkeypatch: pytest.MonkeyPatch, worked: bool
) -> None:
    watched: list[int] = []
    monkeypatch.setattr(worker, "sync_mailbox", lambda _job, _mailbox: worked)
    monkeypatch.setattr(Watcher, "watch", lambda _self, mailbox: watched.append(mailbox))
    Worker(job)._synchronise(7)
    assert watched == ([7] if worked else [])


def asks(job: Job, person: User) -> int:
    with job.step() as session:
        return connecting.begin_test(
            session,
            session.get_one(User, person.id),
            servers=service_of(session).id,
            address="bob@firm.test",
            login="bob",
            password="secret",
            tried=None,
            ring=job.ring,
            now=job.clock(),
        ).id


def test_a_try_that_breaks_here_ends_and_the_error_is_not_hidden(job: Job, bob: User) -> None:
    test = asks(job, bob)
    with job.step() as session:
        session.get_one(ConnectionTest, test).login = "bo\r\nb"
    with pytest.raises(UnsendableError):
        run_test(job, test)
    with job.step() as session:
        tried = session.get_one(ConnectionTest, test)
        assert (tried.state, tried.cause) == (ConnectionTestState.FAILED, "not_tried")


def test_the_sweep_does_not_wake_what_runs(
    job: Job, bob: User, carol: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with job.step() as session:
        bobs = mailbox_of(session, bob).id
    visited: list[int] = []
    visits, end = threading.Semaphore(0), threading.Event()

    def visit(job: Job, mailbox_id: int) -> bool:
        visited.append(mailbox_id)
        visits.release()
        end.wait(SOON)
        with job.step() as session:
            mailboxes.note_contact(session, mailbox_id, job.clock())
        return False

    monkeypatch.setattr(worker, "sync_mailbox", visit)
    house = Worker(job, sync_threads=1)
    house._sync.start()
    house.sweep()
    assert visits.acquire(timeout=SOON)
    house.sweep()
    with job.step() as session:
        carols = mailbox_of(session, carol).id
    house.sweep()
    end.set()
    assert visits.acquire(timeout=SOON)
    house._sync.stop(SOON)
    assert visited == [bobs, carols]


def test_while_a_message_is_sent_to_its_end_nothing_new_is_begun(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending, sent = threading.Event(), threading.Event()
    begun: list[int] = []
    monkeypatch.setattr(worker, "STOP_SECONDS", 2.0)
    monkeypatch.setattr(worker, "sync_mailbox", lambda _job, mailbox: begun.append(mailbox))
    house = Worker(job)

    def send(_job: Job, _outgoing: int) -> None:
        sending.set()
        house._stopping.wait(SOON)
        threading.Event().wait(0.5)  # more than a part of the time for each thread
        house._sync.wake(1)
        threading.Event().wait(0.5)
        sent.set()

    monkeypatch.setattr(worker, "send", send)
    house.start()
    house._outbox.wake(7)
    assert sending.wait(SOON)
    house.stop()
    assert (sent.is_set(), begun) == (True, [])
