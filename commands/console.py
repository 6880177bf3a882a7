"""Whoever types a command: nobody who signed in. And the database, if there is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from domain import health
from domain.changelog import Author
from jobs.vital_signs import newest_migration
from models import db

NO_DATABASE = (
    "There is no database of this version here. `make run` makes it or brings it up to date;"
    " `flask --app commands.doctor doctor` says what else may be wrong."
)


def console() -> Author:
    """Stands in the change log without a name."""
    key = current_app.extensions["postroom_keys"].change_log
    return Author(name="", user_id=None, now=datetime.now(UTC), key=key)


def is_there() -> bool:
    """Without a look into it: to connect would make the file."""
    file = Path(db.engine.url.database or "")
    return file.is_file() and file.stat().st_size > 0


@contextmanager
def database(*, writing: bool = False) -> Iterator[Session]:
    """A transaction that ends with the command. Raises ClickException where there can be none."""
    if not is_there():
        raise click.ClickException(NO_DATABASE)
    session = db.session()
    if writing:
        session.info["writing"] = True
    newest = newest_migration(Path(current_app.root_path) / "migrations")
    try:
        if health.database(session, newest, thorough=False).problem:
            raise click.ClickException(NO_DATABASE)
        yield session
    except SQLAlchemyError as error:
        words = getattr(error, "orig", None) or error
        raise click.ClickException(
            f"The database cannot be used ({words}). Nothing was changed."
        ) from error
    finally:
        db.session.remove()
