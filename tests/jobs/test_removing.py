"""What ends with a person: watching and sending, and, where it is wanted, the mail itself."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import people, removal
from jobs import tasks, worker
from jobs.context import Job
from jobs.parsers import DirectParser
from jobs.removing import remove
from jobs.worker import Worker
from mail.connection import Network
from models import (
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    Message,
    OutgoingMessage,
    OutgoingState,
    OwnServers,
    User,
)
from models.source_store import SourceStore
from tests.conftest import author
from tests.jobs.conftest import Connect
from tests.jobs.office import inbox, mailbox_of, queue
from tests.mailroom import arrive_many, dump, inbox_of, letter, own_servers, queued
from tests.mailroom import mailbox_of as connected
from tests.servers.mail_system import MailSystem
from tests.waiting import until

CANARY = "canary"
# Of messages: what fits into its row, and what needs pages of its own.
LENGTHS = (1, 5, 20, 80, 2_000)
SOON = 10.0


class CutError(Exception):
    """Stands for a SIGKILL: whatever was not committed is lost, and nobody tidies up."""


@pytest.fixture
def house(sessions: sessionmaker[Session], app: Flask) -> Job:
    """Runners that reach nobody, on the application's own store."""
    return Job(
        sessions=sessions,
        ring=app.extensions["postroom_keys"].ring,
        store=app.extensions["postroom_store"],
        network=Network(),
        parser=DirectParser(),
        clock=lambda: datetime.now(UTC),
    )


@pytest.fixture
def going(app: Flask, house: Job, bob: User, carol: User) -> Mailbox:
    """Bob's, full of what nobody may find afterwards; Carol's is beside it."""
    with house.step() as session:
        for person, word in ((carol, "lasting"), (bob, CANARY)):
            mailbox = connected(session, person, f"{word}@firm.test")
            raws = [letter(f"{word} {number}", body=body(word, number)) for number in range(5)]
            times = [datetime(2026, 3, 2, tzinfo=UTC)] * len(raws)
            arrive_many(app, session, inbox_of(session, mailbox), raws, received_at=times)
            queued(session, mailbox, subject=word, body=body(word, 3))
        mailbox.service, mailbox.own_servers = None, own_servers(f"{CANARY}.test")
        session.add(failed_test(bob, own_servers(f"{CANARY}.test")))
        removal.begin_removal(session, mailbox, author().now)
    return mailbox


def body(word: str, number: int) -> str:
    return f"{word} " * LENGTHS[number]


def failed_test(person: User, own: OwnServers) -> ConnectionTest:
    return ConnectionTest(
        user_id=person.id,
        own_servers=own,
        address=f"{CANARY}@firm.test",
        login=CANARY,
        sealed_password=CANARY.encode(),
        state=ConnectionTestState.FAILED,
        server_words=CANARY,
        created_at=datetime.now(UTC),
    )


def to_the_end(job: Job, mailbox: Mailbox) -> int:
    """How many steps it took."""
    steps = 1
    while remove(job, mailbox.id):
        steps += 1
        assert steps < 100, "it does not come to an end"
    return steps


def in_tables(session: Session) -> list[str]:
    rows = dump(session)
    return [table for table, found in rows.items() if CANARY in str(found).lower()]


