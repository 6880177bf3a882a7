"""Errors, mapped once for all: a page or a fragment that says what happened and what to do."""

import logging
from contextlib import suppress

from flask import Flask, Response, current_app, g
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from domain.errors import ConflictError, NotFoundError
from models import db
from web import fragments

log = logging.getLogger(__name__)

# SQLite's names for "somebody else is writing", and their extended forms.
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


def install(app: Flask) -> None:
    app.register_error_handler(NotFoundError, _not_found)
    app.register_error_handler(ConflictError, _conflict)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(OperationalError, _database_refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _not_found(_error: Exception) -> ResponseReturnValue:
    return _answer(
        404,
        _("This page does not exist"),
        _("The address is wrong, or what it showed has been removed."),
    )


def _conflict(_error: ConflictError) -> ResponseReturnValue:
    db.session.rollback()
    return _answer(
        409,
        _("This has changed meanwhile"),
        _("Someone else, or another window, was quicker. Load the page again and look."),
    )


def _stale_form(_error: Exception) -> ResponseReturnValue:
    return _answer(
        400,
        _("This form is no longer valid"),
        _("You signed in or out since it was opened. Go back, load the page again and send it."),
    )


def _database_refused(error: OperationalError) -> ResponseReturnValue:
    reason = str(getattr(error.orig, "sqlite_errorname", ""))
    if not reason.startswith(_BUSY):
        return _unexpected(error)
    log.error("the database is busy: %s", reason)
    _without_database()
    return _answer(
        503,
        _("The database is busy"),
        _("Nothing was changed. Wait a moment and try once more."),
    )


def _http(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code < 400:
        return error.get_response()
    words = {
        403: (_("This is not allowed"), _("The request came from another site, or is not yours.")),
        404: (
            _("This page does not exist"),
            _("The address is wrong, or what it showed has been removed."),
        ),
        405: (_("This is not allowed"), _("Use the buttons of the page to change something.")),
        413: (_("This is too large"), _("Send less at a time.")),
        422: (_("This cannot be accepted"), _("Go back, look at what was typed and try again.")),
        429: (_("Too many requests"), _("Wait a few minutes, then try again.")),
        503: (
            _("Postroom is being updated"),
            _("This takes a minute or two. Nothing is lost; load the page again then."),
        ),
    }
    title, text = words.get(
        code, (_("This request cannot be answered"), _("Go back, load the page again and retry."))
    )
    if code == 503:
        _without_database()
    response = _answer(code, title, text)
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _unexpected(error: Exception) -> ResponseReturnValue:
    if current_app.testing:
        raise error
    log.error("a request failed", exc_info=error)
    _without_database()
    return _answer(
        500,
        _("Something went wrong here"),
        _("It is written to the log. Try once more; if it stays, tell your administrator."),
    )


def _without_database() -> None:
    """The page that says so must not need what just failed."""
    with suppress(SQLAlchemyError):
        db.session.rollback()
    g.viewer_unknown = True


def _answer(status: int, title: str, text: str) -> Response:
    if fragments.is_fragment():
        fragments.toast(f"{title}. {text}", "failed")
        response = fragments.fragment("shared/_nothing.html", status)
        # Whatever was to be swapped stays as it is; only the toast is put in.
        response.headers["HX-Reswap"] = "none"
        return response
    return fragments.page("shared/error.html", status, title=title, text=text)
