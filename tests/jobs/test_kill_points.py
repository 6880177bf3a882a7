"""The worker is killed at each named point, as by a power cut; the next one reaches the end."""

import hashlib
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import mailboxes, outbox, services
from domain.outbox import Letter
from jobs.fail_points import POINTS
from keys import Keys, load_keys
from mail.mime.parse import Address
from models import (
    ConnectionTest,
    ConnectionTestState,
    Folder,
    Mailbox,
    MailService,
    Message,
    OutgoingMessage,
    OutgoingState,
    User,
)
from scripts.house import House
from tests.conftest import author
from tests.jobs.test_story import settings_of
from tests.servers.mail_system import PASSWORD, MailSystem
from tests.waiting import until

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

T = TypeVar("T")

MESSAGES = 40  # more than the first batch, so that there is a second one


class Office:
    """Bob's mailbox at the firm's servers, and workers that come and go."""

    def __init__(self, data: Path, sessions: sessionmaker[Session], firm: MailSystem) -> None:
        self.sessions = sessions
        self.firm = firm
        self._data = data
        self._running: House | None = None

    @property
    def keys(self) -> Keys:
        return load_keys(self._data / "keys")

    def killed_at(self, point: str) -> None:
        """A worker runs until it is killed there."""
        worker = self._worker({"POSTROOM_FAIL_POINT": point, "POSTROOM_TESTING": "yes"})
        assert worker.wait() == -signal.SIGKILL, worker.output

    def runs_on(self) -> None:
        """Another worker runs from now on."""
        self._running = self._worker({})

    def ends(self) -> None:
        if self._running is not None:
            self._running.stop(signal.SIGTERM)
            self._running = None

    def _worker(self, settings: dict[str, str]) -> House:
        worker = House("worker", self._data, {"POSTROOM_HOSTS": self.firm.hosts, **settings})
        worker.start()
        return worker

    def asks_to_connect(self, person: User) -> int:
        with self.sessions() as session, session.begin():
            service = session.scalars(select(MailService)).first() or services.add(
                session, settings_of(self.firm), author()
            )
            return mailboxes.begin_test(
                session,
                person,
                service_id=service.id,
                address=f"{person.login}@firm.test",
                login=person.login,
                password=PASSWORD,
                tried=None,
                ring=self.keys.ring,
                now=datetime.now(UTC),
            ).id

    def connects(self, person: User) -> None:
        test = self.asks_to_connect(person)
        self.runs_on()
        until(lambda: self.test_state(test) is ConnectionTestState.SUCCEEDED)
        until(lambda: self.read(lambda session: session.scalar(select(Folder.uid_validity))))
        self.ends()

    def sends(self, *to: str) -> int:
        with self.sessions() as session, session.begin():
            mailbox = session.scalars(select(Mailbox)).one()
            people = tuple(Address("", one) for one in to)
            letter = Letter(people, (), (), "Once", "and never twice\n")
            now = datetime.now(UTC)
            return outbox.queue(session, mailbox, letter, form_key=uuid4(), now=now).id

    def test_state(self, test: int) -> ConnectionTestState:
        return self.read(lambda session: session.get_one(ConnectionTest, test).state)

    def state(self, outgoing: int) -> OutgoingState:
        return self.read(lambda session: session.get_one(OutgoingMessage, outgoing).state)

    def copied(self, outgoing: int) -> bool:
        return self.read(lambda session: session.get_one(OutgoingMessage, outgoing).copied_to_sent)

    def mailboxes(self) -> int:
        return self.read(lambda session: len(session.scalars(select(Mailbox)).all()))

    def received(self) -> list[tuple[int | None, str | None]]:
        def rows(session: Session) -> list[tuple[int | None, str | None]]:
            found = session.execute(select(Message.uid, Message.source_hash).order_by(Message.uid))
            return [(row[0], row[1]) for row in found]

        return self.read(rows)

    def read(self, look: Callable[[Session], T]) -> T:
        with self.sessions() as session, session.begin():
            return look(session)


@pytest.fixture
def office(
    data_folder: Path, sessions: sessionmaker[Session], firm: MailSystem
) -> Iterator[Office]:
    found = Office(data_folder, sessions, firm)
    yield found
    found.ends()


def test_killed_while_connecting_it_connects_once(office: Office, bob: User) -> None:
    test = office.asks_to_connect(bob)
    office.killed_at("connecting.tried")
    assert (office.test_state(test), office.mailboxes()) == (ConnectionTestState.RUNNING, 0)
    office.runs_on()
    until(lambda: office.test_state(test) is ConnectionTestState.SUCCEEDED)
    assert office.mailboxes() == 1


@pytest.mark.parametrize(
    ("point", "already"), [("sync.source_kept", {0}), ("sync.batch_stored", {25})]
)
def test_killed_while_receiving_it_goes_on_where_it_was(
    office: Office, bob: User, point: str, already: set[int]
) -> None:
    office.connects(bob)
    office.firm.deliver(
        "bob", *(f"Subject: {number}\r\n\r\nx\r\n".encode() for number in range(MESSAGES))
    )
    office.killed_at(point)
    assert len(office.received()) in already
    office.runs_on()
    until(lambda: len(office.received()) == MESSAGES)
    hashes = [source_hash for _, source_hash in office.received()]
    assert sorted(map(str, hashes)) == sorted(map(hash_over_imap, office.firm.messages("bob")))


@pytest.mark.parametrize("point", ["outbox.claimed", "outbox.data_starts"])
def test_killed_before_the_content_it_is_sent_by_the_next_worker(
    office: Office, bob: User, point: str
) -> None:
    office.connects(bob)
    outgoing = office.sends("carol@firm.test")
    office.killed_at(point)
    assert office.state(outgoing) is OutgoingState.CLAIMED
    office.runs_on()
    until(lambda: office.copied(outgoing))
    assert office.state(outgoing) is OutgoingState.SENT
    until(lambda: len(office.firm.messages("carol")) == 1)


@pytest.mark.parametrize(
    ("point", "delivered"), [("outbox.data_started", 0), ("outbox.answered", 1)]
)
def test_killed_after_the_content_began_it_is_unconfirmed_and_not_sent_again(
    office: Office, bob: User, point: str, delivered: int
) -> None:
    office.connects(bob)
    outgoing = office.sends("carol@firm.test")
    office.killed_at(point)
    assert office.state(outgoing) is OutgoingState.DATA_STARTED
    office.runs_on()
    until(lambda: office.state(outgoing) is OutgoingState.UNCONFIRMED)
    # Another message of the same outbox overtakes it: the worker had every chance to send both.
    other = office.sends("carol@firm.test")
    until(lambda: office.copied(other))
    until(lambda: len(office.firm.messages("carol")) == delivered + 1)
    assert office.state(outgoing) is OutgoingState.UNCONFIRMED


def test_killed_after_it_was_sent_only_the_copy_is_made_up_for(office: Office, bob: User) -> None:
    office.connects(bob)
    outgoing = office.sends("carol@firm.test")
    office.killed_at("outbox.sent")
    assert (office.state(outgoing), office.copied(outgoing)) == (OutgoingState.SENT, False)
    office.runs_on()
    until(lambda: office.copied(outgoing))
    assert len(office.firm.messages("bob", "Sent")) == 1
    assert len(office.firm.messages("carol")) == 1


def test_every_point_is_played() -> None:
    played = Path(__file__).read_text(encoding="utf-8")
    assert [point for point in POINTS if f'"{point}"' not in played] == []


def hash_over_imap(stored: bytes) -> str:
    """Of a message in a maildir, which has line ends of its own."""
    return hashlib.sha256(stored.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).hexdigest()
