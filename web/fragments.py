"""One view answers a whole page, or, asked by htmx, the fragment that is swapped."""

from dataclasses import dataclass
from typing import Literal

from flask import (
    Response,
    flash,
    g,
    get_flashed_messages,
    make_response,
    redirect,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue

Kind = Literal["done", "failed"]


@dataclass(frozen=True)
class Toast:
    text: str
    kind: Kind = "done"


def is_fragment() -> bool:
    """htmx says ``partial`` when it will swap a part of the page (htmx 4)."""
    return request.headers.get("HX-Request-Type") == "partial"


def toast(text: str, kind: Kind = "done") -> None:
    """A line that the answer carries, for eyes and for screen readers."""
    g.setdefault("toasts", []).append(Toast(text, kind))


def toasts() -> list[Toast]:
    """Those of this answer, and those that were left for it by ``go``."""
    if "toasts_left" not in g:
        g.toasts_left = [Toast(str(text)) for text in get_flashed_messages()]
    return [*g.toasts_left, *g.get("toasts", [])]


def fragment(template: str, /, status: int = 200, **context: object) -> Response:
    """A fragment with its out-of-band parts after it (a ``<tr>`` has to come first)."""
    html = render_template(template, **context) + render_template("shared/_oob.html")
    return _varying(make_response(html, status))


def page(template: str, /, status: int = 200, **context: object) -> Response:
    return _varying(make_response(render_template(template, **context), status))


def go(address: str, words: str = "") -> ResponseReturnValue:
    """To another page after a change: 303 for a form, HX-Redirect for htmx.

    ``words`` are shown there as a toast.
    """
    if words:
        flash(words)
    if is_fragment():
        return _varying(Response(status=204, headers={"HX-Redirect": address}))
    return redirect(address, 303)


def _varying(response: Response) -> Response:
    response.headers["Vary"] = "HX-Request-Type, Cookie"
    return response
