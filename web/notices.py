"""What stands above *Mail*, and on the first page after sign-in: one sentence and one button for
each thing a person should know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from flask import session as browser_session
from flask import url_for
from flask_babel import gettext as _

from domain import healing, mailboxes, messages, notices, service_deletion
from models import db
from models.mailboxes import ConnectionTest, ConnectionTestState, Mailbox, MailboxState
from models.notices import Notice
from models.people import User
from web import causes, mailbox_states
from web.mailbox_states import Remedy
from web.viewer import now, person

# Where there was contact before, the next is usually there sooner than anybody could read this.
CONNECTING_QUIETLY = timedelta(seconds=10)
_TOLD = "told"  # in the browser's session, which each sign-in begins anew
_ADDRESSES: Mapping[Remedy, str] = {
    Remedy.TRY_NOW: "profile.try_now",
    Remedy.NEW_PASSWORD: "profile.new_password",
}


@dataclass(frozen=True)
class AskedPassword:
    """The field in a notice: ``trying`` while what was typed is tried, else why it ``failed``.

    ``refused`` says what is wrong with what was typed just now. Of a failed try it is not known
    which letter of it was wrong, and the field is empty again.
    """

    mailbox: Mailbox
    trying: bool = False
    failed: str = ""
    refused: str = ""


@dataclass(frozen=True)
class ShownNotice:
    """``button`` leads to ``address``, by a link or a form that is posted; it may be empty.

    ``id`` is the same as long as it is about the same thing. ``help_url`` is the provider's page on
    app passwords.
    """

    id: str
    sentence: str
    kind: Literal["trouble", "progress", "news"]
    button: str = ""
    address: str = ""
    posts: bool = False
    password: AskedPassword | None = None
    help_url: str = ""


@dataclass(frozen=True)
class Glance:
    """What the frame of a page says of mailboxes: ``needing`` is how many need the person, where
    the page does not say so itself.
    """

    notices: Sequence[ShownNotice]
    needing: int = 0


def notices_of(owner: User, *, refused: Mapping[int, str] | None = None) -> list[ShownNotice]:
    """Mailboxes that do not work first, then what the person is told once.

    ``refused`` holds the sentence about a password that was typed just now, by mailbox.
    """
    session = db.session()
    troubled = [one for one in mailboxes.connected(session, owner) if _is_shown(one)]
    return [
        *_troubles(owner, troubled, refused or {}),
        *(_news(one) for one in notices.of_person(session, owner)),
    ]


def glance(brought: Sequence[ShownNotice] | None) -> Glance:
    """What a page brings itself; else, on the first page after sign-in, what there is to tell."""
    first = _TOLD not in browser_session
    if first:
        browser_session[_TOLD] = True
    if brought is not None:
        return Glance(brought)
    session = db.session()
    with session.no_autoflush:  # a page that refuses something must not write it
        needing, telling = healing.glance(session, person())
    return Glance(notices_of(person()) if first and telling else (), needing)


def _is_shown(mailbox: Mailbox) -> bool:
    if mailbox.state is MailboxState.CONNECTING and mailbox.last_contact_at is not None:
        return now() - mailbox.state_since > CONNECTING_QUIETLY
    return mailbox_states.remedy_of(mailbox.state) is not None


def _troubles(
    owner: User, troubled: Sequence[Mailbox], refused: Mapping[int, str]
) -> list[ShownNotice]:
    """What goes beside the sentences is asked for only where there is such a mailbox."""
    session = db.session()
    wanting = [
        one.id for one in troubled if mailbox_states.remedy_of(one.state) is Remedy.NEW_PASSWORD
    ]
    tries = healing.password_tries(session, owner, wanting, now()) if wanting else {}
    progress: dict[int, tuple[int, int]] = {}
    if any(one.state is MailboxState.CONNECTING for one in troubled):
        progress = {
            mailbox.id: (
                sum(folder.total for folder in folders),
                sum(folder.remote_total for folder in folders),
            )
            for mailbox, folders in messages.folders(session, owner)
        }
    return [
        _trouble(
            one,
            _asked(one, tries.get(one.id), refused.get(one.id, "")) if one.id in wanting else None,
            progress.get(one.id, (0, 0)),
        )
        for one in troubled
    ]


def _trouble(
    mailbox: Mailbox, password: AskedPassword | None, progress: tuple[int, int]
) -> ShownNotice:
    remedy = mailbox_states.remedy_of(mailbox.state)
    assert remedy is not None, "see _is_shown"
    received, expected = progress
    help_url = ""
    if mailbox.state is MailboxState.APP_PASSWORD_WANTED and mailbox.service is not None:
        help_url = mailbox.service.help_url
    if remedy is Remedy.CONNECT_ANEW:
        address = url_for("profile.connect", address=mailbox.address)
    elif remedy is Remedy.AGREE:
        asked = service_deletion.asked_of(mailbox)
        address = url_for("profile.agree", mailbox_id=mailbox.id, servers=asked)
    else:
        address = url_for(_ADDRESSES[remedy], mailbox_id=mailbox.id)
    return ShownNotice(
        f"notice-mailbox-{mailbox.id}",
        mailbox_states.notice_of(mailbox, received=received, expected=expected),
        "progress" if mailbox.state is MailboxState.CONNECTING else "trouble",
        remedy.button,
        address,
        posts=remedy is not Remedy.CONNECT_ANEW,
        password=password,
        help_url=help_url,
    )


def _asked(mailbox: Mailbox, tried: ConnectionTest | None, refused: str) -> AskedPassword:
    if tried is None:
        return AskedPassword(mailbox, refused=refused)
    if tried.state is ConnectionTestState.FAILED:
        return AskedPassword(mailbox, failed=causes.of_test(tried), refused=refused)
    return AskedPassword(mailbox, trying=True)


def _news(notice: Notice) -> ShownNotice:
    """The only kind there is: other servers."""
    changes = ", ".join(f"{old} → {new}" for old, new in notice.details.values())
    return ShownNotice(
        f"notice-{notice.id}",
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
