"""Runners against the firm's real mail servers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import connecting, services
from domain.secrets import KeyRing
from jobs.connecting import run_test
from jobs.context import Job
from jobs.parsers import DirectParser
from mail.connection import Network
from models import ConnectionTest, MailService, User
from models.source_store import SourceStore
from tests.conftest import author
from tests.jobs.office import Office, settings_of
from tests.servers.mail_system import PASSWORD, MailSystem


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


Connect = Callable[..., ConnectionTest]


@pytest.fixture
def connect(job: Job, firm: MailSystem, ring: KeyRing) -> Connect:
    def connect(person: User, password: str = PASSWORD, **changed: object) -> ConnectionTest:
        with job.step() as session:
            service = session.scalars(
                select(MailService).where(~MailService.standard)
            ).first() or services.add(session, settings_of(firm, **changed), author())
            test = connecting.begin_test(
                session,
                person,
                servers=service.id,
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


@pytest.fixture
def office(
    data_folder: Path, sessions: sessionmaker[Session], firm: MailSystem
) -> Iterator[Office]:
    found = Office(data_folder, sessions, firm)
    yield found
    found.ends()
