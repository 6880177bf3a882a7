"""Sending one message against servers that do what no real one can be made to do."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from domain import outbox
from domain.secrets import KeyRing
from domain.sync import folder as folder_sync
from domain.sync.plan import Flags
from jobs import outbox as runner
from jobs.context import Job
from jobs.outbox import send
from jobs.parsers import DirectParser
from jobs.watcher import Watcher
from jobs.worker import Worker
from mail.connection import Network
from mail.server_errors import Cause, MailServerError, Step
from models import (
    Folder,
    FolderRole,
    Mailbox,
    MailboxState,
    Message,
    OutgoingMessage,
    OutgoingState,
    User,
)
from models.source_store import SourceStore
from tests.jobs.conftest import Connect
from tests.jobs.office import inbox, queue
from tests.jobs.office import mailbox_of as box_of
from tests.mailroom import (
    RING,
    fetched,
    inbox_of,
    letter,
    mailbox_of,
    queued,
    service_of,
    unreadable,
)
from tests.servers.mail_system import MailSystem
from tests.servers.scripted import (
    Script,
    ScriptedServer,
    Talk,
    closed_port,
    identity,
    serving,
    welcome_imap,
    welcome_smtp,
)
from tests.waiting import until

CAROL, DAVE, ERIN = "carol@firm.test", "dave@firm.test", "erin@firm.test"
S = OutgoingState


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def job(sessions: sessionmaker[Session], clock: Clock, tmp_path: Path) -> Job:
    hosts = "imap.firm.test=127.0.0.1,smtp.firm.test=127.0.0.1"
    return Job(
        sessions=sessions,
        ring=RING,
        store=SourceStore(tmp_path / "messages"),
        network=Network(hosts=Network.parse_hosts(hosts), connect_seconds=5, command_seconds=5),
        parser=DirectParser(),
        clock=clock,
    )


@pytest.fixture
def box(job: Job, bob: User) -> Mailbox:
    with job.step() as session:
        mailbox_of(session, bob)
        service_of(session).ca_pem = identity().ca_pem
    return box_of(job, bob)


@pytest.fixture
def smtp(job: Job, box: Mailbox) -> Iterator[Callable[[Script], ScriptedServer]]:
    """Puts a server with that script in the place of the firm's SMTP server, or of the one before:
    at its port, for at another the servers would be others.
    """
    open_ones: list[AbstractContextManager[ScriptedServer]] = []
    port = 0

    def put(script: Script) -> ScriptedServer:
        nonlocal port
        while open_ones:
            open_ones.pop().__exit__(None, None, None)
        context = serving(over_tls(script), port)
        server = context.__enter__()
        open_ones.append(context)
        port = server.port
        at_ports(job, smtp=port)
        return server

    yield put
    for context in open_ones:
        context.__exit__(None, None, None)


def over_tls(script: Script) -> Script:
    def played(talk: Talk) -> None:
        talk.start_tls(identity())
        script(talk)

    return played


def at_ports(job: Job, **ports: int) -> None:
    with job.step() as session:
        for name, port in ports.items():
            setattr(service_of(session), f"{name}_port", port)


def writes(job: Job, box: Mailbox, *to: str) -> int:
    with job.step() as session:
        own = session.get_one(Mailbox, box.id)
        return queued(session, own, *(to or (CAROL,)), now=job.clock()).id


def row(job: Job, outgoing: int) -> OutgoingMessage:
    with job.step() as session:
        return session.get_one(OutgoingMessage, outgoing)


def again(job: Job, clock: Clock, outgoing: int) -> None:
    """The next try, as the sweep makes it."""
    clock.now += timedelta(minutes=16)
    with job.step() as session:
        outbox.hold_and_release(session)
        assert outgoing in outbox.due(session, clock.now)
    send(job, outgoing)


def refuses_login(talk: Talk) -> None:
    talk.say("220 ready")
    talk.reply("EHLO", "250-smtp.firm.test", "250 AUTH PLAIN")
    talk.reply("AUTH PLAIN", "535 5.7.8 no")


def accepts(*answers: str, end: str = "250 2.0.0 queued") -> Script:
    """A server that gives those answers to RCPT and takes the text."""

    def script(talk: Talk) -> None:
        welcome_smtp(talk)
        talk.reply("MAIL FROM", "250 fine")
        for answer in answers:
            talk.reply("RCPT TO", answer)
        if any(answer.startswith("2") for answer in answers):
            talk.reply("DATA", "354 go on")
            while talk.hear() != ".":
                pass
            talk.say(end)
        talk.reply("QUIT", "221 bye")

    return script


def breaks(*_: object, **__: object) -> Any:
    raise RuntimeError("broken")


def test_a_fault_of_ours_before_the_text_is_tried_again_and_logged(
    job: Job, box: Mailbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    outgoing = writes(job, box)
    monkeypatch.setattr(runner, "build", breaks)
    for attempt in (1, 2):
        with pytest.raises(RuntimeError):
            send(job, outgoing)
        message = row(job, outgoing)
        assert (message.state, message.attempts, message.cause) == (S.QUEUED, attempt, "fault")
        assert message.claimed_by is None
        assert message.next_attempt_at > clock.now


def test_a_fault_of_ours_after_the_text_began_is_bobs_to_decide(
    job: Job,
    box: Mailbox,
    smtp: Callable[[Script], ScriptedServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    smtp(accepts("250 fine"))
    outgoing = writes(job, box)
    monkeypatch.setattr(outbox, "settle", breaks)
    with pytest.raises(RuntimeError):
        send(job, outgoing)
    message = row(job, outgoing)
    assert (message.state, message.cause, message.was_unconfirmed) == (
        S.UNCONFIRMED,
        "fault",
        True,
    )


def test_each_recipient_has_a_result_and_only_who_may_still_get_it_is_tried_again(
    job: Job, box: Mailbox, clock: Clock, smtp: Callable[[Script], ScriptedServer]
) -> None:
    outgoing = writes(job, box, CAROL, DAVE, ERIN)
    smtp(accepts("250 fine", "450 4.2.0 greylisted", "550 5.1.1 unknown"))
    with closed_port() as port:
        at_ports(job, imap=port)
        send(job, outgoing)
        assert row(job, outgoing).state is S.QUEUED
        second = smtp(accepts("250 fine"))
        again(job, clock, outgoing)
    message = row(job, outgoing)
    assert message.state is S.FAILED
    assert second.heard.count(b"RCPT TO") == 1
    assert f"RCPT TO:<{DAVE}>".encode() in second.heard
    assert [one["code"] for one in message.recipients.values()] == [250, 250, 550]


def test_a_refused_password_is_offered_three_times_and_receiving_goes_on(
    job: Job, box: Mailbox, clock: Clock, smtp: Callable[[Script], ScriptedServer]
) -> None:
    outgoing = writes(job, box)
    before = box.next_contact_at
    smtp(refuses_login)
    send(job, outgoing)
    for _ in range(2):
        smtp(refuses_login)
        again(job, clock, outgoing)
    assert row(job, outgoing).state is S.HELD
    with job.step() as session:
        mailbox = session.get_one(Mailbox, box.id)
        assert (mailbox.state, mailbox.next_contact_at) == (MailboxState.WORKING, before)
        assert (mailbox.smtp_failures, mailbox.smtp_error_cause) == (3, "login_refused")
    fourth = smtp(refuses_login)
    send(job, writes(job, box))
    assert not fourth.called


def test_a_closed_smtp_port_delays_no_receiving(job: Job, box: Mailbox) -> None:
    outgoing = writes(job, box)
    with closed_port() as port:
        at_ports(job, smtp=port)
        send(job, outgoing)
    message = row(job, outgoing)
    assert (message.state, message.cause) == (S.QUEUED, "connection_refused")
    with job.step() as session:
        mailbox = session.get_one(Mailbox, box.id)
        assert (mailbox.state, mailbox.failures) == (MailboxState.WORKING, 0)
        assert (mailbox.smtp_failures, mailbox.next_contact_at) == (0, box.next_contact_at)


def test_a_lost_key_holds_the_message(job: Job, box: Mailbox, bob: User) -> None:
    outgoing = writes(job, box)
    send(replace(job, ring=KeyRing(current="2", keys={"2": b"s" * 32})), outgoing)
    message = row(job, outgoing)
    assert (message.state, message.attempts, message.claimed_by) == (S.HELD, 0, None)
    assert box_of(job, bob).state is MailboxState.SECRET_LOST


def test_a_person_who_was_disabled_meanwhile_sends_nothing(
    job: Job, box: Mailbox, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    outgoing = writes(job, box)

    def disabled(name: str) -> None:
        if name == "outbox.claimed":
            with job.step() as session:
                session.get_one(User, bob.id).active = False

    monkeypatch.setattr(runner, "fail_point", disabled)
    send(job, outgoing)
    assert row(job, outgoing).state is S.HELD


def test_a_mailbox_that_is_gone_takes_its_messages_along(
    job: Job, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    outgoing = writes(job, box)

    def removed(name: str) -> None:
        if name == "outbox.claimed":
            with job.step() as session:
                session.execute(delete(Mailbox).where(Mailbox.id == box.id))

    monkeypatch.setattr(runner, "fail_point", removed)
    send(job, outgoing)
    with job.step() as session:
        assert session.scalar(select(OutgoingMessage)) is None


def sent(job: Job, box: Mailbox, smtp: Callable[[Script], ScriptedServer]) -> int:
    """A message that went out while IMAP was away, and a mailbox without *Sent*."""
    smtp(accepts("250 fine"))
    with job.step() as session:
        session.execute(delete(Folder).where(Folder.mailbox_id == box.id))
    outgoing = writes(job, box)
    with closed_port() as port:
        at_ports(job, imap=port)
        send(job, outgoing)
    assert (row(job, outgoing).state, row(job, outgoing).copy_attempts) == (S.SENT, 1)
    return outgoing


def opens(uid_validity: int = 1) -> tuple[str, ...]:
    return "* 1 EXISTS", f"* OK [UIDVALIDITY {uid_validity}] ok", "* OK [UIDNEXT 9] ok"


def takes_the_copy(talk: Talk) -> None:
    talk.answer("EXAMINE", *opens())
    talk.answer("SEARCH", "* SEARCH")
    size = int(talk.hear("APPEND").rpartition("{")[2].rstrip("+}"))
    tag = talk.tag
    talk.say("+ go on")
    talk.hear_bytes(size + 2)
    talk.say(f"{tag} OK done")


def has_the_copy(talk: Talk) -> None:
    """As at Gmail, which files by itself what was sent."""
    talk.answer("EXAMINE", *opens())
    talk.answer("SEARCH", "* SEARCH 4")


@pytest.mark.parametrize("copy", [takes_the_copy, has_the_copy])
def test_the_mailbox_that_has_the_copy_is_named_once(
    job: Job, box: Mailbox, smtp: Callable[[Script], ScriptedServer], copy: Script
) -> None:
    outgoing = writes(job, box)
    smtp(accepts("250 fine"))
    with closed_port() as port:
        at_ports(job, imap=port)
        assert send(job, outgoing) is None

    def script(talk: Talk) -> None:
        welcome_imap(talk)
        copy(talk)
        talk.answer("LOGOUT", "* BYE")

    later = replace(job, clock=lambda: datetime.now(UTC) + timedelta(hours=1))
    with serving(over_tls(script)) as imap:
        at_ports(job, imap=imap.port)
        assert send(later, outgoing) == box.id
    assert send(later, outgoing) is None


def answers(job: Job, box: Mailbox) -> int:
    """Bob's answer to a message that lies in two of his folders."""
    raw = letter(headers={"Message-ID": "<m1@firm.test>"})
    with job.step() as session:
        own = session.get_one(Mailbox, box.id)
        for folder in session.scalars(select(Folder).where(Folder.mailbox_id == own.id)):
            if folder.role is not FolderRole.SENT:
                folder.uid_validity = 7
                folder_sync.store(session, folder, [fetched(raw, 5), fetched(letter(), 6)])
        message = queued(session, own, CAROL, now=job.clock())
        message.in_reply_to = "<m1@firm.test>"
        return message.id


