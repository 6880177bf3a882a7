"""New mail that an open page announces: of the inboxes whose owner wants to be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.mailboxes import ENDED, Mailbox
from models.messages import Folder, FolderRole, Message
from models.people import User

FRESH: Final = timedelta(hours=1)
AT_ONCE: Final = 5


@dataclass(frozen=True)
class Announced:
    """``sender`` is a name, or the address where there is none."""

    message_id: int
    sender: str
    subject: str


def newest(session: Session) -> int:
    """The number of the newest message of all: what is announced later has a greater one."""
    return session.scalar(select(func.max(Message.id))) or 0


def arrived(session: Session, person: User, after: int, now: datetime) -> Sequence[Announced]:
    """What arrived unseen since, newest first, at most one more than are announced ``AT_ONCE``.

    What a server received more than an hour ago is no news: a mailbox just connected brings its
    old mail. Read along the index of lists, so that it does not grow with the folder.
    """
    inboxes = (
        select(Folder.id)
        .join(Mailbox)
        .where(
            Mailbox.user_id == person.id,
            Mailbox.notifies,
            Mailbox.state.not_in(ENDED),
            Folder.role == FolderRole.INBOX,
        )
    )
    rows = session.execute(
        select(Message.id, Message.sender_name, Message.sender_address, Message.subject)
        .where(
            Message.folder_id.in_(list(session.scalars(inboxes))),
            Message.received_at > now - FRESH,
            Message.id > after,
            Message.seen.is_(False),
        )
        .order_by(Message.received_at.desc(), Message.id.desc())
        .limit(AT_ONCE + 1)
    )
    return [Announced(row[0], row[1] or row[2], row[3]) for row in rows]
