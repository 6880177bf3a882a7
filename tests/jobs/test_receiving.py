"""Whatever happens at a real Dovecot, our rows become what it has, and a further visit is idle."""

import hashlib
import imaplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from domain import messages
from domain.sync import changes
from jobs import sync
from jobs.context import Job
from jobs.sync import sync_mailbox
from models import Folder, Mailbox, MailboxState, Message, User
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


def reads_all(job: Job, folder: str) -> None:
    """Bob reads every message of a folder here."""
    with job.step() as session:
        own = select(Message).join(Folder).where(Folder.name == folder)
        for message in session.scalars(own).all():
            changes.set_seen(session, message, seen=True)


def append(firm: MailSystem, folder: str, *sources: bytes) -> None:
    with client(firm) as other:
        other.create(folder)
        for raw in sources:
            other.append(folder, "", "", raw)


def maildir(firm: MailSystem, folder: str) -> Path:
    return firm.folder / "mail" / "bob" / "Maildir" / f".{folder}"


def state_of(job: Job, box: Mailbox) -> MailboxState:
    with job.step() as session:
        return session.get_one(Mailbox, box.id).state


def test_a_change_in_a_folder_that_vanished_stops_nothing(
    job: Job, firm: MailSystem, box: Mailbox
) -> None:
    append(firm, "Projects", letter(1))
    sync_mailbox(job, box.id)
    reads_all(job, "Projects")
    with client(firm) as other:
        other.delete("Projects")
    firm.deliver("bob", letter(2))
    assert sync_mailbox(job, box.id)
    assert state_of(job, box) is MailboxState.WORKING
    assert_in_step(job, firm, box)


def test_a_change_that_a_folder_refuses_is_given_up_and_the_server_wins(
    job: Job, firm: MailSystem, box: Mailbox
) -> None:
    append(firm, "Shared", letter(1))
    sync_mailbox(job, box.id)
    reads_all(job, "Shared")
    assert [seen for _, seen, _ in ours(job, "Shared")] == [True]
    (maildir(firm, "Shared") / "cur").chmod(0o555)  # Dovecot opens it for reading only
    assert sync_mailbox(job, box.id)
    assert_in_step(job, firm, box, "Shared")
    assert [seen for _, seen, _ in ours(job, "Shared")] == [False]


@pytest.mark.parametrize("refused", ["no way in", "a fault of the server"])
def test_a_folder_that_cannot_be_opened_stops_no_other(
    job: Job, firm: MailSystem, box: Mailbox, refused: str
) -> None:
    for name in ("Archive", "Projects"):
        append(firm, name, letter(1))
    if refused == "no way in":
        (maildir(firm, "Archive") / "cur").chmod(0)
    else:
        for index in maildir(firm, "Archive").glob("dovecot*"):
            index.unlink()
        (maildir(firm, "Archive") / "dovecot-uidlist").mkdir()
    assert sync_mailbox(job, box.id)
    assert state_of(job, box) is MailboxState.WORKING
    assert (ours(job, "Archive"), ours(job, "Projects")) == ([], theirs(firm, "Projects"))


def test_a_mailbox_whose_inbox_cannot_be_opened_does_not_work_but_its_folders_are_followed(
    job: Job, firm: MailSystem, box: Mailbox
) -> None:
    append(firm, "Projects", letter(1))
    firm.deliver("bob", letter(2))
    cur = firm.folder / "mail" / "bob" / "Maildir" / "cur"
    cur.chmod(0)
    assert not sync_mailbox(job, box.id)
    assert state_of(job, box) is MailboxState.UNREACHABLE
    assert ours(job, "Projects") == theirs(firm, "Projects")
    cur.chmod(0o700)
    assert_in_step(job, firm, box)
    assert state_of(job, box) is MailboxState.WORKING


def test_large_messages_are_kept_and_committed_a_few_at_a_time(
    job: Job, firm: MailSystem, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm.deliver("bob", *(letter(number) + b"x" * 60 + b"\r\n" for number in range(7)))
    sizes: list[list[int]] = []
    monkeypatch.setattr(sync, "PORTION_BYTES", 1_000)
    store = job.store.put

    def put(box: UUID, sources: Sequence[bytes]) -> list[str]:
        sizes.append([len(raw) for raw in sources])
        return store(box, sources)

    monkeypatch.setattr(job.store, "put", put)
    assert_in_step(job, firm, box)
    assert sum(len(portion) for portion in sizes) == 7
    assert len(sizes) > 1
    assert all(sum(portion) <= 1_000 or len(portion) == 1 for portion in sizes)


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
