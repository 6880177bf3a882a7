"""``flask services``: the mail services as a list, to a file, and from one.

What programs read is UTF-8 whatever the terminal is set to; what people read is English.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup
from flask_babel import force_locale
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from commands.console import console, database, is_there
from domain import service_files, service_import, services
from domain.errors import RefusedError
from domain.service_files import FILE_LONGEST
from domain.service_import import Counts, Row
from domain.services import Listed
from mail.errors import RuleError
from mail.security import Security
from mail.server_errors import clean_words
from mail.server_string import Protocol
from models import Base
from web.sentences import sentence

STANDARD_INPUT = "-"
_HEAD = ("GROUP", "NAME", "SMTP", "IMAP", "SECURITY", "MAILBOXES", "HIDDEN")
_SECURITY = {Security.NONE: "None", Security.STARTTLS: "STARTTLS", Security.TLS: "TLS"}
_as_json = click.option("--json", "as_json", is_flag=True, help="Prints JSON, for programs.")

group = AppGroup("services", help="The mail services that employees may choose.")


def install(app: Flask) -> None:
    app.cli.add_command(group)


@group.command("list")
@_as_json
def list_services(*, as_json: bool) -> None:
    """Every service that is not deleted, in the order of the page."""
    with database() as session:
        listed = services.listed(session)
        if as_json:
            _print(json.dumps([_listed(one) for one in listed], ensure_ascii=False, indent=2))
        else:
            _print(_table([_HEAD, *map(_cells, listed)]), _terminal())


@group.command("export")
@click.option("--format", "kind", type=click.Choice(["csv", "json"]), default="json")
def export_services(*, kind: str) -> None:
    """Prints them as a file that can be imported: JSON holds every field, CSV the servers."""
    with database() as session:
        found = [one.service for one in services.listed(session)]
        written = service_files.csv_of(found) if kind == "csv" else service_files.json_of(found)
        _print(written.removesuffix("\n"))


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Says what is wrong with which row, changes nothing.")
@_as_json
@click.pass_context
def import_services(context: click.Context, *, file: str, dry_run: bool, as_json: bool) -> None:
    """Takes over services from a CSV or JSON FILE (- is standard input): all rows or none.

    Exit status: 0 all is well, 1 the file or a row is at fault and nothing was changed.
    """
    with force_locale("en"):
        rows, counts = _import(file, dry_run=dry_run)
        if as_json:
            _print("\n".join(map(_for_programs, rows)))
        else:
            _print("\n".join(_for_people(rows, counts)), _terminal())
    context.exit(int(any(row.fault for row in rows)))


def _import(file: str, *, dry_run: bool) -> tuple[Sequence[Row], Counts | None]:
    """What was found out about each row, and what was done, if anything."""
    try:
        records = service_files.read(_content(file), file)
    except RefusedError as error:
        return [Row(0, fault=error)], None
    nothing_yet = dry_run and not is_there()
    with _nothing_yet() if nothing_yet else database(writing=not dry_run) as session:
        rows = service_import.check(session, records)
        if dry_run or any(row.fault for row in rows):
            return rows, None
        try:
            counts = service_import.apply(session, rows, _source(file), console())
        except RuleError as error:  # a rule of the verbs that no row is checked for
            raise click.ClickException(f"{sentence(error)} Nothing was imported.") from error
        session.commit()
        return rows, counts


def _content(file: str) -> bytes:
    """No more of it than shows that it is too large: it may have no end."""
    try:
        with click.open_file(file, "rb") as opened:
            content: bytes = opened.read(FILE_LONGEST + 1)
    except OSError as error:
        raise click.FileError(file, error.strerror) from error
    return content


def _source(file: str) -> str:
    return "standard input" if file == STANDARD_INPUT else clean_words(Path(file).name)


@contextmanager
def _nothing_yet() -> Iterator[Session]:
    """No service at all, in memory: names are checked within a file."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def _listed(one: Listed) -> dict[str, Any]:
    written = service_files.exported(one.service)
    servers = ("name", "smtp_server", "smtp_security", "imap_server", "imap_security")
    return {
        "group": _group(one),
        **{field: written[field] for field in servers},
        "mailboxes": one.mailboxes,
        "hidden": one.service.hidden,
    }


def _cells(one: Listed) -> list[str]:
    service = one.service
    smtp, imap = _SECURITY[service.smtp_security], _SECURITY[service.imap_security]
    return [
        _group(one),
        service.name,
        service.address(Protocol.SMTP).shown,
        service.address(Protocol.IMAP).shown,
        smtp if smtp == imap else f"SMTP {smtp}, IMAP {imap}",
        str(one.mailboxes),
        "hidden" if service.hidden else "",
    ]


def _group(one: Listed) -> str:
    return "standard" if one.service.standard else "additional"


def _table(rows: Sequence[Sequence[str]]) -> str:
    clean = [[_printable(cell) for cell in cells] for cells in rows]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        for cells in clean
    )
    return "\n".join(line.rstrip() for line in lines)


def _for_programs(row: Row) -> str:
    found: dict[str, Any] = {"row": row.number, "valid": row.fault is None}
    if row.fault is not None:
        found |= {"field": row.fault.field, "message": sentence(row.fault)}
    return json.dumps(found, ensure_ascii=False)


def _for_people(rows: Sequence[Row], counts: Counts | None) -> Iterator[str]:
    """What is wrong, row by row, and at the end what follows."""
    faults = [(row.number, row.fault) for row in rows if row.fault is not None]
    for number, fault in faults:
        place = f"Row {number}" if number else "The file"
        where = f"{place}, {fault.field}" if fault.field else place
        yield _printable(f"{where}: {sentence(fault)}")
    if faults:
        yield "Nothing was imported. Correct the file and import it again."
    elif counts is None:
        yield f"Nothing is wrong with the file ({_rows(len(rows))}). Nothing was changed."
    else:
        yield f"{counts.added} added, {counts.changed} changed, {counts.unchanged} unchanged."


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number} rows"


def _printable(text: str) -> str:
    """A name must not steer the terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _print(text: str, encoding: str = "utf-8") -> None:
    """What has no bytes becomes a question mark: half a character, which a name in JSON can hold,
    and for people whatever their terminal lacks.
    """
    if text:
        click.echo(text.encode(encoding, "replace"))


def _terminal() -> str:
    return sys.stdout.encoding or "utf-8"
