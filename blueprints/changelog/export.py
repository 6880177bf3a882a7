"""The log as a table for other programs (RFC 4180), in UTF-8 with the mark that Excel looks for."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Row

from domain.changelog import Page
from web import changelog_words
from web.changelog_words import Value

_BYTE_ORDER_MARK = "\ufeff"
# What a spreadsheet takes for the beginning of a formula (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def lines(batches: Iterable[Page]) -> Iterator[str]:
    """A piece of the file for each batch; a line for each field, at least one for each entry."""
    head = [_("time (UTC)"), _("person"), _("action"), _("subject"), _("field")]
    yield _BYTE_ORDER_MARK + _written([[*head, _("old value"), _("new value")]])
    for batch in batches:
        yield _written(
            line
            for entry in batch.rows
            for line in (
                [_nothing_of(entry.id)] if entry.id in batch.unreadable else _lines_of(entry)
            )
        )


def _lines_of(entry: Row[Any]) -> Iterator[list[str]]:
    begins = [
        entry.at.isoformat(timespec="seconds"),
        changelog_words.who(entry.author_name),
        changelog_words.what(entry.action, entry.subject_name),
        entry.subject_name,
    ]
    changes = changelog_words.changes(entry.action, entry.changes)
    for change in changes:
        yield [*begins, change.field, _whole(change.old), _whole(change.new)]
    if not changes:
        yield [*begins, "", "", ""]


def _nothing_of(entry_id: int) -> list[str]:
    return ["", "", changelog_words.unreadable(entry_id), "", "", "", ""]


def _whole(value: Value) -> str:
    return value.whole or value.text


def _written(rows: Iterable[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: str) -> str:
    return "'" + cell if cell.startswith(_FORMULA) else cell
