"""What stands above *Mail*: one sentence and one button for each thing a person should know."""

from dataclasses import dataclass
from typing import Literal

from flask import url_for
from flask_babel import gettext as _

from domain import mailboxes, notices
from models import db
from models.mailboxes import Mailbox, MailboxState
from models.notices import Notice
from models.people import User
from web import causes

_PASSWORD_HELPS = frozenset(
    {
        MailboxState.LOGIN_REFUSED,
        MailboxState.APP_PASSWORD_WANTED,
        MailboxState.SECRET_LOST,
    }
)


@dataclass(frozen=True)
class ShownNotice:
    """``button`` leads to ``address``, by a link or a form that is posted; it may be empty."""

    sentence: str
    kind: Literal["trouble", "news"]
    button: str = ""
    address: str = ""
    posts: bool = False


def notices_of(person: User) -> list[ShownNotice]:
    """Mailboxes that need the person first, then what they are told once."""
    session = db.session()
    troubled = [
        _trouble(one) for one in mailboxes.connected(session, person) if one.state.needs_person
    ]
    return [*troubled, *(_news(one) for one in notices.of_person(session, person))]


def _trouble(mailbox: Mailbox) -> ShownNotice:
    sentence = causes.of_mailbox(mailbox) or ""
    if mailbox.state is MailboxState.MOVED:
        agree = url_for("profile.agree", mailbox_id=mailbox.id)
        return ShownNotice(sentence, "trouble", _("Agree"), agree, posts=True)
    if mailbox.state in _PASSWORD_HELPS:
        password = url_for("profile.new_password", mailbox_id=mailbox.id)
        return ShownNotice(sentence, "trouble", _("Type the password"), password)
    if mailbox.state is MailboxState.SERVICE_DELETED:
        connect = url_for("profile.connect")
        return ShownNotice(sentence, "trouble", _("Connect another mailbox"), connect)
    return ShownNotice(sentence, "trouble")


def _news(notice: Notice) -> ShownNotice:
    """The only kind there is: other servers."""
    changes = ", ".join(f"{old} → {new}" for old, new in notice.details.values())
    return ShownNotice(
        _(
            "An administrator changed the servers of %(address)s: %(changes)s. You need not do "
            "anything.",
            address=notice.mailbox.address,
            changes=changes,
        ),
        "news",
        _("Got it"),
        url_for("profile.dismiss", notice_id=notice.id),
        posts=True,
    )
