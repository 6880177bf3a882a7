"""Mail: folders, lists, messages. No page here waits for a mail server."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from blueprints.messages.body import frame_answer, part_answer, source_answer
from blueprints.messages.rows import row_face
from domain import announcing, mailboxes, messages
from domain.announcing import Announced
from domain.errors import NotFoundError
from domain.messages import Key, Opened, Page
from domain.sync import changes
from models import db
from models.messages import Folder
from web.access import signed_in
from web.fragments import fragment, go, is_fragment, page
from web.house import tasks
from web.mail_frame import mail_frame, shown_version
from web.viewer import now, person

blueprint = Blueprint("messages", __name__, url_prefix="/mail")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Servers date what they do not know to 1970 or, in their own time zone, to before it.
_ROW_ID = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}")


@blueprint.get("/")
@signed_in
def index() -> ResponseReturnValue:
    folder = messages.first_folder(db.session(), person())
    if folder is not None:
        return redirect(url_for("messages.folder", folder_id=folder.id), 303)
    return page("messages/index.html", **mail_frame())


@blueprint.get("/mailboxes/<int:mailbox_id>")
@signed_in
def mailbox(mailbox_id: int) -> ResponseReturnValue:
    """The inbox of one mailbox, or, while it is on its way, the page that waits for it."""
    own = mailboxes.find(db.session(), person(), mailbox_id)
    inbox = messages.inbox_of(db.session(), own)
    if inbox is not None:
        return redirect(url_for("messages.folder", folder_id=inbox.id), 303)
    return page("messages/index.html", awaited=own, **mail_frame())


@blueprint.get("/folders/<int:folder_id>")
@signed_in
def folder(folder_id: int) -> ResponseReturnValue:
    own = messages.find_folder(db.session(), person(), folder_id)
    return page("messages/folder.html", **mail_frame(own), **_list(own))


@blueprint.get("/folders/<int:folder_id>/older")
@signed_in
def older(folder_id: int) -> ResponseReturnValue:
    """The next rows of a list; without htmx, a page that begins with them."""
    own = messages.find_folder(db.session(), person(), folder_id)
    listed = messages.page(db.session(), own, after=_key(request.args.get("after", "")))
    if is_fragment():
        return fragment("messages/_rows.html", **_list(own, listed))
    return page("messages/folder.html", **mail_frame(own), **_list(own, listed))


@blueprint.get("/messages/<int:message_id>")
@signed_in
def show(message_id: int) -> ResponseReturnValue:
    opened = messages.find(db.session(), person(), message_id)
    if is_fragment():
        return fragment("messages/_message.html", opened=opened, written_at=_written_at(opened))
    own = messages.find_folder(db.session(), person(), opened.message.folder_id)
    shown = _list(own, opened=message_id)
    shown |= {"opened": opened, "written_at": _written_at(opened)}
    return page("messages/folder.html", **mail_frame(own), **shown)


@blueprint.get("/messages/<int:message_id>/body")
@signed_in
def body(message_id: int) -> ResponseReturnValue:
    """The document in the message's frame."""
    return frame_answer(messages.find(db.session(), person(), message_id))


@blueprint.get("/messages/<int:message_id>/parts/<path>")
@signed_in
def part(message_id: int, path: str) -> ResponseReturnValue:
    """A picture inside the message, or an attachment."""
    return part_answer(messages.find(db.session(), person(), message_id), path)


@blueprint.get("/messages/<int:message_id>/source")
@signed_in
def source(message_id: int) -> ResponseReturnValue:
    """The message as the server sent it, to the byte."""
    return source_answer(messages.find(db.session(), person(), message_id))


@blueprint.post("/messages/<int:message_id>/seen")
@signed_in
def seen(message_id: int) -> ResponseReturnValue:
    return _set_seen(message_id, seen=True)


@blueprint.post("/messages/<int:message_id>/unseen")
@signed_in
def unseen(message_id: int) -> ResponseReturnValue:
    return _set_seen(message_id, seen=False)


@blueprint.get("/changes")
@signed_in
def newer() -> ResponseReturnValue:
    """What an open page polls: 204 while it shows the newest version."""
    version = shown_version(messages.version(db.session(), person()))
    if request.args.get("version") == version:
        return Response(status=204)
    own = _shown_folder()
    if own is None:
        if request.args.get("folder"):  # removed at the server
            return go(url_for("messages.index"))
        return fragment("messages/_changes.html", arrived=_arrived(), **mail_frame())
    listed = _as_far_as(own, request.args.get("until", ""))
    opened = _row_id("opened")
    shown = {**_list(own, listed, opened=opened), "gone": bool(opened) and not _is_there(opened)}
    return fragment("messages/_changes.html", arrived=_arrived(), **mail_frame(own), **shown)


def _arrived() -> Sequence[Announced]:
    """What the page was not told of yet; one that names nothing is told nothing."""
    after = request.args.get("announced", "")
    if not _ROW_ID.fullmatch(after):
        return ()
    return announcing.arrived(db.session(), person(), int(after), now())


def _list(own: Folder, listed: Page | None = None, *, opened: int = 0) -> dict[str, Any]:
    """What a list of messages is made of; without ``listed`` its first page."""
    return {
        "folder": own,
        "listed": listed or messages.page(db.session(), own),
        "face": row_face(own, opened),
    }


def _written_at(opened: Opened) -> datetime | None:
    """The sender's own date, which an answer quotes; the server's, if that was earlier."""
    date = opened.content.headers.get("date")
    return min(datetime.fromisoformat(date), opened.message.received_at) if date else None


def _as_far_as(own: Folder, until: str) -> Page:
    """The rows that an open page shows already, and what is newer."""
    session = db.session()
    return messages.page_until(session, own, _key(until)) if until else messages.page(session, own)


def _shown_folder() -> Folder | None:
    try:
        return messages.find_folder(db.session(), person(), _row_id("folder"))
    except NotFoundError:
        return None


def _is_there(message_id: int) -> bool:
    try:
        messages.find(db.session(), person(), message_id)
    except NotFoundError:
        return False
    return True


def _row_id(name: str) -> int:
    """The id that stands in the address under that name; 0, which no row has, where none does."""
    text = request.args.get(name, "")
    return int(text) if _ROW_ID.fullmatch(text) else 0


def _set_seen(message_id: int, *, seen: bool) -> ResponseReturnValue:
    opened = messages.find(db.session(), person(), message_id)
    changed = changes.set_seen(db.session(), opened.message, seen=seen)
    db.session.commit()
    if changed:
        tasks().mailbox(opened.mailbox.id)
    if not is_fragment():
        return go(url_for("messages.show", message_id=message_id))
    own = messages.find_folder(db.session(), person(), opened.message.folder_id)
    face = row_face(own, message_id)
    return fragment("messages/_seen.html", **mail_frame(own), opened=opened, face=face)


def _key(text: str) -> Key:
    """A list's key as it stands in an address: microseconds and an id."""
    microseconds, _dot, row = text.partition(".")
    if not _KEY.fullmatch(text):
        raise NotFoundError
    try:
        return Key(_EPOCH + timedelta(microseconds=int(microseconds)), int(row))
    except OverflowError as error:
        raise NotFoundError from error


@blueprint.app_template_filter("list_key")
def list_key(key: Key) -> str:
    return f"{(key.received_at - _EPOCH) // timedelta(microseconds=1)}.{key.id}"
