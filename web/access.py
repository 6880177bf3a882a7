"""Who may call a route. Every view says so with one of three marks; without one nobody may."""

import enum
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from urllib.parse import SplitResult, urlsplit

from flask import Flask, Response, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from web.fragments import fragment, is_fragment, page, toast
from web.viewer import note_seen, viewer_or_none

P = ParamSpec("P")
R = TypeVar("R")

# What people write at length; never a password.
_SHOWN_AGAIN = ("to", "cc", "bcc", "subject", "text", "name", "ca_pem")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# From a page of our own, or by nobody's page at all (W3C Fetch Metadata).
_OWN_SITES = frozenset({"same-origin", "none"})
_MARK = "access"


class Access(enum.Enum):
    ANYONE = "anyone"
    SIGNED_IN = "signed_in"
    ADMINISTRATOR = "administrator"


def anyone(view: Callable[P, R]) -> Callable[P, R]:
    """Open to people who are not signed in."""
    return _marked(view, Access.ANYONE)


def signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """For every person of the company; each row is still loaded through its owner."""
    return _marked(view, Access.SIGNED_IN)


def administrator(view: Callable[P, R]) -> Callable[P, R]:
    """For administrators; to others the page does not exist."""
    return _marked(view, Access.ADMINISTRATOR)


def mark_of(app: Flask, endpoint: str) -> Access | None:
    if endpoint == "static":
        return Access.ANYONE
    mark = getattr(app.view_functions.get(endpoint), _MARK, None)
    return mark if isinstance(mark, Access) else None


def install(app: Flask) -> None:
    app.before_request(_check)


def _check() -> ResponseReturnValue | None:
    if request.endpoint is None:
        return None
    if request.method not in SAFE_METHODS:
        _refuse_foreign_origin()
        note_seen()
    access = mark_of(current_app, request.endpoint)
    if access is Access.ANYONE:
        return None
    viewer = viewer_or_none()
    if viewer is None:
        return to_sign_in()
    if access is Access.ADMINISTRATOR and not viewer.is_administrator:
        abort(404)
    if access is None:
        abort(403)
    return None


def to_sign_in() -> ResponseReturnValue:
    """To sign-in and back. A fragment's answer must not be followed into a row of a table.

    Nothing that was typed is lost: a poll, which nobody asked for, only says so, and what a form
    sent is shown once more.
    """
    if request.headers.get("X-Poll"):
        toast(
            _("You are signed out. Sign in again in another tab; this page stays as it is."),
            "failed",
        )
        return fragment("shared/_nothing.html", 401)
    if request.method not in SAFE_METHODS and not is_fragment():
        kept = {name: text for name, text in request.form.items() if name in _SHOWN_AGAIN and text}
        if kept:
            return page("auth/signed_out.html", 401, kept=kept)
    if not is_fragment():
        back = request.full_path.rstrip("?") if request.method in SAFE_METHODS else None
        return redirect(url_for("auth.sign_in", next=back), 303)
    shown = _split(request.headers.get("HX-Current-URL", ""))
    back = f"{shown.path}?{shown.query}" if shown.query else shown.path
    return Response(status=401, headers={"HX-Redirect": url_for("auth.sign_in", next=back or None)})


def safe_next(target: str | None) -> str | None:
    """A path of our own, or None: what stands in ``next`` was typed by whoever made the link."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    parts = _split(target)
    if not parts.path:
        return None
    return None if parts.scheme or parts.netloc or not target.isprintable() else target


def _refuse_foreign_origin() -> None:
    """A form on another site may post here; its browser says where it stands."""
    origin = request.headers.get("Origin")
    if origin is not None and _split(origin).netloc != request.host:
        abort(403)
    # Sent over HTTPS and to localhost; it also tells our own name without HTTPS from ourselves.
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        abort(403)


def _split(address: str) -> SplitResult:
    """An address as a browser, or somebody who forges one, names it."""
    try:
        return urlsplit(address)
    except ValueError:  # half a bracket
        return SplitResult("", "", "", "", "")


def _marked(view: Callable[P, R], access: Access) -> Callable[P, R]:
    setattr(view, _MARK, access)
    return view
