"""What the owner of a mailbox does about it when it does not work, and what comes of that."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from domain.connection_tests import RETRY_LASTS
from models.mailboxes import (
    ConnectionPurpose,
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    MailboxState,
)
from models.notices import Notice
from models.people import User

WAITED_FOR = (MailboxState.CONNECTING, MailboxState.UNREACHABLE)
_NEEDING = [state for state in MailboxState if state.needs_person]
_TELLING = [state for state in MailboxState if state.needs_person or state in WAITED_FOR]
_OWN = Mailbox.user_id == bindparam("person")
# Every page asks it: built once, for building takes as long as SQLite's answer.
_GLANCE = select(
    select(func.count()).where(_OWN, Mailbox.state.in_(_NEEDING)).scalar_subquery(),
    or_(
        exists().where(_OWN, Mailbox.state.in_(_TELLING)),
        exists().where(Notice.user_id == bindparam("person")),
    ),
)


def glance(session: Session, person: User) -> tuple[int, bool]:
    """How many mailboxes do not work until the person does something, and whether there is
    anything at all to tell. One statement, which finds the few rows of a person by an index.
    """
    needing, telling = session.execute(_GLANCE, {"person": person.id}).one()
    return int(needing), bool(telling)


def try_now(session: Session, mailbox: Mailbox, now: datetime) -> bool:
    """Makes the next visit due at once, where it is waited for; whether it was not due before.

    So whoever presses twice asks for one visit. Of what the page no longer asks, nothing comes:
    a password that was refused is not tried again.
    """
    waits = mailbox.state in WAITED_FOR
    if not (waits or mailbox.state.may_heal) or mailbox.next_contact_at <= now:
        return False
    mailbox.next_contact_at = now
    session.flush()
    return True


def password_tries(
    session: Session, person: User, mailbox_ids: Collection[int], now: datetime
) -> dict[int, ConnectionTest]:
    """The newest try of a new password for each mailbox, while it goes on or where it failed.

    Nobody wants to read of one that is more than ten minutes old.
    """
    newest = {
        test.mailbox_id: test
        for test in session.scalars(
            select(ConnectionTest)
            .where(
                ConnectionTest.user_id == person.id,
                ConnectionTest.mailbox_id.in_(mailbox_ids),
                ConnectionTest.purpose == ConnectionPurpose.PASSWORD,
                ConnectionTest.created_at > now - RETRY_LASTS,
            )
            .order_by(ConnectionTest.id)
        )
        if test.mailbox_id is not None
    }
    return {
        mailbox_id: test
        for mailbox_id, test in newest.items()
        if test.state is not ConnectionTestState.SUCCEEDED
    }
