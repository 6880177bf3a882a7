"""One view answers a whole page, or, asked by htmx, the fragment that is swapped."""

import json
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
class Undo:
    """The way back from what was just done: a POST to ``address``, whose answer replaces
    ``target``, a selector; without htmx a page follows.
    """

    address: str
    target: str


@dataclass(frozen=True)
class Toast:
    text: str
    kind: Kind = "done"
    undo: Undo | None = None


def is_fragment() -> bool:
    """htmx says ``partial`` when it will swap a part of the page (htmx 4)."""
    return request.headers.get("HX-Request-Type") == "partial"


def toast(text: str, kind: Kind = "done", undo: Undo | None = None) -> None:
    """A line that the answer carries, for eyes and for screen readers."""
    g.setdefault("toasts", []).append(Toast(text, kind, undo))


def toasts() -> list[Toast]:
    """Those of this answer, and those that were left for it by ``go``."""
    if "toasts_left" not in g:
        g.toasts_left = [_unpacked(kept) for kept in get_flashed_messages()]
    return [*g.toasts_left, *g.get("toasts", [])]


def fragment(template: str, /, status: int = 200, **context: object) -> Response:
    """A fragment with its out-of-band parts after it (a ``<tr>`` has to come first)."""
    html = render_template(template, **context) + render_template("shared/_oob.html")
    return _varying(make_response(html, status))


def page(template: str, /, status: int = 200, **context: object) -> Response:
    return _varying(make_response(render_template(template, **context), status))


def close_window(response: Response, target: str) -> Response:
    """The answer to a form in a window goes into the page behind it, and the window closes."""
    response.headers["HX-Retarget"] = target
    response.headers["HX-Reswap"] = "outerHTML"
    response.headers["HX-Trigger"] = "postroom:close-window"
    return response


def go(address: str, words: str = "", undo: Undo | None = None) -> ResponseReturnValue:
    """To another page after a change: 303 for a form, HX-Redirect for htmx.

    ``words`` are shown there as a toast, with the way back if there is one.
    """
    if words:
        flash(json.dumps([words, undo.address, undo.target] if undo else [words]))
    if is_fragment():
        return _varying(Response(status=204, headers={"HX-Redirect": address}))
    return redirect(address, 303)


def _unpacked(kept: object) -> Toast:
    """What ``go`` left, in the one kind of thing that ``flash`` keeps."""
    words, *undo = json.loads(str(kept))
    return Toast(words, undo=Undo(*undo) if undo else None)


def _varying(response: Response) -> Response:
    response.headers["Vary"] = "HX-Request-Type, Cookie"
    return response