def test_the_server_learns_that_a_message_was_answered_wherever_it_lies(
    job: Job, box: Mailbox, smtp: Callable[[Script], ScriptedServer]
) -> None:
    smtp(accepts("250 fine"))
    outgoing = answers(job, box)
    opened = []

    def script(talk: Talk) -> None:
        welcome_imap(talk)
        takes_the_copy(talk)
        for _ in range(2):
            opened.append(talk.answer("SELECT", *opens(uid_validity=7)).split()[-1].strip('"'))
            talk.answer("UID STORE 5 +FLAGS.SILENT (\\Answered)")
        talk.answer("LOGOUT", "* BYE")

    with serving(over_tls(script)) as imap:
        at_ports(job, imap=imap.port)
        assert send(job, outgoing) == box.id
    assert sorted(opened) == ["INBOX", "Projects"]


def renumbered(talk: Talk) -> None:
    for _ in range(2):
        talk.answer("SELECT", *opens(uid_validity=8))
    talk.answer("LOGOUT", "* BYE")


def refuses_flags(talk: Talk) -> None:
    talk.answer("SELECT", *opens(uid_validity=7))
    talk.answer("STORE", end="NO read only")
    talk.answer("LOGOUT", "* BYE")


def hangs_up(talk: Talk) -> None:
    talk.hear("SELECT")
    talk.cut()


