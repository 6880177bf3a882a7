"""``flask doctor``: what is well, what is not, and what to do about it.

It makes no key, table or folder, changes nothing, and needs no application: with
``flask --app commands.doctor doctor`` it also says why the product does not start.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from urllib.parse import quote

import click
from flask import Flask
from sqlalchemy import create_engine, make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from commands.keys import explanation
from domain import health
from domain.health import Check, KeyFiles, MailboxHealth, Status, Surroundings, Value
from domain.secrets import KeyRing
from jobs import vital_signs
from jobs.worker import worker_is_running
from keys import KeysError, load_keys, load_ring
from models.mailboxes import MailboxState
from settings import Settings, SettingsError, read_settings

ROOT = Path(__file__).resolve().parent.parent
BUSY_SECONDS = 5.0
MEGABYTE = 1_000_000

# What a check found, by its name, or by its name and its problem.
_FOUND = {
    "settings": "data in {data}, listening on {listen}",
    "settings.refused": "not readable",
    "keys": "as they should be",
    "keys.*": "not usable",
    "keys.some_lost": "passwords opened: {opened} of mailboxes, not opened: {lost}",
    "keys.key_wrong": "passwords opened: none, not opened: {lost} of mailboxes",
    "database": "schema {schema}",
    "database.empty": "no tables",
    "database.other_schema": "schema {schema}, this version needs {wanted}",
    "database.unreachable": "not readable",
    "disk": "{free} MB free in the data folder",
    "disk.folder_missing": "the data folder is out of reach",
    "worker": "running",
    "worker.missing": "not running",
    "queue": "tasks waiting: {tasks}; connection tests waiting for over a minute: {late_tests}",
    "queue.unreadable": "the tasks are not readable",
    "outbox": "{queued} queued, {held} held, {failed} failed, {unconfirmed} unconfirmed; {oldest}",
    "mailboxes": "{connected} connected, {not_working} of them not working",
}
# What is wrong and what to do, by the check's name and its problem.
_ADVICE = {
    "settings.refused": "{words}",
    "keys.key_missing": "{about} is missing. Bring it back from a backup; only a new installation"
    " makes its keys by itself, at its first start.",
    "keys.key_open": "Others may read {about}. Set its mode to 0600: chmod 600 {about}",
    "keys.key_unreadable": "{about} cannot be read. Run this as the user that Postroom runs as, and"
    " look whose file it is.",
    "keys.key_broken": "{about}",
    "keys.key_wrong": "{words}",
    "keys.some_lost": "{words}",
    "database.unreachable": "The database cannot be read ({words}). Look whether POSTROOM_DATA and"
    " POSTROOM_DATABASE name the right place; a new installation has none before its first start.",
    "database.empty": "There are no tables in the database. Look whether POSTROOM_DATA and"
    " POSTROOM_DATABASE name the right place; `make run` makes the tables.",
    "database.other_schema": "The tables are of another version than this program. `make run`"
    " brings older ones up to date; for newer ones install the newer program again.",
    "database.damaged": "SQLite found damage ({words}). Stop Postroom, keep a copy of the data"
    " folder and bring the database back from a backup.",
    "disk.folder_missing": "The data folder cannot be reached. Look whether POSTROOM_DATA names the"
    " right place and the disk is there.",
    "disk.low": "The disk of the data folder is filling up. Make room, or move the folder to a"
    " larger disk.",
    "disk.full": "The disk of the data folder is almost full; soon mail cannot be stored. Make"
    " room now.",
    "worker.missing": "No mail is received or sent. Start the product with `make run`, or the"
    " worker alone with `flask --app app.py worker`, and look at what it prints.",
    "queue.unreadable": "tasks.sqlite in the data folder cannot be read. Stop Postroom and remove"
    " the file; nothing is lost, the worker finds its work in the database.",
    "queue.tests_wait": "Somebody has been waiting for over a minute to connect mail. Look at what"
    " the worker prints, and start it again.",
    "queue.tasks_wait": "The worker does not take its tasks. Look at what it prints, and start it"
    " again.",
    "outbox.messages_wait": "A message has waited for over 15 minutes. Look at the mailboxes below:"
    " where one does not work its messages are held; otherwise its server refuses them for now.",
    "mailboxes.not_working": "The mailboxes below say what each of them needs.",
}
_STATES = {
    MailboxState.UNREACHABLE: "Its server cannot be reached or does not answer as it should. It is"
    " tried again by itself; look at the server and the network.",
    MailboxState.LOGIN_REFUSED: "Its server refuses login or password. {owner} has to give the"
    " present password.",
    MailboxState.APP_PASSWORD_WANTED: "Its server wants an app password. {owner} has to make one"
    " with the provider.",
    MailboxState.CERTIFICATE_REFUSED: "The certificate of its server cannot be trusted. Have it"
    " renewed, or give the service the company's CA certificate.",
    MailboxState.OVER_QUOTA: "It is full on the server. {owner} has to make room there.",
    MailboxState.SECRET_LOST: "Its password cannot be opened with the present keys. Bring the keys"
    " back, or {owner} has to give the password again.",
    MailboxState.SERVICE_DELETED: "Its mail service was deleted. Bring it back, and it works on.",
    MailboxState.MOVED: "It was moved to another mail service. {owner} has to agree that the"
    " password is used there.",
    MailboxState.DISCONNECTED: "{owner} has disconnected it and keeps its mail.",
    MailboxState.REMOVING: "It is being removed, which may take some minutes.",
}


@dataclass(frozen=True)
class Findings:
    checks: list[Check]
    mailboxes: list[MailboxHealth] = field(default_factory=list)

    @property
    def status(self) -> Status:
        return health.worst(check.status for check in self.checks)


def create_app() -> Flask:
    """An application with this command only, for when the product's own cannot be made."""
    bare = Flask(__name__)
    install(bare)
    return bare


