"""What people are told once, whatever happens later."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.errors import NotFoundError
from models.mailboxes import ENDED, Mailbox
from models.notices import Notice, NoticeKind
from models.people import User
from models.services import MailService


def of_person(session: Session, person: User) -> list[Notice]:
    """Oldest first."""
    return list(
        session.scalars(select(Notice).where(Notice.user_id == person.id).order_by(Notice.id))
    )


def dismiss(session: Session, person: User, notice_id: int) -> None:
    """The person has read it. Raises NotFoundError when it is not theirs."""
    own = session.scalar(select(Notice).where(Notice.id == notice_id, Notice.user_id == person.id))
    if own is None:
        raise NotFoundError
    session.delete(own)
    session.flush()


def servers_changed(
    session: Session,
    service: MailService,
    changes: Mapping[str, tuple[object, object]],
    now: datetime,
) -> None:
    """Tells the owner of each mailbox of the service the old and the new host, once.

    Who has not read of an earlier change is told of both as one, and of none that was undone.
    """
    unread = {
        notice.mailbox_id: notice
        for notice in session.scalars(
            select(Notice)
            .join(Mailbox)
            .where(Mailbox.service_id == service.id, Notice.kind == NoticeKind.SERVERS_CHANGED)
        )
    }
    owners = session.execute(
        select(Mailbox.id, Mailbox.user_id).where(
            Mailbox.service_id == service.id, Mailbox.state.not_in(ENDED)
        )
    )
    for mailbox_id, user_id in owners:
        former = unread.get(mailbox_id)
        details = _joined(former.details if former else {}, changes)
        if former is not None and not details:
            session.delete(former)
        elif former is not None:
            former.details = details
        else:
            session.add(
                Notice(
                    user_id=user_id,
                    mailbox_id=mailbox_id,
                    kind=NoticeKind.SERVERS_CHANGED,
                    details=details,
                    created_at=now,
                )
            )
    session.flush()


def _joined(
    former: Mapping[str, list[str]], changes: Mapping[str, tuple[object, object]]
) -> dict[str, list[str]]:
    joined = dict(former)
    for field, (old, new) in changes.items():
        first = joined.pop(field, [str(old)])[0]
        if first != str(new):
            joined[field] = [first, str(new)]
    return joined
