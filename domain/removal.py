"""Removing a mailbox with all its mail, a batch at a time, until nothing of it is left.

    any state ──begin_removal──▶ removing ──remove_some, as often as there is something──▶ emptied
    emptied ──the sources are dropped, finish──▶ gone

Nothing leads back. Each step is a transaction of its own, so that others write in between and a
step that was cut off is made again. The sources are files, which no transaction reaches: they go
after the last message, and before the row that alone knows their name.
"""

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from domain import changelog, mailboxes, services
from domain.changelog import Author
from domain.errors import RefusedError
from models.mailboxes import ConnectionTest, Mailbox, MailboxState
from models.messages import Folder, Message, MessageContent, PendingChange
from models.notices import Notice
from models.outbox import OutgoingMessage
from models.people import User

BATCH = 500


@dataclass(frozen=True)
class Filled:
    """A mailbox, and how many messages are in it by the counters of its folders."""

    mailbox: Mailbox
    messages: int

    @property
    def is_going(self) -> bool:
        return self.mailbox.state is MailboxState.REMOVING


def of_person(session: Session, person: User) -> list[Filled]:
    """Every mailbox of a person; no message is counted for it."""
    own = mailboxes.connected(session, person)
    return [Filled(mailbox, progress(session, mailbox)) for mailbox in own]


def delete_mail(session: Session, person: User, *, login: str, by: Author) -> list[Mailbox]:
    """Begins to remove every mailbox of a person who is disabled; returns them.

    Raises RefusedError at ``login``, which has to be the person's.
    """
    if person.active:
        raise RefusedError("login", "person_active", name=person.name)
    if login.strip().lower() != person.login:
        raise RefusedError("login", "login_differs", name=person.name)
    staying = [filled for filled in of_person(session, person) if not filled.is_going]
    if not staying:
        raise RefusedError("login", "no_mail_kept", name=person.name)
    for filled in staying:
        begin_removal(session, filled.mailbox, by.now)
    changelog.record(
        session,
        by,
        "people.delete_mail",
        subject=f"person:{person.id}",
        subject_name=person.name,
        changes={
            "mailboxes": (len(staying), 0),
            "messages": (sum(filled.messages for filled in staying), 0),
        },
    )
    return [filled.mailbox for filled in staying]


def begin_removal(session: Session, mailbox: Mailbox, now: datetime) -> None:
    """From now on nothing is received or sent, and the worker removes it. The password goes at
    once.
    """
    mailboxes.end(session, mailbox, MailboxState.REMOVING, now)


def waiting(session: Session) -> list[int]:
    """Those that are being removed."""
    going = select(Mailbox.id).where(Mailbox.state == MailboxState.REMOVING)
    return list(session.scalars(going.order_by(Mailbox.id)))


def progress(session: Session, mailbox: Mailbox) -> int:
    """How many messages are left, by the counters of its folders."""
    left = select(func.coalesce(func.sum(Folder.total), 0)).where(Folder.mailbox_id == mailbox.id)
    return int(session.scalar(left) or 0)


def being_removed(session: Session, mailbox_id: int) -> uuid.UUID | None:
    """Under which name the store keeps its sources; None unless it is being removed."""
    return session.scalar(
        select(Mailbox.uuid).where(Mailbox.id == mailbox_id, Mailbox.state == MailboxState.REMOVING)
    )


def remove_some(session: Session, mailbox_id: int) -> bool:
    """Removes at most 500 messages of any kind; False when none was left."""
    if being_removed(session, mailbox_id) is None:
        return False
    return _remove_received(session, mailbox_id) or _remove_outgoing(session, mailbox_id)


def finish(session: Session, mailbox_id: int) -> bool:
    """Removes the emptied mailbox itself and all that is about it; False when it was not empty."""
    if remove_some(session, mailbox_id):
        return False
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None or mailbox.state is not MailboxState.REMOVING:
        return True
    tests = _tests_of(session, mailbox)
    for kind in (PendingChange, Folder, Notice):
        session.execute(delete(kind).where(kind.mailbox_id == mailbox_id))
    for row in (*tests, mailbox):
        session.delete(row)
    session.flush()
    services.drop_unused_servers(session)
    return True


def _remove_received(session: Session, mailbox_id: int) -> bool:
    batch = session.execute(
        select(Message.id, Message.folder_id, Message.seen)
        .where(Message.mailbox_id == mailbox_id)
        .limit(BATCH)
    ).all()
    ids = [row.id for row in batch]
    for column in (PendingChange.message_id, MessageContent.message_id, Message.id):
        session.execute(delete(column.class_).where(column.in_(ids)))
    total = Counter(row.folder_id for row in batch)
    unread = Counter(row.folder_id for row in batch if not row.seen)
    for folder_id, count in total.items():
        session.execute(
            update(Folder)
            .where(Folder.id == folder_id)
            .values(total=Folder.total - count, unread=Folder.unread - unread[folder_id])
        )
    return bool(batch)


def _remove_outgoing(session: Session, mailbox_id: int) -> bool:
    ids = session.scalars(
        select(OutgoingMessage.id).where(OutgoingMessage.mailbox_id == mailbox_id).limit(BATCH)
    ).all()
    session.execute(delete(OutgoingMessage).where(OutgoingMessage.id.in_(ids)))
    return bool(ids)


def _tests_of(session: Session, mailbox: Mailbox) -> list[ConnectionTest]:
    """Also those that failed before it was connected: they know its address, and its password."""
    by_owner = select(ConnectionTest).where(ConnectionTest.user_id == mailbox.user_id)
    return [
        test
        for test in session.scalars(by_owner)
        if test.mailbox_id == mailbox.id or test.address.casefold() == mailbox.address.casefold()
    ]