@pytest.mark.parametrize("then", [renumbered, refuses_flags, hangs_up])
def test_a_copy_that_is_made_is_not_made_again_for_a_mark(
    job: Job, box: Mailbox, smtp: Callable[[Script], ScriptedServer], then: Script
) -> None:
    smtp(accepts("250 fine"))
    outgoing = answers(job, box)

    def script(talk: Talk) -> None:
        welcome_imap(talk)
        takes_the_copy(talk)
        then(talk)

    with serving(over_tls(script)) as imap:
        at_ports(job, imap=imap.port)
        assert send(job, outgoing) == box.id
    assert (row(job, outgoing).copied_to_sent, row(job, outgoing).copy_attempts) == (True, 0)


def test_only_what_was_answered_is_marked_and_only_once(job: Job, box: Mailbox, bob: User) -> None:
    raw = letter(headers={"Message-ID": "<m1@firm.test>"})
    with job.step() as session:
        own, other = session.get_one(Mailbox, box.id), mailbox_of(session, bob, "info@firm.test")
        nameless = [fetched(raw, 4, flags=Flags(answered=True)), fetched(unreadable(), 5)]
        folder_sync.store(session, inbox_of(session, own), [*nameless, fetched(raw, 6)])
        folder_sync.store(session, inbox_of(session, other), [fetched(raw, 7)])
        found = runner._answered(session, own.id, "<m1@firm.test>")
        assert [place.uid for place in found] == [6]
        assert runner._answered(session, own.id, "") == []


