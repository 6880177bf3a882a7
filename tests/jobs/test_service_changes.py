"""What an administrator does to a service, seen by mailboxes at work: edit, delete, move."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from domain import notices, service_deletion, services
from domain.outbox import hold_and_release
from domain.sync import changes
from jobs import outbox, sync
from jobs.context import Job
from jobs.outbox import send
from jobs.sync import sync_mailbox
from jobs.worker import Worker
from mail.connection import Network
from mail.imap.client import ImapSession
from models import (
    ConnectionTest,
    Mailbox,
    MailboxState,
    MailService,
    Message,
    Notice,
    OutgoingMessage,
    OutgoingState,
    User,
)
from models.source_store import SourceStore
from tests.conftest import SignIn, author
from tests.jobs.administering import (
    Pause,
    Rows,
    Visits,
    add,
    connected,
    delete,
    letter,
    meanwhile,
    move,
    now_is,
    restore,
    rows,
    service_in,
    settings_at,
    state,
    subjects,
    watching,
)
from tests.jobs.office import inbox, queue, settings_of
from tests.servers.mail_system import MailSystem
from tests.servers.second_system import FAR, NEAR, SecondSystem
from tests.waiting import until

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

SOON = 8.0  # seconds: one turn of IDLE and one sweep, and what a busy machine adds
MESSAGES = 300


@pytest.fixture(scope="module")
def second_system(mail_system: MailSystem) -> Iterator[SecondSystem]:
    system = SecondSystem(mail_system)
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture
def second(firm: MailSystem, second_system: SecondSystem) -> Iterator[SecondSystem]:
    yield second_system
    if not (firm.folder / "run/master.pid").exists():
        firm.start_dovecot()


@pytest.fixture
def job(job: Job, firm: MailSystem, second: SecondSystem, data_folder: Path) -> Job:
    """Knows both systems, and keeps messages where the pages look for them."""
    hosts = Network.parse_hosts(f"{firm.hosts},{second.hosts}")
    network = replace(job.network, hosts=hosts)
    return replace(job, network=network, store=SourceStore(data_folder / "messages"))


@pytest.fixture
def worker(job: Job, box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """Has visited Bob's mailbox, and stands in IDLE there."""
    idle, begun = ImapSession.idle, threading.Event()

    def idles(imap: ImapSession, seconds: float) -> bool:
        begun.set()
        return idle(imap, seconds)

    monkeypatch.setattr(ImapSession, "idle", idles)
    started = Worker(job)
    started.start()
    assert begun.wait(20)
    yield started
    started.stop()


@pytest.fixture
def firm_service(job: Job, firm: MailSystem) -> MailService:
    return add(job, settings_of(firm))


@pytest.fixture
def box(job: Job, bob: User, firm_service: MailService) -> Mailbox:
    found = connected(job, bob, firm_service)
    assert sync_mailbox(job, found.id)
    return found


# --- the gear -------------------------------------------------------------------------------------


def test_a_mailbox_goes_on_at_the_servers_that_its_service_names_now(
    job: Job,
    firm: MailSystem,
    second: SecondSystem,
    worker: Worker,
    bob: User,
    box: Mailbox,
    firm_service: MailService,
) -> None:
    firm.deliver("bob", *(letter(f"Number {number}") for number in range(6)))
    until(lambda: len(rows(job, box)) == 6)
    with job.step() as session:
        for message in session.scalars(select(Message).order_by(Message.uid).limit(2)):
            changes.set_seen(session, message, seen=True)
    until(lambda: "bob" in watching(firm))
    before, password = rows(job, box), now_is(job, box).sealed_password
    with job.step() as session:
        edited = service_in(session, firm_service)
        services.edit(session, edited, settings_at(second, NEAR), author())
    until(lambda: "bob" not in watching(firm), SOON)
    until(lambda: "bob" in watching(second))
    firm.stop_dovecot()

    second.deliver("bob", letter("At the new server"))
    until(lambda: "At the new server" in subjects(job, box))
    outgoing = queue(job, box, "carol@firm.test")
    until(lambda: state(job, outgoing) is OutgoingState.SENT)
    after = rows(job, box)
    assert len(after) == 7
    assert before.items() <= after.items()
    assert [seen for _, seen, _ in after.values()].count(True) == 2
    now = now_is(job, box)
    assert (now.state, now.sealed_password) == (MailboxState.WORKING, password)
    with job.step() as session:
        assert len(session.scalars(select(ConnectionTest)).all()) == 1


