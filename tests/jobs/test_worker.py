"""The worker's own decisions: what it wakes, and whom it leaves alone."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from domain.secrets import KeyRing
from jobs import worker
from jobs.context import Job
from jobs.parsers import DirectParser
from jobs.watcher import Watcher
from jobs.worker import Worker
from mail.connection import Network
from models.source_store import SourceStore


@pytest.fixture
def job(sessions: sessionmaker[Session], tmp_path: Path) -> Job:
    return Job(
        sessions=sessions,
        ring=KeyRing(current="1", keys={"1": b"r" * 32}),
        store=SourceStore(tmp_path / "messages"),
        network=Network(),
        parser=DirectParser(),
        clock=lambda: datetime.now(UTC),
    )


@pytest.mark.parametrize("worked", [True, False])
def test_only_a_mailbox_that_works_is_watched(
    job: Job, monkeypatch: pytest.MonkeyPatch, worked: bool
) -> None:
    watched: list[int] = []
    monkeypatch.setattr(worker, "sync_mailbox", lambda _job, _mailbox: worked)
    monkeypatch.setattr(Watcher, "watch", lambda _self, mailbox: watched.append(mailbox))
    Worker(job)._synchronise(7)
    assert watched == ([7] if worked else [])