def in_files(folder: Path) -> set[str]:
    """The files that hold it, also those that only SQLite reads."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name for path in files if CANARY.encode() in path.read_bytes().lower()}


def assert_nothing_is_left(session: Session, data_folder: Path, mailbox: Mailbox) -> None:
    assert in_tables(session) == []
    assert in_files(data_folder) == set()
    assert list((data_folder / "messages").glob(f"{mailbox.uuid}*")) == []
    (other,) = session.scalars(select(Mailbox)).all()
    assert other.address == "lasting@firm.test"
    messages = session.scalars(select(Message)).all()
    assert [message.subject for message in messages] == [f"lasting {n}" for n in range(5)]
    store = SourceStore(data_folder / "messages")
    assert all(store.get(other.uuid, message.source_hash or "") for message in messages)
    assert session.scalars(select(OutgoingMessage.subject)).all() == ["lasting"]


def test_afterwards_nothing_is_in_any_table_nor_in_the_bytes_of_any_file(
    house: Job, session: Session, data_folder: Path, going: Mailbox
) -> None:
    session.connection().exec_driver_sql("PRAGMA wal_checkpoint")
    known = {"postroom.sqlite", "postroom.sqlite-wal"}
    assert in_files(data_folder) == known  # the store's are compressed
    assert len(in_tables(session)) >= 5
    assert (data_folder / "messages" / f"{going.uuid}.sqlite").exists()
    to_the_end(house, going)
    assert_nothing_is_left(session, data_folder, going)


@pytest.mark.parametrize("seed", range(4))
def test_cut_off_at_any_step_it_goes_on_and_comes_to_the_same_end(
    house: Job,
    session: Session,
    data_folder: Path,
    going: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    """At every other place on average: before a commit, after it, around the drop of the file."""
    chance = Random(seed)  # noqa: S311 - no secret
    cuts: Counter[str] = Counter()
    step, drop = Job.step, house.store.drop_mailbox

    def place(name: str) -> None:
        if chance.random() < 0.5:
            cuts[name] += 1
            raise CutError

    @contextmanager
    def cut_step(job: Job) -> Iterator[Session]:
        with step(job) as opened:
            yield opened
            place("before a commit")
        place("after a commit")

    def cut_drop(name: uuid.UUID) -> None:
        place("before the drop")
        drop(name)
        place("after the drop")

    with monkeypatch.context() as cut:
        cut.setattr(removal, "BATCH", 2)
        cut.setattr(Job, "step", cut_step)
        cut.setattr(house.store, "drop_mailbox", cut_drop)
        while removal.waiting(session):
            with suppress(CutError):
                remove(house, going.id)
            assert cuts.total() < 200, "it does not come to an end"
            # The row that names the sources is there for as long as they are.
            sources = list((data_folder / "messages").glob(f"{going.uuid}*"))
            assert not sources or removal.being_removed(session, going.id)
    assert {"before a commit", "after a commit"} <= cuts.keys()
    to_the_end(house, going)
    assert_nothing_is_left(session, data_folder, going)


def test_between_two_batches_others_write(
    house: Job, going: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "BATCH", 1)
    left = []
    more = True
    while more:
        more = remove(house, going.id)
        with house.step() as session:  # begins IMMEDIATE: it would wait for an open transaction
            left.append(session.query(Message).filter_by(mailbox_id=going.id).count())
    assert left[:6] == [4, 3, 2, 1, 0, 0]


def test_while_somebody_reads_the_journal_is_left_alone_and_emptied_later(
    house: Job, going: Mailbox, data_folder: Path
) -> None:
    journal = data_folder / "postroom.sqlite-wal"
    with house.sessions() as reader:
        connection = reader.connection().execution_options(begin_immediate=False)
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT count(*) FROM message")
        for _ in range(5):
            assert remove(house, going.id)
        assert journal.stat().st_size > 0
    assert not remove(house, going.id)
    assert journal.stat().st_size == 0


def test_a_mailbox_that_stays_is_left_alone_and_so_is_one_that_never_was(
    house: Job, session: Session, going: Mailbox, data_folder: Path
) -> None:
    with house.step() as opened:
        other = opened.scalars(select(Mailbox).where(Mailbox.id != going.id)).one()
    before = dump(session)
    for mailbox_id in (other.id, 99999):
        assert not remove(house, mailbox_id)
    assert dump(session) == before
    assert (data_folder / "messages" / f"{other.uuid}.sqlite").exists()


# The worker


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "REMOVAL_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(removal, "BATCH", 2)


def is_gone(job: Job, mailbox: Mailbox) -> bool:
    with job.step() as session:
        return session.get(Mailbox, mailbox.id) is None


@pytest.mark.parametrize("woken_by", ["the sweep", "a task"])
def test_the_worker_removes_it_to_the_end(
    house: Job, session: Session, going: Mailbox, data_folder: Path, quick: None, woken_by: str
) -> None:
    found = Worker(house)
    found._removing.start()
    if woken_by == "a task":
        found.wake[tasks.REMOVING](going.id)
    else:
        found.sweep()
    until(lambda: is_gone(house, going))
    until(lambda: (data_folder / "postroom.sqlite-wal").stat().st_size == 0)
    found._removing.stop(SOON)
    assert_nothing_is_left(session, data_folder, going)


def test_a_worker_that_stops_makes_no_further_step(
    house: Job, going: Mailbox, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    steps: list[int] = []
    found = Worker(house)

    def step(_job: Job, mailbox_id: int) -> bool:
        steps.append(mailbox_id)
        found._stopping.set()
        found._removing.take_no_more()
        return True

    monkeypatch.setattr(worker, "remove", step)
    found._removing.start()
    found.sweep()
    until(lambda: steps)
    found._removing.stop(SOON)
    assert steps == [going.id]


def test_a_visit_that_began_before_leaves_no_source_behind(
    house: Job,
    session: Session,
    going: Mailbox,
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    quick: None,
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def visit(job: Job, _mailbox_id: int) -> bool:
        begun.set()
        may_end.wait(SOON)
        job.store.put(going.uuid, [CANARY.encode()])
        return False

    monkeypatch.setattr(worker, "sync_mailbox", visit)
    found = Worker(house)
    for runner in (found._sync, found._removing):
        runner.start()
    found._sync.wake(going.id)
    assert begun.wait(SOON)
    found._remove(going.id)
    with house.step() as opened:
        assert removal.progress(opened, going) == len(LENGTHS)
    may_end.set()
    until(lambda: not found._visited)
    found.sweep()
    until(lambda: is_gone(house, going))
    for runner in (found._sync, found._removing):
        runner.stop(SOON)
    assert list((data_folder / "messages").glob(f"{going.uuid}*")) == []


# A real Dovecot and a real Postfix


def connections(port: int) -> int:
    """How many are open to that port of this machine, as the kernel counts them."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    fields = [line.split() for line in lines]
    wanted, established = f":{port:04X}", "01"
    return sum(one[1].endswith(wanted) and one[3] == established for one in fields)