def test_its_owner_is_told_of_both_hosts_once_and_no_more_when_it_is_read(
    job: Job, firm: MailSystem, second: SecondSystem, bob: User, box: Mailbox, signed_in: SignIn
) -> None:
    for settings in (settings_at(second, NEAR), settings_at(second, NEAR, name="Post")):
        with job.step() as session:
            service = session.scalars(select(MailService).where(~MailService.standard)).one()
            services.edit(session, service, settings, author())
    sync_mailbox(job, box.id)
    with job.step() as session:
        (notice,) = notices.of_person(session, bob)
        assert notice.details["imap_server"] == [
            f"imap.firm.test:{firm.imaps_port}",
            f"imap.{NEAR}:{second.imaps_port}",
        ]
    client = signed_in(bob)
    inbox_page = client.get(f"/mail/mailboxes/{box.id}", follow_redirects=True).text
    assert inbox_page.count("imap.firm.test") == 1
    assert f"imap.{NEAR}" in inbox_page
    client.post(f"/profile/notices/{notice.id}/dismiss")
    sync_mailbox(job, box.id)
    inbox_page = client.get(f"/mail/mailboxes/{box.id}", follow_redirects=True).text
    assert "imap.firm.test" not in inbox_page
    with job.step() as session:
        assert session.scalar(select(Notice)) is None


def test_of_a_change_that_was_taken_back_its_owner_is_told_nothing(
    job: Job, firm: MailSystem, second: SecondSystem, bob: User, box: Mailbox
) -> None:
    for settings in (settings_at(second, NEAR), settings_of(firm)):
        with job.step() as session:
            service = session.scalars(select(MailService).where(~MailService.standard)).one()
            services.edit(session, service, settings, author())
    with job.step() as session:
        assert notices.of_person(session, bob) == []


# --- the bin --------------------------------------------------------------------------------------


def test_a_deleted_service_stops_at_once_keeps_everything_and_comes_back_without_a_password(
    job: Job,
    firm: MailSystem,
    second: SecondSystem,
    worker: Worker,
    bob: User,
    carol: User,
    box: Mailbox,
    firm_service: MailService,
    signed_in: SignIn,
) -> None:
    carols = connected(job, carol, add(job, settings_at(second, NEAR, name="Near")))
    firm.deliver("bob", letter("Before"))
    until(lambda: subjects(job, box) == ["Before"])
    until(lambda: "bob" in watching(firm))
    waits = queue(job, box, "carol@firm.test")
    with job.step() as session:
        session.get_one(OutgoingMessage, waits).next_attempt_at += timedelta(seconds=2)
        service_deletion.delete(session, service_in(session, firm_service), author())
    assert now_is(job, box).state is MailboxState.SERVICE_DELETED
    until(lambda: "bob" not in watching(firm), SOON)
    until(lambda: state(job, waits) is OutgoingState.HELD)

    visits = Visits(firm)
    firm.deliver("bob", letter("Meanwhile"))
    # What Carol sends to herself after it overtakes both: the worker had every chance.
    overtakes = queue(job, carols, "carol@firm.test")
    until(lambda: state(job, overtakes) is OutgoingState.SENT)
    until(lambda: len(inbox(job, carols)) == 1)
    send(job, waits)
    assert not sync_mailbox(job, box.id)
    assert (visits.any(), state(job, waits)) == ([], OutgoingState.HELD)
    assert subjects(job, box) == ["Before"]
    (message,) = inbox(job, box)
    assert "Text" in signed_in(bob).get(f"/mail/messages/{message.id}/body").text

    restore(job, firm_service)
    until(lambda: subjects(job, box) == ["Before", "Meanwhile"])
    until(lambda: state(job, waits) is OutgoingState.SENT)
    until(lambda: "bob" in watching(firm))
    again = queue(job, box, "carol@firm.test")
    until(lambda: state(job, again) is OutgoingState.SENT)
    until(lambda: len(firm.messages("carol")) == 3)
    assert now_is(job, box).state is MailboxState.WORKING


