"""Raw messages: compressed, addressed by SHA-256 within a mailbox, one SQLite file per mailbox.

Writing one mailbox never locks another, and dropping one is deleting its file.
"""

import hashlib
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

COMPRESSION_LEVEL = 3
BUSY_TIMEOUT_SECONDS = 10


class SourceMissingError(KeyError):
    """The store holds no message with that hash."""


class SourceStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, mailbox: uuid.UUID, sources: Iterable[bytes]) -> list[str]:
        """Keeps all of them in one durable transaction; returns their SHA-256 in hexadecimal."""
        compress = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress
        rows = [(hash_of(raw), compress(raw)) for raw in sources]
        with self._open(mailbox, create=True) as store:
            store.execute("BEGIN IMMEDIATE")
            store.executemany("INSERT OR IGNORE INTO source (hash, body) VALUES (?, ?)", rows)
            store.execute("COMMIT")
        return [row[0] for row in rows]

    def get(self, mailbox: uuid.UUID, source_hash: str) -> bytes:
        """Raises SourceMissingError when it is not there."""
        if not self._path(mailbox).exists():
            raise SourceMissingError(source_hash)
        with self._open(mailbox) as store:
            row = store.execute("SELECT body FROM source WHERE hash = ?", (source_hash,)).fetchone()
        if row is None:
            raise SourceMissingError(source_hash)
        return zstandard.ZstdDecompressor().decompress(row[0])

    def drop_mailbox(self, mailbox: uuid.UUID) -> None:
        path = self._path(mailbox)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def verify(self, mailbox: uuid.UUID) -> list[str]:
        """The hashes of what can no longer be read as it was put."""
        if not self._path(mailbox).exists():
            return []
        decompress = zstandard.ZstdDecompressor().decompress
        broken = []
        with self._open(mailbox) as store:
            for name, body in store.execute("SELECT hash, body FROM source"):
                try:
                    intact = hash_of(decompress(body)) == name
                except zstandard.ZstdError:
                    intact = False
                if not intact:
                    broken.append(name)
        return broken

    def _path(self, mailbox: uuid.UUID) -> Path:
        return self._folder / f"{mailbox}.sqlite"

    @contextmanager
    def _open(self, mailbox: uuid.UUID, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        store = sqlite3.connect(
            self._path(mailbox), isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS
        )
        try:
            if create:
                store.execute("PRAGMA journal_mode=WAL")
                store.execute("PRAGMA synchronous=FULL")
                store.execute(
                    "CREATE TABLE IF NOT EXISTS source (hash TEXT PRIMARY KEY, body BLOB NOT NULL)"
                )
            yield store
        finally:
            store.close()


def hash_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
