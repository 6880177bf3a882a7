"""What every runner is given: sessions, keys, the store, the network, a clock.

``dns`` and ``web`` are where *Find settings* asks.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from domain.secrets import KeyRing
from jobs.parsers import Parser
from mail.connection import Network
from mail.dns_records import Dns
from mail.http import Web
from models.source_store import SourceStore


@dataclass(frozen=True)
class Job:
    sessions: sessionmaker[Session]
    ring: KeyRing
    store: SourceStore
    network: Network
    parser: Parser
    clock: Callable[[], datetime]
    dns: Dns = field(default_factory=Dns)
    web: Web = field(default_factory=Web)
    worker: uuid.UUID = field(default_factory=uuid.uuid4)

    @contextmanager
    def step(self) -> Iterator[Session]:
        """One short transaction. Nothing slow, and no network, inside it."""
        with self.sessions() as session, session.begin():
            yield session
