"""Sending one message against servers that do what no real one can be made to do."""

import logging
from collections.abc import Callable, Iterator
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
from jobs import outbox as runner
from jobs.context import Job
from jobs.outbox import send
from jobs.parsers import DirectParser
from mail.connection import Network
from mail.server_errors import Cause, MailServerError, Step
from models import Folder, Mailbox, MailboxState, OutgoingMessage, OutgoingState, User
from models.source_store import SourceStore
from tests.jobs.office import mailbox_of as box_of
from tests.mailroom import RING, mailbox_of, queued, service_of
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
    """Puts a server with that script in the place of the firm's SMTP server."""
    open_ones = []

    def put(script: Script) -> ScriptedServer:
        context = serving(over_tls(script))
        server = context.__enter__()
        open_ones.append(context)
        at_ports(job, smtp=server.port)
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
    service_version = box.servers.version
    for _ in range(2):
        smtp(refuses_login)
        again(job, clock, outgoing)
    assert row(job, outgoing).state is S.HELD
    with job.step() as session:
        mailbox = session.get_one(Mailbox, box.id)
        assert (mailbox.state, mailbox.next_contact_at) == (MailboxState.WORKING, before)
        assert (mailbox.smtp_failures, mailbox.smtp_error_cause) == (3, "login_refused")
        assert mailbox.servers.version == service_version
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
        talk.answer("EXAMINE", "* 0 EXISTS", "* OK [UIDVALIDITY 1] ok", "* OK [UIDNEXT 1] ok")
        talk.answer("SEARCH", "* SEARCH")
        size = int(talk.hear("APPEND").rpartition("{")[2].rstrip("+}"))
        tag = talk.tag
        talk.say("+ go on")
        talk.hear_bytes(size + 2)
        talk.say(f"{tag} OK done")
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
