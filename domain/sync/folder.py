"""A folder's rows follow the server's, one committed step after another.

    unknown ──begin──▶ looking ──store, forget, reflag──▶ looking ──finish──▶ in step
                          ▲                                                      │
                          ├────────────── the server announces a change ─────────┤
                          └── renumber (UIDVALIDITY changed: rows lose their UID,┘
                              are matched again by hash, the rest goes at finish)

``uid_next`` and ``highest_modseq`` are written by ``finish`` alone and forgotten by ``renumber``:
a visit that was cut off is begun again and finds by UID what is still missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from domain.sync.plan import Announced, Flags, Known
from mail.mime.parse import Address, ParsedMessage
from models.mailboxes import Mailbox
from models.messages import Folder, FolderRole, Message, MessageContent, PendingChange

# Where a message lies that nobody wrote to the person, or that nobody should look at.
_NOT_RECEIVED = frozenset({FolderRole.SENT, FolderRole.DRAFTS, FolderRole.TRASH, FolderRole.JUNK})


@dataclass(frozen=True, slots=True)
class Arrived:
    """One fetched message. ``parsed`` is None when nobody could read it; without a
    ``source_hash`` it was too large to fetch."""

    uid: int
    flags: Flags
    received_at: datetime
    size: int
    source_hash: str | None
    parsed: ParsedMessage | None


def known(folder: Folder) -> Known:
    return Known(folder.uid_validity, folder.uid_next, folder.highest_modseq, folder.total)


def begin(session: Session, folder: Folder, announced: Announced) -> None:
    folder.uid_validity = announced.uid_validity
    folder.remote_total = announced.exists
    session.flush()


def renumber(session: Session, folder: Folder, announced: Announced) -> None:
    """Keeps the rows, without their UIDs, until ``store`` has matched them or ``finish`` comes."""
    session.execute(update(Message).where(Message.folder_id == folder.id).values(uid=None))
    # They may stay the same at the server; a visit that is cut off now must not look finished.
    folder.uid_next, folder.highest_modseq = None, None
    begin(session, folder, announced)


def ours(session: Session, folder_id: int) -> dict[int, Flags]:
    """UID and flags of every row that has a UID."""
    rows = session.execute(
        select(Message.uid, Message.seen, Message.flagged, Message.answered).where(
            Message.folder_id == folder_id, Message.uid.is_not(None)
        )
    )
    return {row[0]: Flags(row[1], row[2], row[3]) for row in rows if row[0] is not None}


def pending_uids(session: Session, folder_id: int) -> frozenset[int]:
    """Asks for the few changes of the mailbox: the folder may have 50,000 messages."""
    mailbox_id = select(Folder.mailbox_id).where(Folder.id == folder_id).scalar_subquery()
    rows = session.execute(
        select(Message.folder_id, Message.uid)
        .join(PendingChange)
        .where(PendingChange.mailbox_id == mailbox_id)
    )
    return frozenset(uid for found, uid in rows if found == folder_id and uid is not None)


def store(session: Session, folder: Folder, arrived: Sequence[Arrived]) -> None:
    """Puts a batch in, once: a UID that is there already is left alone."""
    present = set(
        session.scalars(
            select(Message.uid).where(
                Message.folder_id == folder.id, Message.uid.in_([one.uid for one in arrived])
            )
        )
    )
    fresh = [one for one in arrived if one.uid not in present]
    if _is_renumbered(session, folder):
        fresh = [one for one in fresh if not _match_again(session, folder, one)]
    if not fresh:
        return
    ids = session.scalars(
        insert(Message).returning(Message.id, sort_by_parameter_order=True),
        [_row(folder, one) for one in fresh],
    ).all()
    session.execute(
        insert(MessageContent),
        [_content(message_id, one) for message_id, one in zip(ids, fresh, strict=True)],
    )
    _count(session, folder, total=len(fresh), unread=sum(not one.flags.seen for one in fresh))
    _note_received(session, folder, fresh)


def forget(session: Session, folder: Folder, uids: Iterable[int]) -> None:
    for chunk in _chunks(sorted(uids)):
        _delete(session, folder, Message.uid.in_(chunk))


def reflag(session: Session, folder: Folder, changes: Mapping[int, Flags]) -> None:
    """Takes the server's flags over, but where the employee changed something meanwhile."""
    wanted = sorted(changes.keys() - pending_uids(session, folder.id))
    unread = 0
    values = []
    for chunk in _chunks(wanted):
        rows = session.execute(
            select(Message.id, Message.uid, Message.seen).where(
                Message.folder_id == folder.id, Message.uid.in_(chunk)
            )
        )
        for message_id, uid, seen in rows:
            if uid is not None:
                unread += int(seen) - int(changes[uid].seen)
                values.append({"id": message_id, **asdict(changes[uid])})
    if values:
        session.execute(update(Message), values)
    _count(session, folder, total=0, unread=unread)


