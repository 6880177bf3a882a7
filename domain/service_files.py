"""Files of mail services, as they are imported and exported: CSV (RFC 4180) and JSON.

A CSV file holds the servers, a JSON file everything that the window for a service holds.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from domain.errors import RefusedError
from mail.server_errors import clean_words
from mail.server_string import Protocol
from models.services import MailService

# Bounds what reading takes: JSON needs up to 25 times its size as objects.
FILE_LONGEST: Final = 16 * 1024 * 1024  # bytes
# Three seconds of the write lock (2 cores, quiet); whoever else wants to save waits for 10 at most.
ROWS_MOST: Final = 2_000
COLUMNS: Final = (
    "name",
    "smtp_server",
    "smtp_security",
    "smtp_non_standard",
    "imap_server",
    "imap_security",
    "imap_non_standard",
)
FIELDS: Final = (
    *COLUMNS,
    "smtp_login_form",
    "imap_login_form",
    "ca_pem",
    "domains",
    "process_default",
    "hidden",
)
_SHOWN: Final = 60  # characters of a name from the file that a refusal repeats
_MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True)
class Record:
    """One row, by its place (from 1, the header not counted), with what it says of which field.

    ``fault`` is why it cannot be read at all.
    """

    number: int
    values: Mapping[str, object]
    fault: RefusedError | None = None


def exported(service: MailService) -> dict[str, object]:
    """Every field of a service as JSON has it; names of servers in ASCII."""
    return {
        "name": service.name,
        "smtp_server": str(service.address(Protocol.SMTP)),
        "smtp_security": service.smtp_security.value,
        "smtp_non_standard": service.smtp_non_standard,
        "imap_server": str(service.address(Protocol.IMAP)),
        "imap_security": service.imap_security.value,
        "imap_non_standard": service.imap_non_standard,
        "smtp_login_form": service.smtp_login_form.value,
        "imap_login_form": service.imap_login_form.value,
        "ca_pem": service.ca_pem,
        "domains": list(service.domains),
        "process_default": service.process_default,
        "hidden": service.hidden,
    }


def json_of(services: Iterable[MailService]) -> str:
    return json.dumps([exported(one) for one in services], ensure_ascii=False, indent=2) + "\n"


def csv_of(services: Iterable[MailService]) -> str:
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for one in services:
        row = exported(one)
        switches = {name: value for name, value in row.items() if isinstance(value, bool)}
        words = {name: "true" if value else "false" for name, value in switches.items()}
        writer.writerow(row | words)
    return written.getvalue()


def read(content: bytes, name: str) -> list[Record]:
    """The rows of a file; ``name`` ends in ``.csv`` or ``.json``, else the content decides.

    Raises RefusedError for a fault of the file as a whole, at the column that it concerns or at "".
    """
    if len(content) > FILE_LONGEST:
        raise RefusedError("", "file_large", most=FILE_LONGEST // _MEGABYTE)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError("", "file_not_text") from error
    if "\0" in text:  # UTF-16, or no text at all
        raise RefusedError("", "file_not_text")
    rows = _json_rows(text) if _is_json(text, name.lower()) else _csv_rows(text)
    records = list(islice(rows, ROWS_MOST + 1))
    if len(records) > ROWS_MOST:
        raise RefusedError("", "rows_many", most=ROWS_MOST)
    return records


def _is_json(text: str, name: str) -> bool:
    if name.endswith((".csv", ".json")):
        return name.endswith(".json")
    return text.lstrip()[:1] in {"[", "{"}


def _csv_rows(text: str) -> Iterator[Record]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    rows = (cells for cells in reader if len(cells) > 1 or "".join(cells).strip())
    try:
        columns = _columns(next(rows, []))
        for number, cells in enumerate(rows, 1):
            yield _csv_row(number, columns, cells)
    except csv.Error as error:
        raise RefusedError("", "csv_broken", line=reader.line_num) from error


def _delimiter(text: str) -> str:
    """As the header has it. Excel writes semicolons where the decimal sign is a comma."""
    header = re.split("[\r\n]", text.lstrip(), maxsplit=1)[0]
    return ";" if header.count(";") > header.count(",") else ","


def _columns(header: list[str]) -> list[str]:
    columns = [cell.strip() for cell in header]
    if not columns:
        raise RefusedError("", "file_empty", columns=", ".join(COLUMNS))
    for place, column in enumerate(columns):
        if column not in COLUMNS:
            raise _of_column("column_unknown", column)
        if column in columns[:place]:
            raise _of_column("column_twice", column)
    for column in COLUMNS:
        if column not in columns:
            raise _of_column("column_missing", column)
    return columns


def _of_column(code: str, column: str) -> RefusedError:
    shown = clean_words(column)[:_SHOWN]
    return RefusedError(shown, code, column=shown, columns=", ".join(COLUMNS))


def _csv_row(number: int, columns: list[str], cells: list[str]) -> Record:
    """What a short row leaves out is empty, which the first field that may not be so tells."""
    if len(cells) > len(columns):
        fault = RefusedError("", "row_long", found=len(cells), wanted=len(columns))
        return Record(number, {}, fault)
    missing = [""] * (len(columns) - len(cells))
    return Record(number, dict(zip(columns, cells + missing, strict=True)))


def _json_rows(text: str) -> Iterator[Record]:
    try:
        # No field is a number, and one of too many digits raises another error than the rest.
        found = json.loads(text, object_pairs_hook=_object, parse_int=_no_number)
    except json.JSONDecodeError as error:
        raise RefusedError("", "json_broken", line=error.lineno, column=error.colno) from error
    except RecursionError as error:
        raise RefusedError("", "json_deep") from error
    if not isinstance(found, list):
        raise RefusedError("", "json_no_list")
    for number, one in enumerate(found, 1):
        yield _json_row(number, one)


def _no_number(_text: str) -> None:
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a field that stands there twice, nobody knows which was meant."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            shown = clean_words(name)[:_SHOWN]
            raise RefusedError(shown, "field_twice", name=shown)
        found[name] = value
    return found


def _json_row(number: int, found: object) -> Record:
    if not isinstance(found, dict):
        return Record(number, {}, RefusedError("", "row_no_object"))
    return Record(number, found)


def check_known(values: Mapping[str, object]) -> None:
    """Raises RefusedError for a field that no service has."""
    for name in values:
        if name not in FIELDS:
            shown = clean_words(name)[:_SHOWN]
            raise RefusedError(shown, "field_unknown", name=shown, fields=", ".join(FIELDS))