def test_a_message_that_was_about_to_go_is_held_when_the_service_is_deleted(
    job: Job,
    firm: MailSystem,
    box: Mailbox,
    firm_service: MailService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pause = Pause("outbox.data_starts")
    monkeypatch.setattr(outbox, "fail_point", pause)
    outgoing = queue(job, box, "carol@firm.test")
    meanwhile(pause, lambda: send(job, outgoing), lambda: delete(job, firm_service))
    send(job, outgoing)
    with job.step() as session:
        hold_and_release(session)
    assert (state(job, outgoing), firm.messages("carol")) == (OutgoingState.HELD, [])
    restore(job, firm_service)
    with job.step() as session:
        hold_and_release(session)
    for _ in range(2):
        send(job, outgoing)
    assert state(job, outgoing) is OutgoingState.SENT
    until(lambda: len(firm.messages("carol")) == 1)


@pytest.mark.parametrize("point", ["sync.source_kept", "sync.batch_stored"])
def test_what_a_first_visit_still_brings_after_the_deletion_is_not_written(
    job: Job,
    firm: MailSystem,
    box: Mailbox,
    firm_service: MailService,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    firm.deliver("bob", *(letter(f"Number {number}") for number in range(MESSAGES)))
    pause = Pause(point)
    monkeypatch.setattr(sync, "fail_point", pause)
    stored: list[Rows] = []

    def deletes() -> None:
        delete(job, firm_service)
        stored.append(rows(job, box))

    meanwhile(pause, lambda: sync_mailbox(job, box.id), deletes)
    assert rows(job, box) == stored[0]
    assert len(stored[0]) < MESSAGES
    assert now_is(job, box).state is MailboxState.SERVICE_DELETED
    restore(job, firm_service)
    assert sync_mailbox(job, box.id)
    after = rows(job, box)
    assert len({uid for uid, _, _ in after.values()}) == len(after) == MESSAGES
    assert stored[0].items() <= after.items()


# --- to another service ---------------------------------------------------------------------------


def test_moved_within_its_domain_a_mailbox_goes_on_at_once(
    job: Job,
    firm: MailSystem,
    second: SecondSystem,
    worker: Worker,
    box: Mailbox,
    firm_service: MailService,
) -> None:
    until(lambda: "bob" in watching(firm))
    move(job, firm_service, add(job, settings_at(second, NEAR, name="Near")))
    until(lambda: "bob" in watching(second), SOON)
    until(lambda: "bob" not in watching(firm), SOON)
    second.deliver("bob", letter("There"))
    until(lambda: subjects(job, box) == ["There"])
    assert now_is(job, box).state is MailboxState.WORKING


def test_moved_to_another_domain_no_server_there_is_called_before_its_owner_agrees(
    job: Job,
    firm: MailSystem,
    second: SecondSystem,
    worker: Worker,
    box: Mailbox,
    firm_service: MailService,
) -> None:
    firm.deliver("bob", letter("Here"))
    until(lambda: "bob" in watching(firm) and subjects(job, box) == ["Here"])
    before, visits = rows(job, box), Visits(second)
    move(job, firm_service, add(job, settings_at(second, FAR, name="Far")))
    assert now_is(job, box).state is MailboxState.MOVED
    outgoing = queue(job, box, "carol@firm.test")
    until(lambda: "bob" not in watching(firm), SOON)
    until(lambda: state(job, outgoing) is OutgoingState.HELD)
    worker.wake["mailbox"](box.id)
    send(job, outgoing)
    assert not sync_mailbox(job, box.id)
    assert visits.any() == []

    with job.step() as session:
        own = session.get_one(Mailbox, box.id)
        assert service_deletion.agree(session, own, service_deletion.asked_of(own), job.clock())
    second.deliver("bob", letter("There"))
    until(lambda: subjects(job, box) == ["Here", "There"])
    until(lambda: state(job, outgoing) is OutgoingState.SENT)
    until(lambda: "bob" in watching(second))
    assert before.items() <= rows(job, box).items()
    assert now_is(job, box).state is MailboxState.WORKING


def test_moved_back_before_anybody_agreed_it_needs_no_agreement(
    job: Job,
    second: SecondSystem,
    box: Mailbox,
    firm_service: MailService,
) -> None:
    far = add(job, settings_at(second, FAR, name="Far"))
    visits = Visits(second)
    move(job, firm_service, far)
    assert not sync_mailbox(job, box.id)
    move(job, far, firm_service)
    assert now_is(job, box).state is MailboxState.CONNECTING
    assert sync_mailbox(job, box.id)
    assert (now_is(job, box).state, visits.any()) == (MailboxState.WORKING, [])


def test_a_message_that_was_about_to_go_is_held_when_its_mailbox_moves_away(
    job: Job,
    second: SecondSystem,
    box: Mailbox,
    firm: MailSystem,
    firm_service: MailService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    far = add(job, settings_at(second, FAR, name="Far"))
    pause = Pause("outbox.claimed")
    monkeypatch.setattr(outbox, "fail_point", pause)
    outgoing, visits = queue(job, box, "carol@firm.test"), Visits(second)
    meanwhile(pause, lambda: send(job, outgoing), lambda: move(job, firm_service, far))
    assert (state(job, outgoing), visits.any()) == (OutgoingState.HELD, [])
    assert firm.messages("carol") == []
