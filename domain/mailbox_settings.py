"""What a person sets for each mailbox, and in which order they stand."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from domain import mailboxes
from domain.errors import RefusedError
from domain.lines import is_one_line
from mail.signature import clean_signature
from models.mailboxes import Mailbox, ProcessChoice

SENDER_NAME_LONGEST: Final = 100
SIGNATURE_LONGEST: Final = 20_000  # characters of HTML


@dataclass(frozen=True)
class MailboxSettings:
    """``sender_name`` may be empty, ``signature`` is HTML from anywhere."""

    sender_name: str
    signature: str
    notifies: bool
    process_choice: ProcessChoice


def edit(session: Session, mailbox: Mailbox, settings: MailboxSettings) -> None:
    """What is queued already goes out as it was written. Raises RefusedError."""
    name = " ".join(settings.sender_name.split())
    if len(name) > SENDER_NAME_LONGEST or not is_one_line(name):
        raise RefusedError("sender_name", "sender_name_long", longest=SENDER_NAME_LONGEST)
    if len(settings.signature) > SIGNATURE_LONGEST:
        raise RefusedError("signature", "signature_long", longest=SIGNATURE_LONGEST)
    mailbox.sender_name = name
    mailbox.signature = clean_signature(settings.signature)
    mailbox.notifies = settings.notifies
    mailbox.process_choice = settings.process_choice
    mailbox.version += 1
    session.flush()


def move(session: Session, mailbox: Mailbox, *, up: bool) -> bool:
    """Changes places with the mailbox above or below it; whether there was one."""
    order = mailboxes.connected(session, mailbox.user)
    here = order.index(mailbox)
    there = here - 1 if up else here + 1
    if not 0 <= there < len(order):
        return False
    order[here], order[there] = order[there], order[here]
    for position, one in enumerate(order, start=1):
        one.position = position
    mailbox.version += 1
    session.flush()
    return True


def make_default(session: Session, mailbox: Mailbox) -> None:
    """*Write* begins with it from now on. Raises RefusedError for one that cannot send."""
    if mailbox.state.is_ended:
        raise RefusedError("mailbox", "already_disconnected", address=mailbox.address)
    for one in mailboxes.connected(session, mailbox.user):
        one.default_sender = False
    # Two of them at once are refused by the database, whatever the order of its statements.
    session.flush()
    mailbox.default_sender = True
    session.flush()
