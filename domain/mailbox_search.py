"""Which mailboxes of the company an administrator means by a few words."""

from collections.abc import Collection

from sqlalchemy import BindParameter, ColumnElement, ColumnExpressionArgument, bindparam, select
from sqlalchemy.orm import Session

from models.mailboxes import Mailbox
from models.people import User


def matching(
    session: Session, search: str, *wanted: ColumnExpressionArgument[bool]
) -> ColumnElement[bool]:
    """Those of the wanted in which every word occurs: in the person's name or login, or in the
    mailbox's login or address.

    Compared here, whatever the case: SQLite folds that of ASCII letters only.
    """
    words = search.casefold().split()
    rows = session.execute(
        select(Mailbox.id, User.name, User.login, Mailbox.login, Mailbox.address)
        .join(User)
        .where(*wanted)
    )
    return is_one_of(
        [
            mailbox_id
            for mailbox_id, *texts in rows
            if (text := "\n".join(texts).casefold()) and all(word in text for word in words)
        ]
    )


def is_one_of(ids: Collection[int]) -> ColumnElement[bool]:
    """The numbers stand in the statement: it may have 32,766 parameters (SQLite) and no more."""
    written: BindParameter[list[int]] = bindparam(
        "ids", list(ids), expanding=True, literal_execute=True, unique=True
    )
    return Mailbox.id.in_(written)
