"""Disconnecting a mailbox: its owner gives it up, and keeps the mail received so far or not."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain import mailboxes, removal
from domain.errors import RefusedError
from models.mailboxes import Mailbox, MailboxState
from models.outbox import OutgoingMessage, OutgoingState

_ON_ITS_WAY = (
    OutgoingState.QUEUED,
    OutgoingState.HELD,
    OutgoingState.CLAIMED,
    OutgoingState.DATA_STARTED,
)


@dataclass(frozen=True)
class Holdings:
    """What disconnecting is about: messages by the counters of their folders, and those that
    wait in the outbox.
    """

    messages: int
    waiting: int


def holdings(session: Session, mailbox: Mailbox) -> Holdings:
    waiting = select(func.count()).where(
        OutgoingMessage.mailbox_id == mailbox.id, OutgoingMessage.state.in_(_ON_ITS_WAY)
    )
    return Holdings(removal.progress(session, mailbox), session.scalar(waiting) or 0)


def disconnect(session: Session, mailbox: Mailbox, *, keep_mail: bool, now: datetime) -> None:
    """The password is forgotten at once. What waits in the outbox waits on while mail is kept.

    Raises RefusedError where there is nothing left to do.
    """
    state = mailbox.state
    if state is MailboxState.REMOVING:
        raise RefusedError("mailbox", "mailbox_going", address=mailbox.address)
    if not keep_mail:
        removal.begin_removal(session, mailbox, now)
    elif state is MailboxState.DISCONNECTED:
        raise RefusedError("mailbox", "already_disconnected", address=mailbox.address)
    else:
        mailboxes.end(session, mailbox, MailboxState.DISCONNECTED, now)