def install(app: Flask) -> None:
    app.cli.add_command(doctor)


@click.command("doctor")
@click.option("--thorough", is_flag=True, help="Also reads the whole database for damage.")
@click.option("--json", "as_json", is_flag=True, help="Prints JSON, for programs.")
@click.pass_context
def doctor(context: click.Context, *, thorough: bool, as_json: bool) -> None:
    """Looks whether all is well. Exit status: 0 it is, 1 warnings, 2 something failed."""
    try:
        settings = read_settings()
    except SettingsError as error:
        refused = Check("settings", Status.FAILED, "refused", {"words": str(error)})
        found, zone = Findings([refused]), None
    else:
        found, zone = look(settings, datetime.now(UTC), thorough=thorough), settings.time_zone
    click.echo(_for_programs(found) if as_json else _for_people(found, zone))
    context.exit(int(found.status))


def look(settings: Settings, now: datetime, *, thorough: bool) -> Findings:
    keys, ring = _keys(settings.keys_folder)
    around = Surroundings(
        now=now,
        newest_migration=vital_signs.newest_migration(ROOT / "migrations"),
        keys=keys,
        ring=ring,
        free_bytes=vital_signs.free_bytes(settings.data_folder),
        worker_runs=worker_is_running(settings.data_folder),
        tasks_waiting=vital_signs.tasks_waiting(settings.data_folder),
    )
    read: dict[str, Value] = {"data": str(settings.data_folder), "listen": settings.listen}
    with _reading(settings.database_url) as session:
        checks = [
            Check("settings", values=read),
            *health.examine(session, around, thorough=thorough),
        ]
        checks = [_explained(check, settings.keys_folder) for check in checks]
        rows_are_read = any(check.name == "mailboxes" for check in checks)
        return Findings(checks, health.each_mailbox(session) if rows_are_read else [])


