"""How Alembic reaches the database: through the running application."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from flask import current_app

from models import Base, db
from models.base import UTCDateTime


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """A migration does not depend on our own column type, which may change."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime()"
    return False


@contextmanager
def _references_at_rest(connection: sa.Connection) -> Iterator[None]:
    """SQLite alters a table by making it anew: with foreign keys on, what refers to it would go.

    Asked of the driver, for a transaction of ours has no say in it.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
    broken = driver.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise RuntimeError(f"the migration left {len(broken)} rows that refer to nothing")


def run() -> None:
    with (
        current_app.app_context(),
        db.engine.connect() as connection,
        _references_at_rest(connection),
    ):
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            render_item=render_item,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
