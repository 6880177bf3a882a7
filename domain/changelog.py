"""The change log: who changed what, chained so that a missing or altered entry is noticed."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.changelog import ChangeLogEntry

_FIRST = "0" * 64


@dataclass(frozen=True)
class Author:
    """Who changes something, when, and the key that their entries are chained with."""

    name: str
    user_id: int | None
    now: datetime
    key: bytes = field(repr=False)


def record(
    session: Session,
    by: Author,
    action: str,
    *,
    subject: str,
    subject_name: str,
    changes: Mapping[str, tuple[object, object]],
) -> ChangeLogEntry:
    """Appends an entry. ``subject`` is a kind and an id, such as ``service:7``. Never a secret."""
    entry = ChangeLogEntry(
        at=by.now,
        author_id=by.user_id,
        author_name=by.name,
        action=action,
        subject=subject,
        subject_name=subject_name,
        changes={name: [old, new] for name, (old, new) in changes.items()},
    )
    entry.mac = _mac(by.key, _last_mac(session), entry)
    session.add(entry)
    session.flush()
    return entry


def first_broken(session: Session, key: bytes) -> int | None:
    """The id of the first entry that does not follow from the one before; None when all do."""
    previous = _FIRST
    for entry in session.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id)):
        if not hmac.compare_digest(entry.mac, _mac(key, previous, entry)):
            return entry.id
        previous = entry.mac
    return None


def _last_mac(session: Session) -> str:
    newest = select(ChangeLogEntry.mac).order_by(ChangeLogEntry.id.desc()).limit(1)
    return session.scalar(newest) or _FIRST


def _mac(key: bytes, previous: str, entry: ChangeLogEntry) -> str:
    # The author's id is left out: it becomes NULL when the person is removed.
    content: list[Any] = [
        previous,
        entry.at.isoformat(),
        entry.author_name,
        entry.action,
        entry.subject,
        entry.subject_name,
        entry.changes,
    ]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
