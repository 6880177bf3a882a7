"""A firm's service, Bob's mailbox at it, and workers that come and go."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import connecting, outbox, services
from domain.outbox import Letter
from domain.services import ServerSettings, ServiceSettings
from jobs.context import Job
from keys import Keys, load_keys
from mail.mime.parse import Address
from mail.security import Security
from mail.server_string import ServerAddress
from models import (
    ConnectionTest,
    ConnectionTestState,
    Folder,
    FolderRole,
    Mailbox,
    MailService,
    Message,
    OutgoingMessage,
    OutgoingState,
    User,
)
from scripts.house import House
from tests.conftest import author
from tests.servers.mail_system import PASSWORD, MailSystem
from tests.waiting import until

T = TypeVar("T")

TEXT = "Hello Carol,\n\nПривет. > this is not a quote\n.\nFrom here to there\n"


def settings_of(firm: MailSystem, **changed: object) -> ServiceSettings:
    values: dict[str, object] = {
        "name": "Firm mail",
        "imap": ServerSettings(ServerAddress("imap.firm.test", firm.imaps_port), Security.TLS),
        "smtp": ServerSettings(ServerAddress("smtp.firm.test", firm.smtps_port), Security.TLS),
        "ca_pem": firm.ca_pem,
        **changed,
    }
    return ServiceSettings(**values)  # type: ignore[arg-type]


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
            service = session.scalars(
                select(MailService).where(~MailService.standard)
            ).first() or services.add(session, settings_of(self.firm), author())
            return connecting.begin_test(
                session,
                person,
                servers=service.id,
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