def test_a_message_id_that_a_sender_gave_many_times_costs_little(job: Job, box: Mailbox) -> None:
    raw = letter(headers={"Message-ID": "<m1@firm.test>"})
    with job.step() as session:
        folder = inbox_of(session, session.get_one(Mailbox, box.id))
        folder_sync.store(session, folder, [fetched(raw, uid) for uid in range(1, 40)])
        assert len(runner._answered(session, box.id, "<m1@firm.test>")) == 10


@pytest.mark.dovecot
@pytest.mark.postfix
@pytest.mark.xdist_group("servers")
def test_what_bob_answered_is_in_sent_within_seconds_and_the_original_is_marked(
    job: Job,
    firm: MailSystem,
    bob: User,
    clock: Clock,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(bob)
    own = box_of(job, bob)
    firm.deliver("bob", letter(headers={"Message-ID": "<m1@firm.test>"}), letter("Dinner"))
    # Neither the poll, for this clock stands still, nor IDLE finds anything: only what is told.
    monkeypatch.setattr(Watcher, "watch", lambda *_: None)
    house = Worker(job, sync_threads=1)
    house.start()
    try:
        until(lambda: box_of(job, bob).last_contact_at == clock.now)
        assert [one.answered for one in inbox(job, own)] == [False, False]
        outgoing = answering(job, own, "<m1@firm.test>")
        house._outbox.wake(outgoing)
        (copy,) = until(lambda: in_sent(job, own), seconds=10)
        until(lambda: [one.answered for one in inbox(job, own)] == [True, False], seconds=10)
    finally:
        house.stop()
    assert copy.message_id == row(job, outgoing).message_id


def answering(job: Job, box: Mailbox, message_id: str) -> int:
    outgoing = queue(job, box, CAROL)
    with job.step() as session:
        session.get_one(OutgoingMessage, outgoing).in_reply_to = message_id
    return outgoing


def in_sent(job: Job, box: Mailbox) -> list[Message]:
    with job.step() as session:
        listed = select(Message).join(Folder).where(Folder.mailbox_id == box.id)
        return list(session.scalars(listed.where(Folder.role == FolderRole.SENT)))


@pytest.mark.parametrize(
    ("listed", "created"),
    [
        (['(\\HasChildren) "." "INBOX"', '() "." "INBOX.Drafts"'], "INBOX.Sent"),
        (['() "." "INBOX"', '() "." "Drafts"', '() "." "INBOX.Old"'], "Sent"),
        (['() "/" "INBOX"'], "Sent"),
        (['() NIL "INBOX"', '() NIL "INBOXes"'], "Sent"),
    ],
)
def test_sent_is_created_where_the_other_folders_are(
    job: Job,
    box: Mailbox,
    clock: Clock,
    smtp: Callable[[Script], ScriptedServer],
    listed: list[str],
    created: str,
) -> None:
    outgoing = sent(job, box, smtp)

    def script(talk: Talk) -> None:
        welcome_imap(talk)
        talk.answer("LIST", *(f"* LIST {one}" for one in listed))
        said = talk.answer("CREATE")
        assert said.split()[-1].strip('"') == created
        talk.answer("SUBSCRIBE")
        takes_the_copy(talk)
        talk.answer("LOGOUT", "* BYE")

    with serving(over_tls(script)) as imap:
        at_ports(job, imap=imap.port)
        again(job, clock, outgoing)
    assert row(job, outgoing).copied_to_sent


def test_a_sent_that_cannot_be_created_is_tried_ever_later(
    job: Job, box: Mailbox, clock: Clock, smtp: Callable[[Script], ScriptedServer]
) -> None:
    outgoing = sent(job, box, smtp)

    def script(talk: Talk) -> None:
        welcome_imap(talk)
        talk.answer("LIST", '* LIST () "/" "INBOX"')
        talk.answer("CREATE", end="NO not allowed")

    waits = []
    for attempt in (2, 3):
        with serving(over_tls(script)) as imap:
            at_ports(job, imap=imap.port)
            again(job, clock, outgoing)
        message = row(job, outgoing)
        assert (message.state, message.copy_attempts) == (S.SENT, attempt)
        assert message.next_copy_at is not None
        waits.append(message.next_copy_at - clock.now)
    assert waits[0] < waits[1]


def test_a_fault_of_ours_while_copying_is_tried_later_and_logged(
    job: Job,
    box: Mailbox,
    clock: Clock,
    smtp: Callable[[Script], ScriptedServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outgoing = sent(job, box, smtp)
    monkeypatch.setattr(runner, "open_session", breaks)
    with pytest.raises(RuntimeError):
        again(job, clock, outgoing)
    assert row(job, outgoing).copy_attempts == 2


def test_a_claim_that_was_lost_on_the_way_changes_nothing(
    job: Job, box: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outgoing = writes(job, box)
    other = replace(job, worker=uuid4())

    def taken_over(*_: object, **__: object) -> Any:
        with job.step() as session:
            outbox.release(session, job.clock())
            outbox.claim(session, outgoing, other.worker, job.clock())
        raise MailServerError(Step.PORT, Cause.CLOSED)

    monkeypatch.setattr(runner, "open_smtp", taken_over)
    with caplog.at_level(logging.WARNING):
        send(job, outgoing)
    message = row(job, outgoing)
    assert (message.state, message.claimed_by) == (S.CLAIMED, other.worker)
    assert "no longer ours" in caplog.text
