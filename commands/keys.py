"""``flask keys rotate``: another key for the passwords of mailboxes; and lost keys in words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import sleep

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from commands.console import console, database
from domain import key_rotation
from domain.key_rotation import SEALED, LostKey, SealedColumn
from domain.secrets import KeyRing
from keys import add_ring_key, load_ring, ring_file
from models import db
from models.base import session_factory
from settings import Settings

# Whoever waits for SQLite to write looks every 100 ms.
PAUSE_SECONDS = 0.15
NAMED_MOST = 20
WITHOUT_ADDRESS = "(a connection test)"

group = AppGroup("keys", help="The keys outside the database.")


def install(app: Flask) -> None:
    app.cli.add_command(group)


@group.command("rotate")
@click.pass_context
def rotate(context: click.Context) -> None:
    """Seals every stored password anew under a new key, while web and worker go on.

    Cut off, it goes on where it was when it is given again. Exit status: 0 all is sealed anew, 1
    some passwords could not be opened.
    """
    settings: Settings = current_app.extensions["postroom_settings"]
    folder, sessions = settings.keys_folder, session_factory(db.engine)
    with database():
        pass  # there is one: else no key is made
    with _resumable():
        ring, older, is_new = _newest_key(folder)
        resealed = _reseal_all(sessions, ring, older)
        with Session(db.engine) as session:
            unopened = key_rotation.unopened(session, load_ring(folder))
    now = datetime.now(settings.time_zone or datetime.now(UTC).astimezone().tzinfo)
    for line in _said(folder, ring, resealed, unopened, is_new=is_new, now=now):
        click.echo(line)
    context.exit(int(bool(unopened)))


@contextmanager
def _resumable() -> Iterator[None]:
    """Raises ClickException when somebody else writes for too long."""
    try:
        yield
    except OperationalError as error:
        raise click.ClickException(
            f"The database cannot be used ({error.orig}). Run this again: it goes on where it was."
        ) from error


def _newest_key(folder: Path) -> tuple[KeyRing, set[str], bool]:
    """The ring to seal with, the ids of the keys to leave behind, and whether a key was made."""
    present = load_ring(folder)
    with Session(db.engine) as session:
        older = key_rotation.open_under_older(session, present)
        if older:
            return present.as_of_now(), older, False
        # A lost key may have had a greater number, and may be brought back: nothing takes its name.
        taken = key_rotation.key_ids(session) | present.keys.keys()
    add_ring_key(folder, str(max(map(int, taken)) + 1))
    return load_ring(folder).as_of_now(), {present.current}, True


def _reseal_all(sessions: sessionmaker[Session], ring: KeyRing, older: set[str]) -> Counter[str]:
    """How many rows of each table were sealed anew. Passes over all until one finds nothing."""
    by, done = console(), Counter[str]()
    with sessions.begin() as session:
        key_rotation.begin(session, ring, older, by)
        key_rotation.heal(session, ring, by.now)
        for one in SEALED:
            done[_table(one)] += key_rotation.reseal(session, one, ring, after=0).resealed
    while passed := sum((_pass(sessions, ring, one) for one in SEALED), Counter[str]()):
        done += passed
    return done


def _pass(sessions: sessionmaker[Session], ring: KeyRing, one: SealedColumn) -> Counter[str]:
    done = Counter[str]()
    after: int | None = 0
    while after is not None:
        sleep(PAUSE_SECONDS)
        with sessions.begin() as session:
            batch = key_rotation.reseal(session, one, ring, after=after)
        done[_table(one)] += batch.resealed
        after = batch.last
    return +done


def _table(one: SealedColumn) -> str:
    return one.model.__tablename__


def _said(
    folder: Path,
    ring: KeyRing,
    resealed: Mapping[str, int],
    unopened: Sequence[str],
    *,
    is_new: bool,
    now: datetime,
) -> Iterator[str]:
    newest = ring_file(folder, ring.current)
    if is_new:
        yield f"{newest} was made. Keep a copy of it, apart from the backups of the database."
    else:
        yield (
            "There were passwords under an older key, as after a rotation that was cut off. They"
            f" went to {newest}, and no key was made; for another key run this once more."
        )
    mailboxes, tests = resealed["mailbox"], resealed["connection_test"]
    yield f"Passwords sealed anew: {mailboxes} of mailboxes, {tests} of connection tests."
    old = [str(ring_file(folder, one)) for one in sorted(ring.keys, key=int) if one != ring.current]
    if old:
        it, opens = ("it", "opens") if len(old) == 1 else ("them", "open")
        yield (
            f"{' and '.join(old)} {opens} nothing in this database any more. Backups of it from"
            f" before {now:%Y-%m-%d %H:%M} still need {it}: delete {it} when the last of them is"
            " gone."
        )
    if unopened:
        names = [address or WITHOUT_ADDRESS for address in unopened[:NAMED_MOST]]
        more = len(unopened) - len(names)
        yield (
            f"{len(unopened)} could not be opened and were left as they are:"
            f" {_printable(', '.join(names))}{f' and {more} more' if more else ''}. Bring their key"
            " back from a backup and run this again, or have their owners type them again."
        )


def explanation(lost: Sequence[LostKey], folder: Path) -> str:
    """What it means that keys are lost, and what to do: one paragraph."""
    count = sum(one.mailboxes for one in lost)
    which = "; ".join(_in_words(one, folder) for one in lost)
    return (
        f"The keys do not open the passwords in the database. This concerns {_mailboxes(count)}:"
        f" {which}. Signing in, the mail already received and its search, and the service settings"
        " work as before; nothing is received or sent for"
        f" {'this mailbox' if count == 1 else 'these mailboxes'}. Bring the file back from a backup"
        " and start again, or have the owners type their passwords again in Profile, Mail. If some"
        " did so already, run `flask --app app.py keys rotate` before you bring it back, and once"
        " more afterwards (docs/keys.md)."
    )


def _in_words(one: LostKey, folder: Path) -> str:
    if not one.key_id:
        return f"what is stored is damaged ({one.mailboxes})"
    fault = "is not the key that sealed them" if one.is_there else "is missing"
    return f"{ring_file(folder, one.key_id)} {fault} ({one.mailboxes})"


def _mailboxes(count: int) -> str:
    return "1 mailbox" if count == 1 else f"{count} mailboxes"


def _printable(text: str) -> str:
    """An address must not steer the terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