@pytest.mark.dovecot
@pytest.mark.postfix
@pytest.mark.xdist_group("servers")
def test_disabling_ends_watching_and_sending_within_seconds_and_enabling_brings_them_back(
    job: Job, firm: MailSystem, bob: User, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(bob)
    box = mailbox_of(job, bob)
    found = Worker(job)

    def watched() -> bool:
        return found._watcher.watched == [box.id]

    found.start()
    try:
        # A sweep has found the watch in order: from now on it idles.
        until(lambda: watched() and box.id in (found._watcher._current or {}))
        until(lambda: watched() and connections(firm.imaps_port) == 1)
        with job.step() as session:
            people.disable(session, session.get_one(User, bob.id), author())
        until(lambda: not watched() and connections(firm.imaps_port) == 0, seconds=15)
        outgoing = queue(job, box, "carol@firm.test")
        until(lambda: state(job, outgoing) is OutgoingState.HELD)
        firm.deliver("bob", letter())
        found._sync.wake(box.id)
        found._outbox.wake(outgoing)
        found.sweep()
        assert (firm.messages("carol"), inbox(job, box)) == ([], [])
        with job.step() as session:
            people.enable(session, session.get_one(User, bob.id), author())
        until(lambda: state(job, outgoing) is OutgoingState.SENT)
        until(lambda: len(inbox(job, box)) == 1)
        until(lambda: watched() and connections(firm.imaps_port) == 1)
        assert len(firm.messages("carol")) == 1
    finally:
        found.stop()


def state(job: Job, outgoing: int) -> OutgoingState:
    with job.step() as session:
        return session.get_one(OutgoingMessage, outgoing).state
