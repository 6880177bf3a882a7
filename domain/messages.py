"""Reading mail: folders, lists and messages of one person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    bindparam,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from domain import mailboxes
from domain.errors import NotFoundError
from mail import safe_html
from mail.mime.parse import html_of
from models.mailboxes import Mailbox
from models.messages import Folder, FolderRole, Message, MessageContent
from models.people import User

PAGE = 50
SHOWN_AGAIN_MOST = 500

_LIST_COLUMNS = (
    Message.id,
    Message.received_at,
    Message.sender_name,
    Message.sender_address,
    Message.recipients,
    Message.subject,
    Message.preview,
    Message.seen,
    Message.flagged,
    Message.answered,
    Message.has_attachments,
    Message.readable,
    Message.source_hash,
)

# Statements that every page asks are built once: building takes as long as SQLite's answer.
_OWN_FOLDER = (
    select(Folder)
    .join(Mailbox)
    .where(Folder.id == bindparam("folder"), Mailbox.user_id == bindparam("person"))
)
_LIST = (
    cast(Select[Any], select(*_LIST_COLUMNS))
    .where(Message.folder_id == bindparam("folder"))
    .order_by(Message.received_at.desc(), Message.id.desc())
    .limit(bindparam("most"))
)
_PLACE = tuple_(Message.received_at, Message.id)
_KEY = tuple_(
    bindparam("received_at", type_=Message.received_at.type), bindparam("id", type_=Message.id.type)
)
_OLDER = _LIST.where(_PLACE < _KEY)
_NEWER = _LIST.where(_PLACE >= _KEY)
_OPENED = (
    select(Message, MessageContent, Mailbox)
    .join(MessageContent, MessageContent.message_id == Message.id)
    .join(Mailbox, Message.mailbox_id == Mailbox.id)
)
_OWN_MESSAGE = _OPENED.where(
    Message.id == bindparam("message"), Mailbox.user_id == bindparam("person")
)


@dataclass(frozen=True, slots=True)
class Key:
    """The place of a row in its list, newest first; the id parts what came at the same moment."""

    received_at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    """``more`` says whether older rows follow; ``last`` is the key to go on after."""

    rows: Sequence[Row[Any]]
    more: bool

    @property
    def last(self) -> Key | None:
        return Key(self.rows[-1].received_at, self.rows[-1].id) if self.rows else None


@dataclass(frozen=True, slots=True)
class Opened:
    message: Message
    content: MessageContent
    mailbox: Mailbox

    @property
    def is_plain(self) -> bool:
        """Whether it is shown as plain text, for it has no HTML."""
        return not self.content.headers.get("has_html")


def version(session: Session, person: User) -> int:
    """Grows with every change in any of the person's mailboxes."""
    total = select(func.coalesce(func.sum(Mailbox.version), 0)).where(Mailbox.user_id == person.id)
    return int(session.scalar(total) or 0)


def folders(session: Session, person: User) -> list[tuple[Mailbox, list[Folder]]]:
    """The person's mailboxes, each with its folders, the special ones first."""
    boxes = mailboxes.connected(session, person)
    rows = session.scalars(
        select(Folder).where(Folder.mailbox_id.in_([box.id for box in boxes])).order_by(Folder.name)
    ).all()
    place = {role: number for number, role in enumerate(FolderRole)}
    rows = sorted(rows, key=lambda row: place[row.role] if row.role else len(place))
    return [(box, [row for row in rows if row.mailbox_id == box.id]) for box in boxes]


def find_folder(session: Session, person: User, folder_id: int) -> Folder:
    """Raises NotFoundError when it is not this person's."""
    own = session.scalar(_OWN_FOLDER, {"folder": folder_id, "person": person.id})
    if own is None:
        raise NotFoundError
    return own


def inbox_of(session: Session, mailbox: Mailbox) -> Folder | None:
    """None while the folders of a new mailbox are on their way."""
    return session.scalar(
        select(Folder).where(Folder.mailbox_id == mailbox.id, Folder.role == FolderRole.INBOX)
    )


