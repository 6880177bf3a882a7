"""Connecting, receiving and sending against a real Dovecot and a real Postfix."""

import pytest
from sqlalchemy import select

from domain.services import ServerSettings
from jobs.context import Job
from jobs.outbox import send
from jobs.sync import sync_mailbox
from mail.mime.parse import parse
from mail.security import Security
from mail.server_string import ServerAddress
from models import (
    ConnectionTestState,
    Mailbox,
    MailboxState,
    OutgoingMessage,
    OutgoingState,
    User,
)
from tests.jobs.conftest import Connect
from tests.jobs.office import TEXT, inbox, mailbox_of, queue
from tests.servers.mail_system import PASSWORD, MailSystem
from tests.waiting import until

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]


def test_bob_connects_writes_to_carol_and_she_reads_what_he_wrote(
    job: Job, firm: MailSystem, bob: User, carol: User, connect: Connect
) -> None:
    assert connect(bob).state is ConnectionTestState.SUCCEEDED
    assert connect(carol).state is ConnectionTestState.SUCCEEDED
    sender, recipient = mailbox_of(job, bob), mailbox_of(job, carol)
    outgoing = queue(job, sender, "carol@firm.test")
    send(job, outgoing)
    with job.step() as session:
        message = session.get_one(OutgoingMessage, outgoing)
        assert (message.state, message.copied_to_sent) == (OutgoingState.SENT, True)
    delivered = until(lambda: firm.messages("carol"))
    assert parse(delivered[0]).text.rstrip("\n") == TEXT.rstrip("\n")
    sync_mailbox(job, recipient.id)
    (arrived,) = inbox(job, recipient)
    assert arrived.subject == "Grüße — привет"
    assert job.store.get(recipient.uuid, arrived.source_hash or "").endswith(
        delivered[0].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")[-60:]
    )
    assert len(firm.messages("bob", "Sent")) == 1


@pytest.mark.parametrize(
    ("changed", "password", "cause"),
    [
        ({}, "wrong", "login_refused"),
        ({"ca_pem": ""}, PASSWORD, "certificate_untrusted"),
        (
            {"imap": ServerSettings(ServerAddress("imap.nowhere.invalid", 993), Security.TLS)},
            PASSWORD,
            "name_not_found",
        ),
        (
            {"imap": ServerSettings(ServerAddress("imap.firm.test", 1), Security.TLS)},
            PASSWORD,
            "connection_refused",
        ),
    ],
)
def test_what_goes_wrong_is_told_apart_and_no_mailbox_is_stored(
    job: Job,
    bob: User,
    connect: Connect,
    changed: dict[str, object],
    password: str,
    cause: str,
) -> None:
    test = connect(bob, password, **changed)
    assert (test.state, test.cause) == (ConnectionTestState.FAILED, cause)
    with job.step() as session:
        assert session.scalar(select(Mailbox)) is None


def test_what_changes_on_the_server_changes_here_and_a_third_visit_finds_nothing(
    job: Job, firm: MailSystem, bob: User, connect: Connect
) -> None:
    connect(bob)
    box = mailbox_of(job, bob)
    for _ in range(3):
        send(job, queue(job, box, "bob@firm.test"))
    until(lambda: len(firm.messages("bob")) == 3)
    sync_mailbox(job, box.id)
    assert len(inbox(job, box)) == 3
    maildir = firm.folder / "mail" / "bob" / "Maildir"
    next(iter(sorted((maildir / "new").glob("*")) + sorted((maildir / "cur").glob("*")))).unlink()
    sync_mailbox(job, box.id)
    assert len(inbox(job, box)) == 2
    before = mailbox_of(job, bob).version
    sync_mailbox(job, box.id)
    assert mailbox_of(job, bob).version == before


def test_a_recipient_whom_the_server_does_not_know_fails_with_its_words(
    job: Job, bob: User, connect: Connect
) -> None:
    connect(bob)
    outgoing = queue(job, mailbox_of(job, bob), "nobody@firm.test")
    send(job, outgoing)
    with job.step() as session:
        message = session.get_one(OutgoingMessage, outgoing)
        assert message.state is OutgoingState.FAILED
        assert message.recipients["nobody@firm.test"]["code"] == 550


def test_a_changed_password_is_believed_the_third_time(
    job: Job, firm: MailSystem, bob: User, connect: Connect
) -> None:
    connect(bob)
    box = mailbox_of(job, bob)
    firm.set_passwords({"bob": "changed"})
    for _ in range(3):
        sync_mailbox(job, box.id)
    assert mailbox_of(job, bob).state is MailboxState.LOGIN_REFUSED
    # Whatever wakes it now, it does not sign in again.
    before = mailbox_of(job, bob).failures
    assert not sync_mailbox(job, box.id)
    assert mailbox_of(job, bob).failures == before
