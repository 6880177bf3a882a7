"""What the employee did here and the server does not know yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.orm import Session

from domain import mailboxes
from models.messages import FlagChange, Folder, Message, PendingChange


@dataclass(frozen=True, slots=True)
class Replay:
    """Changes of one kind in one folder; ``ids`` are the rows to drop when the server took them.

    Each with its change: SQLite gives the id of a dropped row to the next one, which may be what
    the employee wants now.
    """

    folder_id: int
    folder_name: str
    uid_validity: int | None
    change: FlagChange
    uids: tuple[int, ...]
    ids: tuple[tuple[int, FlagChange], ...]


def set_seen(session: Session, message: Message, *, seen: bool) -> bool:
    """Changes our row at once and keeps the change for the server. Whether anything changed."""
    if message.seen == seen:
        return False
    message.seen = seen
    session.execute(
        update(Folder)
        .where(Folder.id == message.folder_id)
        .values(unread=Folder.unread + (-1 if seen else 1))
    )
    session.execute(delete(PendingChange).where(PendingChange.message_id == message.id))
    session.add(
        PendingChange(
            mailbox_id=message.mailbox_id,
            message_id=message.id,
            change=FlagChange.SEEN if seen else FlagChange.UNSEEN,
        )
    )
    mailboxes.touch(session, message.mailbox_id)
    session.flush()
    return True


def to_replay(session: Session, mailbox_id: int) -> list[Replay]:
    rows = session.execute(
        select(PendingChange.id, PendingChange.change, Message.uid, Folder)
        .join(Message, PendingChange.message_id == Message.id)
        .join(Folder, Message.folder_id == Folder.id)
        .where(PendingChange.mailbox_id == mailbox_id, Message.uid.is_not(None))
        .order_by(PendingChange.id)
    ).all()
    groups: dict[tuple[int, FlagChange], list[tuple[int, int, Folder]]] = {}
    for change_id, change, uid, folder in rows:
        if uid is not None:
            groups.setdefault((folder.id, change), []).append((change_id, uid, folder))
    return [
        Replay(
            folder_id=folder_id,
            folder_name=group[0][2].name,
            uid_validity=group[0][2].uid_validity,
            change=change,
            uids=tuple(uid for _, uid, _ in group),
            ids=tuple((change_id, change) for change_id, _, _ in group),
        )
        for (folder_id, change), group in groups.items()
    ]


def done(session: Session, ids: Sequence[tuple[int, FlagChange]]) -> None:
    told = tuple_(PendingChange.id, PendingChange.change).in_(ids)
    session.execute(delete(PendingChange).where(told))


def refused(session: Session, replay: Replay) -> None:
    """The server wins: its flags, which are the old ones to it, are all asked for again."""
    done(session, replay.ids)
    session.execute(update(Folder).where(Folder.id == replay.folder_id).values(highest_modseq=None))
