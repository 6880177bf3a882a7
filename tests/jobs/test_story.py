"""Connecting, receiving and sending against a real Dovecot and a real Postfix."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import mailboxes, outbox, services
from domain.outbox import Letter
from domain.secrets import KeyRing
from domain.services import ServerSettings, ServiceSettings
from jobs.connecting import run_test
from jobs.context import Job
from jobs.outbox import send
from jobs.parsers import DirectParser
from jobs.sync import sync_mailbox
from mail.connection import Network
from mail.mime.parse import Address, parse
from mail.security import Security
from mail.server_string import ServerAddress
from models import (
    ConnectionTest,
    ConnectionTestState,
    Folder,
    FolderRole,
    Mailbox,
    MailboxState,
    MailService,
    Message,
    OutgoingMessage,
    OutgoingState,
    User,
)
from models.source_store import SourceStore
from tests.conftest import author
from tests.servers.mail_system import PASSWORD, MailSystem

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

TEXT = "Hello Carol,\n\nПривет. > this is not a quote\n.\nFrom here to there\n"


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing(current="1", keys={"1": b"r" * 32})


@pytest.fixture
def job(sessions: sessionmaker[Session], firm: MailSystem, ring: KeyRing, tmp_path: Path) -> Job:
    return Job(
        sessions=sessions,
        ring=ring,
        store=SourceStore(tmp_path / "messages"),
        network=Network(hosts=Network.parse_hosts(firm.hosts), connect_seconds=5),
        parser=DirectParser(),
        clock=lambda: datetime.now(UTC),
    )


def settings_of(firm: MailSystem, **changed: object) -> ServiceSettings:
    values: dict[str, object] = {
        "name": "Firm mail",
        "imap": ServerSettings(ServerAddress("imap.firm.test", firm.imaps_port), Security.TLS),
        "smtp": ServerSettings(ServerAddress("smtp.firm.test", firm.smtps_port), Security.TLS),
        "ca_pem": firm.ca_pem,
        **changed,
    }
    return ServiceSettings(**values)  # type: ignore[arg-type]


Connect = Callable[..., ConnectionTest]


@pytest.fixture
def connect(job: Job, firm: MailSystem, ring: KeyRing) -> Connect:
    def connect(person: User, password: str = PASSWORD, **changed: object) -> ConnectionTest:
        with job.step() as session:
            service = session.scalars(select(MailService)).first() or services.add(
                session, settings_of(firm, **changed), author()
            )
            test = mailboxes.begin_test(
                session,
                person,
                service_id=service.id,
                address=f"{person.login}@firm.test",
                login=person.login,
                password=password,
                tried=None,
                ring=ring,
                now=job.clock(),
            )
        run_test(job, test.id)
        with job.step() as session:
            return session.get_one(ConnectionTest, test.id)

    return connect


def mailbox_of(job: Job, person: User) -> Mailbox:
    with job.step() as session:
        return session.scalars(select(Mailbox).where(Mailbox.user_id == person.id)).one()


def queue(job: Job, mailbox: Mailbox, *to: str) -> int:
    with job.step() as session:
        letter = Letter(tuple(Address("", one) for one in to), (), (), "Grüße — привет", TEXT)
        own = session.get_one(Mailbox, mailbox.id)
        return outbox.queue(session, own, letter, form_key=uuid4(), now=job.clock()).id


def inbox(job: Job, mailbox: Mailbox) -> list[Message]:
    with job.step() as session:
        return list(
            session.scalars(
                select(Message)
                .join(Folder)
                .where(Folder.role == FolderRole.INBOX, Folder.mailbox_id == mailbox.id)
                .order_by(Message.uid)
            )
        )


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
    delivered = _until(lambda: firm.messages("carol"))
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
    _until(lambda: len(firm.messages("bob")) == 3)
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


def _until(condition: Callable[[], object]) -> list[bytes]:
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while not (found := condition()):
        assert datetime.now(UTC) < deadline
    return found if isinstance(found, list) else []