def _explained(check: Check, keys_folder: Path) -> Check:
    if not check.lost:
        return check
    words = explanation(check.lost, keys_folder)
    return replace(check, values={**check.values, "words": words})


def _keys(folder: Path) -> tuple[KeyFiles, KeyRing | None]:
    """The ring also beside a fault, where others can be read: a key file that is missing may have
    been deleted after a rotation.
    """
    files = vital_signs.key_files(folder)
    if files.fault == "key_missing":
        try:
            return files, load_ring(folder)
        except (KeysError, OSError):
            return files, None
    if files.fault:
        return files, None
    try:
        return files, load_keys(folder).ring
    except KeysError as error:
        return KeyFiles("key_broken", str(error)), None


@contextmanager
def _reading(database_url: str) -> Iterator[Session]:
    """Neither makes a database that is not there nor changes one that is."""
    file = ROOT / "instance" / (make_url(database_url).database or "")

    def connect() -> sqlite3.Connection:
        address = f"file:{quote(str(file))}?mode=ro"
        return sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    with Session(engine) as session:
        yield session


def _for_programs(found: Findings) -> str:
    checks = {
        check.name: {
            "status": check.status.word,
            "found": _found(check),
            "advice": _advice(check),
            **check.values,
        }
        for check in found.checks
    }
    mailboxes = [
        {
            "owner": one.owner,
            "service": one.service or None,
            "address": one.address,
            "state": one.state.value,
            "last_contact": one.last_contact_at.isoformat() if one.last_contact_at else None,
            "status": one.status.word,
            "advice": _mailbox_advice(one),
        }
        for one in found.mailboxes
    ]
    whole = {"status": found.status.word, "checks": checks, "mailboxes": mailboxes}
    return json.dumps(whole, ensure_ascii=False, indent=2)


def _for_people(found: Findings, zone: tzinfo | None) -> str:
    rows = [
        ([check.status.word, check.name, _found(check)], _advice(check)) for check in found.checks
    ]
    mailboxes = [
        (
            [
                one.status.word,
                one.owner,
                one.service or "(own servers)",
                one.address,
                one.state.value.replace("_", " ") + ("" if one.active else " (switched off)"),
                _when(one.last_contact_at, zone),
            ],
            _mailbox_advice(one),
        )
        for one in found.mailboxes
    ]
    tables = [_table(rows), _table(mailboxes)]
    return "\n\n".join(table for table in tables if table)


def _table(rows: Sequence[tuple[Sequence[str], str]]) -> str:
    """Cells in columns; under a row that is not well, indented, what to do."""
    clean = [([_printable(cell) for cell in cells], _printable(said)) for cells, said in rows]
    widths = [max(map(len, column)) for column in zip(*(cells for cells, _ in clean), strict=True)]
    lines = []
    for cells, said in clean:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append("  ".join(padded).rstrip())
        if said:
            lines.append(" " * (widths[0] + 2) + said)
    return "\n".join(lines)


def _found(check: Check) -> str:
    names = (f"{check.name}.{check.problem}", f"{check.name}.*" if check.problem else "")
    sentence = next((_FOUND[name] for name in names if name in _FOUND), _FOUND[check.name])
    free, oldest = check.values.get("free_bytes"), check.values.get("oldest_seconds")
    derived = {
        "free": int(free) // MEGABYTE if free is not None else "",
        "oldest": f"oldest unsent: {int(oldest) // 60} min"
        if oldest is not None
        else "none unsent",
    }
    return sentence.format(**{**check.values, **derived})


def _advice(check: Check) -> str:
    if not check.problem:
        return ""
    return _ADVICE[f"{check.name}.{check.problem}"].format(**check.values)


def _mailbox_advice(one: MailboxHealth) -> str:
    return "" if one.status is Status.OK else _STATES[one.state].format(owner=one.owner)


def _when(value: datetime | None, zone: tzinfo | None) -> str:
    return "never" if value is None else value.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _printable(text: str) -> str:
    """A name must not steer the terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
