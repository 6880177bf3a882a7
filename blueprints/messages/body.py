"""Answers made of a message's own content: its frame, its parts, its source."""

import io

from flask import Response, make_response, send_file
from flask_babel import get_locale
from flask_babel import gettext as _

from domain.errors import NotFoundError
from domain.messages import Opened, safe_html_of
from mail import safe_html
from mail.mime.parse import NoSuchPartError, UnparseableError, part_content
from models.source_store import SourceMissingError
from web.house import store, tasks
from web.viewer import person

# The four kinds of pictures that a browser may show by itself; never SVG, never PDF.
INLINE_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_DOWNLOAD_CSP = "default-src 'none'; sandbox"
# A browser shows a picture that stands alone in a document of its own making, with styles in it.
_PICTURE_CSP = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def frame_answer(opened: Opened) -> Response:
    """A document of its own under a policy of its own; nothing in it can run."""
    language = getattr(get_locale(), "language", "en")
    html = safe_html.document(
        _body(opened), language, plain=opened.is_plain, theme=person().theme.value
    )
    response = make_response(html)
    response.headers["Content-Security-Policy"] = safe_html.FRAME_CSP
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def part_answer(opened: Opened, path: str) -> Response:
    try:
        part, content = part_content(_source(opened), path)
    except (NoSuchPartError, UnparseableError) as error:
        raise NotFoundError from error
    inline = part.content_type in INLINE_PICTURES
    response = send_file(
        io.BytesIO(content),
        mimetype=part.content_type if inline else "application/octet-stream",
        as_attachment=not inline,
        download_name=part.filename or _("attachment"),
    )
    return _contained(response, _PICTURE_CSP if inline else _DOWNLOAD_CSP)


def source_answer(opened: Opened) -> Response:
    response = send_file(
        io.BytesIO(_source(opened)),
        mimetype="application/octet-stream",
        as_attachment=True,
        download_name=f"message-{opened.message.id}.eml",
    )
    return _contained(response)


def _body(opened: Opened) -> str:
    content = opened.content
    if content.safe_html is not None and content.safe_html_version == safe_html.VERSION:
        return content.safe_html
    if not opened.message.readable:
        return safe_html.text_to_html(_("This message cannot be read. Download it to look at it."))
    if opened.is_plain:
        return safe_html.text_to_html(content.text)
    tasks().prepare(opened.message.id)
    try:
        return safe_html_of(content, _source(opened))
    except (UnparseableError, NotFoundError):
        return safe_html.text_to_html(content.text)


def _source(opened: Opened) -> bytes:
    if opened.message.source_hash is None:
        raise NotFoundError
    try:
        return store().get(opened.mailbox.uuid, opened.message.source_hash)
    except SourceMissingError as error:
        raise NotFoundError from error


def _contained(response: Response, policy: str = _DOWNLOAD_CSP) -> Response:
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
