"""The checks: what is well, what is a warning, what has failed, and what is not told."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from domain import connecting, health, outbox
from domain.health import Check, KeyFiles, Status, Surroundings
from domain.secrets import KeyRing
from jobs import vital_signs
from models import (
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    MailboxState,
    OutgoingMessage,
    OutgoingState,
    User,
)
from tests.conftest import ROOT
from tests.mailroom import NOW, RING, dump, mailbox_of, queued, service_of

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
FINE = Surroundings(
    now=NOW,
    newest_migration=vital_signs.newest_migration(ROOT / "migrations"),
    keys=KeyFiles(),
    ring=RING,
    free_bytes=50_000_000_000,
    worker_runs=True,
    tasks_waiting=0,
)
ALL = ["keys", "database", "disk", "worker", "queue", "outbox", "mailboxes"]


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    """Asks for the people first: this session keeps others from writing."""
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    return mailbox_of(rows, bob)


def check(
    rows: Session, name: str, around: Surroundings = FINE, *, thorough: bool = False
) -> Check:
    found = {one.name: one for one in health.examine(rows, around, thorough=thorough)}
    return found[name]


def waiting_test(rows: Session, person: User) -> ConnectionTest:
    return connecting.begin_test(
        rows,
        rows.get_one(User, person.id),
        servers=service_of(rows).id,
        address="new@firm.test",
        login="new",
        password="secret",
        tried=None,
        ring=RING,
        now=NOW,
    )


def test_when_all_is_well_every_check_says_so(rows: Session, mailbox: Mailbox) -> None:
    found = health.examine(rows, FINE, thorough=True)
    assert [one.name for one in found] == ALL
    assert [(one.status, one.problem) for one in found] == [(Status.OK, "")] * len(ALL)


def test_the_worst_check_is_the_whole() -> None:
    assert health.worst([]) is Status.OK
    assert health.worst([Status.OK, Status.WARNING, Status.OK]) is Status.WARNING
    assert health.worst([Status.FAILED, Status.WARNING]) is Status.FAILED


@pytest.mark.parametrize(
    ("free", "status", "problem"),
    [
        (2_000_000_000, Status.OK, ""),
        (1_999_999_999, Status.WARNING, "low"),
        (200_000_000, Status.WARNING, "low"),
        (199_999_999, Status.FAILED, "full"),
        (0, Status.FAILED, "full"),
        (None, Status.FAILED, "folder_missing"),
    ],
)
def test_a_disk_that_fills_up_is_told_in_time(
    free: int | None, status: Status, problem: str
) -> None:
    found = health.disk(free)
    assert (found.status, found.problem) == (status, problem)


def test_a_missing_worker_is_a_failure(rows: Session) -> None:
    assert check(rows, "worker", replace(FINE, worker_runs=False)).status is Status.FAILED


def test_a_fault_of_a_key_file_is_a_failure_with_its_path(rows: Session) -> None:
    found = check(rows, "keys", replace(FINE, keys=KeyFiles("key_open", "/k/cookie"), ring=None))
    assert (found.status, found.problem) == (Status.FAILED, "key_open")
    assert found.values == {"about": "/k/cookie"}


def test_keys_that_do_not_open_what_is_sealed_are_a_failure(
    rows: Session, mailbox: Mailbox
) -> None:
    for ring in (
        KeyRing(current="1", keys={"1": b"x" * 32}),
        KeyRing(current="2", keys={"2": b"r" * 32}),
    ):
        assert check(rows, "keys", replace(FINE, ring=ring)).problem == "key_wrong"


def test_any_keys_are_right_while_nothing_is_sealed(rows: Session) -> None:
    other = KeyRing(current="1", keys={"1": b"x" * 32})
    assert check(rows, "keys", replace(FINE, ring=other)).status is Status.OK


def test_tables_of_another_version_are_a_failure_and_their_rows_are_not_read(
    rows: Session, mailbox: Mailbox
) -> None:
    found = health.examine(rows, replace(FINE, newest_migration="another"))
    assert [one.name for one in found] == ALL[:4]
    assert (found[1].status, found[1].problem) == (Status.FAILED, "other_schema")
    assert found[1].values == {"schema": FINE.newest_migration, "wanted": "another"}


def test_a_database_without_tables_is_a_failure() -> None:
    engine = create_engine("sqlite://")
    with Session(engine) as empty:
        assert check(empty, "database").problem == "empty"
    engine.dispose()


def test_a_database_that_cannot_be_read_is_a_failure_and_the_rest_is_still_told() -> None:
    engine = create_engine("sqlite:////nowhere/at/all.sqlite")
    with Session(engine) as nowhere:
        found = health.examine(nowhere, FINE)
    engine.dispose()
    assert [one.name for one in found] == ALL[:4]
    assert [one.status for one in found] == [Status.OK, Status.FAILED, Status.OK, Status.OK]
    assert found[1].values == {"words": "unable to open database file"}


def test_damage_is_found_on_wish_only(rows: Session) -> None:
    """A row that lacks a value its table demands is what quick_check calls damage."""
    rows.execute(text("PRAGMA writable_schema=ON"))
    rows.execute(text("CREATE TABLE bent (x)"))
    rows.execute(text("INSERT INTO bent VALUES (NULL)"))
    rows.execute(
        text("UPDATE sqlite_schema SET sql = 'CREATE TABLE bent (x NOT NULL)' WHERE name = 'bent'")
    )
    rows.commit()
    rows.execute(text("PRAGMA writable_schema=RESET"))
    assert check(rows, "database").status is Status.OK
    found = check(rows, "database", thorough=True)
    assert (found.status, found.problem) == (Status.FAILED, "damaged")
    assert found.values["words"] == "NULL value in bent.x"


@pytest.mark.parametrize(
    ("age", "status"), [(MINUTE, Status.OK), (MINUTE + SECOND, Status.WARNING)]
)
def test_a_connection_test_may_wait_for_a_minute(
    rows: Session, bob: User, age: timedelta, status: Status
) -> None:
    waiting_test(rows, bob)
    found = check(rows, "queue", replace(FINE, now=NOW + age))
    assert found.status is status
    assert found.values["late_tests"] == (1 if status is Status.WARNING else 0)


def test_a_connection_test_that_ended_waits_no_longer(rows: Session, bob: User) -> None:
    waiting_test(rows, bob).state = ConnectionTestState.FAILED
    rows.flush()
    assert check(rows, "queue", replace(FINE, now=NOW + 5 * MINUTE)).status is Status.OK


@pytest.mark.parametrize(
    ("tasks", "status"), [(1000, Status.OK), (1001, Status.WARNING), (None, Status.FAILED)]
)
def test_tasks_that_nobody_takes_are_told(rows: Session, tasks: int | None, status: Status) -> None:
    found = check(rows, "queue", replace(FINE, tasks_waiting=tasks))
    assert (found.status, found.values["tasks"]) == (status, tasks)


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (OutgoingState.QUEUED, True),
        (OutgoingState.HELD, True),
        (OutgoingState.CLAIMED, True),
        (OutgoingState.DATA_STARTED, True),
        (OutgoingState.DRAFT, False),
        (OutgoingState.SENT, False),
        (OutgoingState.FAILED, False),
        (OutgoingState.UNCONFIRMED, False),
        (OutgoingState.CANCELLED, False),
    ],
)
def test_a_message_on_its_way_for_over_15_minutes_is_a_warning(
    rows: Session, mailbox: Mailbox, state: OutgoingState, counts: bool
) -> None:
    queued(rows, mailbox).state = state
    rows.flush()
    in_time = check(rows, "outbox", replace(FINE, now=NOW + 15 * MINUTE))
    late = check(rows, "outbox", replace(FINE, now=NOW + 15 * MINUTE + SECOND))
    assert in_time.status is Status.OK
    assert late.status is (Status.WARNING if counts else Status.OK)
    assert late.values["oldest_seconds"] == (901 if counts else None)


def test_the_oldest_message_counts(rows: Session, mailbox: Mailbox) -> None:
    queued(rows, mailbox, now=NOW)
    queued(rows, mailbox, now=NOW + 10 * MINUTE)
    found = check(rows, "outbox", replace(FINE, now=NOW + 16 * MINUTE))
    assert found.values["oldest_seconds"] == 16 * 60


def test_what_its_sender_sends_later_is_not_late_but_what_was_refused_for_now_is(
    rows: Session, mailbox: Mailbox
) -> None:
    message = queued(rows, mailbox)
    message.next_attempt_at = NOW + timedelta(days=1)
    rows.flush()
    later = replace(FINE, now=NOW + 20 * MINUTE)
    assert check(rows, "outbox", later).status is Status.OK
    outbox.put_back(rows, message, "refused_for_now", "later", later.now)
    assert check(rows, "outbox", later).status is Status.WARNING


def test_the_outbox_is_counted_by_state(rows: Session, mailbox: Mailbox) -> None:
    for state in (OutgoingState.QUEUED, OutgoingState.QUEUED, OutgoingState.FAILED):
        queued(rows, mailbox).state = state
    rows.flush()
    values = check(rows, "outbox").values
    assert [values[name] for name in ("queued", "held", "failed", "unconfirmed")] == [2, 0, 1, 0]


@pytest.mark.parametrize("state", list(MailboxState))
def test_a_mailbox_that_does_not_work_is_a_warning(
    rows: Session, mailbox: Mailbox, state: MailboxState
) -> None:
    mailbox.state = state
    rows.flush()
    fine = state in {
        MailboxState.WORKING,
        MailboxState.CONNECTING,
        MailboxState.DISCONNECTED,
    }
    found = check(rows, "mailboxes")
    assert found.status is (Status.OK if fine else Status.WARNING)
    assert found.values == {"connected": 1, "not_working": 0 if fine else 1}
    assert [one.status for one in health.each_mailbox(rows)] == [found.status]


def test_the_mailbox_of_a_person_who_was_switched_off_needs_nothing(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    mailbox.state = MailboxState.LOGIN_REFUSED
    rows.get_one(User, bob.id).active = False
    rows.flush()
    other_ring = replace(FINE, ring=KeyRing(current="1", keys={"1": b"x" * 32}))
    assert health.worst(one.status for one in health.examine(rows, other_ring)) is Status.OK
    assert [one.status for one in health.each_mailbox(rows)] == [Status.OK]


def test_of_a_mailbox_its_owner_place_and_state_are_told(
    rows: Session, bob: User, carol: User
) -> None:
    mailbox_of(rows, carol)
    mailbox_of(rows, bob)
    assert [
        (one.owner, one.service, one.address, one.state, one.last_contact_at)
        for one in health.each_mailbox(rows)
    ] == [
        ("Bob", "Firm mail", "bob@firm.test", MailboxState.WORKING, NOW),
        ("Carol", "Firm mail", "carol@firm.test", MailboxState.WORKING, NOW),
    ]


def test_no_subject_password_or_person_is_in_what_the_checks_say(
    rows: Session, mailbox: Mailbox
) -> None:
    queued(rows, mailbox, subject="canary-subject", body="canary-text")
    said = repr(health.examine(rows, replace(FINE, now=NOW + 60 * MINUTE)))
    for word in ("canary", "secret", "bob", "Bob", "carol", "firm.test"):
        assert word not in said


def test_looking_writes_nothing(rows: Session, mailbox: Mailbox) -> None:
    queued(rows, mailbox, form_key=uuid.uuid4())
    rows.commit()
    before = dump(rows)
    health.examine(rows, FINE, thorough=True)
    health.each_mailbox(rows)
    assert not rows.new
    assert not rows.dirty
    assert dump(rows) == before
    assert rows.get_one(OutgoingMessage, 1).state is OutgoingState.QUEUED