def first_folder(session: Session, person: User) -> Folder | None:
    """The inbox that *Mail* opens with."""
    return session.scalar(
        select(Folder)
        .join(Mailbox)
        .where(Mailbox.user_id == person.id, Folder.role == FolderRole.INBOX)
        .order_by(Mailbox.position, Mailbox.id)
        .limit(1)
    )


def page(session: Session, folder: Folder, *, after: Key | None = None) -> Page:
    """The next 50 rows, read along the index: its cost does not grow with the folder."""
    return _page(session.execute(*_asked(folder, after, _OLDER, PAGE + 1)).all(), PAGE)


def page_until(session: Session, folder: Folder, until: Key) -> Page:
    """From the newest down to a row that a page shows already, at most 500."""
    found = session.execute(*_asked(folder, until, _NEWER, SHOWN_AGAIN_MOST)).all()
    if len(found) < PAGE:
        return page(session, folder)
    shown = Page(found, more=False)
    rest = page(session, folder, after=shown.last)
    return Page(found, more=bool(rest.rows))


def find(session: Session, person: User, message_id: int) -> Opened:
    """Raises NotFoundError when it is not this person's."""
    asked = {"message": message_id, "person": person.id}
    own = session.execute(_OWN_MESSAGE, asked).one_or_none()
    if own is None:
        raise NotFoundError
    return Opened(own[0], own[1], own[2])


def keep_safe_html(session: Session, message_id: int, html: str, sanitiser: int) -> None:
    session.execute(
        update(MessageContent)
        .where(MessageContent.message_id == message_id)
        .values(safe_html=html, safe_html_version=sanitiser)
    )


def without_safe_html(session: Session, message_id: int, sanitiser: int) -> Opened | None:
    """The message, if what is kept of its HTML is missing or from an older sanitiser."""
    found = session.execute(_OPENED.where(Message.id == message_id, _is_stale(sanitiser)))
    row = found.one_or_none()
    return None if row is None else Opened(row[0], row[1], row[2])


def _asked(
    folder: Folder, key: Key | None, beyond: Select[Any], most: int
) -> tuple[Select[Any], dict[str, object]]:
    """The statement and its values: rows of a list, on one side of a key if there is one."""
    asked: dict[str, object] = {"folder": folder.id, "most": most}
    if key is None:
        return _LIST, asked
    return beyond, asked | {"received_at": key.received_at, "id": key.id}


def _page(found: Sequence[Row[Any]], size: int) -> Page:
    return Page(found[:size], more=len(found) > size)


def _is_stale(sanitiser: int) -> ColumnElement[bool]:
    return or_(
        MessageContent.safe_html_version.is_(None),
        MessageContent.safe_html_version != sanitiser,
    )


def safe_html_of(content: MessageContent, raw: bytes) -> str:
    """The message's HTML made harmless; its text where there is none or it is too deep.

    Pictures of the message itself are asked for at the route of its parts. Raises UnparseableError.
    """
    html = html_of(raw)
    if html is None:
        return safe_html.text_to_html(content.text)
    pictures = {part["content_id"]: part["path"] for part in content.parts if part["content_id"]}

    def address(content_id: str) -> str | None:
        path = pictures.get(content_id)
        return None if path is None else f"/mail/messages/{content.message_id}/parts/{path}"

    try:
        return safe_html.sanitise(html, cid_address=address).html
    except safe_html.TooComplex:
        return safe_html.text_to_html(content.text)


def unprepared(session: Session, mailbox_id: int, sanitiser: int) -> list[int]:
    """Of the inbox's newest page, the messages whose HTML nobody has made harmless yet."""
    newest = (
        select(Message.id)
        .join(Folder)
        .where(Folder.mailbox_id == mailbox_id, Folder.role == FolderRole.INBOX)
        .order_by(Message.received_at.desc(), Message.id.desc())
        .limit(PAGE)
    )
    return list(
        session.scalars(
            select(MessageContent.message_id).where(
                MessageContent.message_id.in_(newest),
                MessageContent.headers["has_html"].as_boolean(),
                _is_stale(sanitiser),
            )
        )
    )
