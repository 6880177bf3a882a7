"""The runner that removes a mailbox with all its mail, one batch after the other."""

from contextlib import closing

from sqlalchemy import Engine

from domain import removal
from jobs.context import Job
from models.base import BUSY_TIMEOUT_MS


def remove(job: Job, mailbox_id: int) -> bool:
    """Makes the next step; whether there is one more to make.

    Whoever was cut off makes the same step again.
    """
    with job.step() as session:
        name = removal.being_removed(session, mailbox_id)
        more = removal.remove_some(session, mailbox_id)
    if name is not None and not more:
        job.store.drop_mailbox(name)
        with job.step() as session:
            more = not removal.finish(session, mailbox_id)
    return more or not _empty_journal(job)


def _empty_journal(job: Job) -> bool:
    """Whether SQLite's write-ahead log, which holds pages as they were, could be emptied.

    Not while anybody reads or writes: nobody is made to wait for it, it is tried again.
    """
    with job.sessions() as session:
        engine = session.get_bind()
    if not isinstance(engine, Engine) or engine.dialect.name != "sqlite":
        return True
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=0")
        try:
            (busy, *_pages) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            cursor.close()
    return not busy