def finish(session: Session, folder: Folder, announced: Announced) -> None:
    """The visit came to its end: what was not matched is gone from the server.

    While a change of the employee's waits, flags of its message are passed over: the next visit
    asks for them once more.
    """
    _delete(session, folder, Message.uid.is_(None))
    folder.uid_next = announced.uid_next
    if not pending_uids(session, folder.id):
        folder.highest_modseq = announced.highest_modseq
    folder.remote_total = folder.total
    session.flush()


def _is_renumbered(session: Session, folder: Folder) -> bool:
    """Whether rows still wait for their new UIDs."""
    waiting = select(Message.id).where(Message.folder_id == folder.id, Message.uid.is_(None))
    return session.scalar(waiting.limit(1)) is not None


def _match_again(session: Session, folder: Folder, one: Arrived) -> bool:
    """Whether the message is an old row, which gets its new UID and the server's flags."""
    if one.source_hash is None:
        return False
    found = session.execute(
        select(Message.id, Message.seen, PendingChange.id.is_not(None))
        .outerjoin(PendingChange, PendingChange.message_id == Message.id)
        .where(
            Message.mailbox_id == folder.mailbox_id,
            Message.source_hash == one.source_hash,
            Message.folder_id == folder.id,
            Message.uid.is_(None),
        )
        .order_by(Message.id)
        .limit(1)
    ).one_or_none()
    if found is None:
        return False
    message_id, seen, pending = found
    flags = {} if pending else asdict(one.flags)
    session.execute(update(Message).where(Message.id == message_id).values(uid=one.uid, **flags))
    if not pending and seen != one.flags.seen:
        _count(session, folder, total=0, unread=int(seen) - int(one.flags.seen))
    return True


def _delete(session: Session, folder: Folder, condition: Any) -> None:
    where = (Message.folder_id == folder.id, condition)
    total, unread = session.execute(
        select(func.count(), func.count().filter(Message.seen.is_(False))).where(*where)
    ).one()
    if total:
        session.execute(delete(Message).where(*where))
        _count(session, folder, total=-total, unread=-unread)


def _count(session: Session, folder: Folder, *, total: int, unread: int) -> None:
    session.execute(
        update(Folder)
        .where(Folder.id == folder.id)
        .values(total=Folder.total + total, unread=Folder.unread + unread)
    )
    session.refresh(folder, ["total", "unread"])


def _note_received(session: Session, folder: Folder, fresh: Sequence[Arrived]) -> None:
    """Older messages come later, when a mailbox is read for the first time: never moved back."""
    if folder.role in _NOT_RECEIVED:
        return
    newest = max(one.received_at for one in fresh)
    session.execute(
        update(Mailbox)
        .where(
            Mailbox.id == folder.mailbox_id,
            or_(Mailbox.last_received_at.is_(None), Mailbox.last_received_at < newest),
        )
        .values(last_received_at=newest)
    )


def _row(folder: Folder, one: Arrived) -> dict[str, Any]:
    row: dict[str, Any] = {
        "mailbox_id": folder.mailbox_id,
        "folder_id": folder.id,
        "uid": one.uid,
        "received_at": one.received_at,
        "size": one.size,
        "source_hash": one.source_hash,
        "readable": one.parsed is not None,
        **asdict(one.flags),
    }
    parsed = one.parsed
    sender = parsed.sender[0] if parsed is not None and parsed.sender else Address("", "")
    row |= {
        "message_id": parsed.message_id[:998] if parsed else "",
        "sender_name": sender.name[:300],
        "sender_address": sender.address[:320],
        "recipients": _names(parsed.to)[:300] if parsed else "",
        "subject": parsed.subject[:998] if parsed else "",
        "preview": parsed.preview[:200] if parsed else "",
        "has_attachments": parsed.has_attachments if parsed else False,
    }
    return row


def _content(message_id: int, one: Arrived) -> dict[str, Any]:
    parsed = one.parsed
    if parsed is None:
        return {"message_id": message_id, "text": "", "headers": {}, "parts": []}
    people = {
        name: [asdict(address) for address in getattr(parsed, name)]
        for name in ("sender", "reply_to", "to", "cc")
    }
    headers = {
        **people,
        "in_reply_to": parsed.in_reply_to,
        "references": list(parsed.references),
        "date": parsed.date.isoformat() if parsed.date else None,
        "has_html": parsed.html is not None,
    }
    return {
        "message_id": message_id,
        "text": parsed.text,
        "headers": headers,
        "parts": [asdict(part) for part in parsed.parts],
    }


def _names(people: tuple[Address, ...]) -> str:
    return ", ".join(person.name or person.address for person in people)


def _chunks(uids: Sequence[int], size: int = 500) -> Iterable[Sequence[int]]:
    return (uids[start : start + size] for start in range(0, len(uids), size))
