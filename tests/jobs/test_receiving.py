"""Whatever happens at a real Dovecot, our rows become what it has, and a further visit is idle."""

import hashlib
import imaplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from domain import messages
from domain.sync import changes
from jobs.context import Job
from jobs.sync import sync_mailbox
from models import Folder, Mailbox, Message, User
from tests.jobs.conftest import Connect
from tests.jobs.office import inbox, mailbox_of
from tests.servers.mail_system import PASSWORD, MailSystem

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

# UID, read, and the hash of the raw message.
Rows = list[tuple[int, bool, str]]
UNREADABLE = (
    b"Subject: odd\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\n\r\nx\r\n" * 1_001
)


@pytest.fixture
def box(connect: Connect, job: Job, bob: User) -> Mailbox:
    connect(bob)
    return mailbox_of(job, bob)


def letter(number: int) -> bytes:
    return f"From: carol@firm.test\r\nSubject: Number {number}\r\n\r\nText {number}\r\n".encode()


def ours(job: Job, folder: str = "INBOX") -> Rows:
    with job.step() as session:
        found = session.execute(
            select(Message.uid, Message.seen, Message.source_hash)
            .join(Folder)
            .where(Folder.name == folder)
            .order_by(Message.uid)
        )
        return [(int(row[0] or 0), row[1], str(row[2])) for row in found]


@contextmanager
def client(firm: MailSystem) -> Iterator[imaplib.IMAP4_SSL]:
    """Bob's other mail program."""
    context = ssl.create_default_context(cadata=firm.ca_pem)
    context.check_hostname = False
    with imaplib.IMAP4_SSL("127.0.0.1", firm.imaps_port, ssl_context=context) as other:
        other.login("bob", PASSWORD)
        yield other


def theirs(firm: MailSystem, folder: str = "INBOX") -> Rows:
    rows: Rows = []
    with client(firm) as other:
        other.select(f'"{folder}"', readonly=True)
        _, answer = other.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[])")
        for piece in answer:
            if isinstance(piece, tuple):
                head, raw = piece
                uid = int(head.split(b"UID ")[1].split()[0])
                rows.append((uid, b"\\Seen" in head, hashlib.sha256(raw).hexdigest()))
    return sorted(rows)


def assert_in_step(job: Job, firm: MailSystem, box: Mailbox, folder: str = "INBOX") -> None:
    """After two visits our rows are the server's, and a third one changes nothing."""
    for _ in range(2):
        sync_mailbox(job, box.id)
    assert ours(job, folder) == theirs(firm, folder)
    before = state(job)
    sync_mailbox(job, box.id)
    assert state(job) == before


def state(job: Job) -> list[object]:
    """Every row of the mail, and the version that open pages watch."""
    with job.step() as session:
        rows: list[object] = [tuple(row) for row in session.execute(select(Message.__table__))]
        rows += [tuple(row) for row in session.execute(select(Folder.__table__))]
        return [*rows, session.scalars(select(Mailbox.version)).one()]


def test_new_changed_and_removed_messages_are_followed(
    job: Job, firm: MailSystem, box: Mailbox
) -> None:
    firm.deliver("bob", *map(letter, range(60)))
    assert_in_step(job, firm, box)
    with client(firm) as other:
        other.select("INBOX")
        other.uid("STORE", "3:5", "+FLAGS", "(\\Seen \\Flagged)")
        other.uid("STORE", "10:12", "+FLAGS", "(\\Deleted)")
        other.expunge()
    firm.deliver("bob", letter(60))
    assert_in_step(job, firm, box)
    assert len(ours(job)) == 58
    with job.step() as session:
        folder = session.scalars(select(Folder).where(Folder.name == "INBOX")).one()
        assert (folder.total, folder.unread) == (58, 55)


def test_the_newest_message_comes_first(job: Job, firm: MailSystem, box: Mailbox) -> None:
    firm.deliver("bob", *map(letter, range(30)))
    sync_mailbox(job, box.id)
    with job.step() as session:
        by_arrival = session.scalars(select(Message.uid).order_by(Message.id)).all()
    assert set(by_arrival[:25]) == set(range(6, 31))


def test_a_new_uid_validity_loses_and_doubles_nothing(
    job: Job, firm: MailSystem, box: Mailbox
) -> None:
    firm.deliver("bob", *map(letter, range(5)))
    sync_mailbox(job, box.id)
    before = {message.source_hash: message.id for message in inbox(job, box)}
    firm.doveadm("mailbox", "update", "-u", "bob", "--uid-validity", "4711", "INBOX")
    assert_in_step(job, firm, box)
    assert {message.source_hash: message.id for message in inbox(job, box)} == before


def test_a_message_nobody_can_read_is_kept_and_said_and_the_others_go_on(
    job: Job, firm: MailSystem, box: Mailbox
) -> None:
    firm.deliver("bob", letter(1), UNREADABLE, letter(2))
    assert_in_step(job, firm, box)
    readable = {message.subject: message.readable for message in inbox(job, box)}
    assert readable == {"Number 1": True, "": False, "Number 2": True}
    (odd,) = [message for message in inbox(job, box) if not message.readable]
    assert job.store.get(box.uuid, str(odd.source_hash)).endswith(UNREADABLE)


def test_folders_that_come_and_go_are_followed(job: Job, firm: MailSystem, box: Mailbox) -> None:
    with client(firm) as other:
        other.create("Projects")
        other.create('"Projects/&BB8EPgRHBEIEMA-"')
        other.append('"Projects/&BB8EPgRHBEIEMA-"', "", "", letter(1))
    sync_mailbox(job, box.id)
    assert_in_step(job, firm, box)
    assert len(ours(job, "Projects/Почта")) == 1
    with client(firm) as other:
        other.delete('"Projects/&BB8EPgRHBEIEMA-"')
    sync_mailbox(job, box.id)
    with job.step() as session:
        assert "Projects/Почта" not in session.scalars(select(Folder.name)).all()
        assert session.scalars(select(Message)).all() == []


def test_what_bob_reads_here_is_read_at_the_server(
    job: Job, firm: MailSystem, box: Mailbox, bob: User
) -> None:
    firm.deliver("bob", letter(1), letter(2))
    sync_mailbox(job, box.id)
    first = inbox(job, box)[0]
    with job.step() as session:
        opened = messages.find(session, bob, first.id)
        changes.set_seen(session, opened.message, seen=True)
    assert_in_step(job, firm, box)
    assert [seen for _, seen, _ in theirs(firm)] == [True, False]


def test_a_dovecot_that_is_away_is_unreachable_and_heals(
    job: Job, firm: MailSystem, box: Mailbox
) -> None:
    firm.stop_dovecot()
    try:
        sync_mailbox(job, box.id)
        with job.step() as session:
            mailbox = session.get_one(Mailbox, box.id)
            assert (mailbox.state.value, mailbox.last_error_cause) == (
                "unreachable",
                "connection_refused",
            )
    finally:
        firm.start_dovecot()
    assert_in_step(job, firm, box)
    with job.step() as session:
        assert session.get_one(Mailbox, box.id).state.value == "working"
