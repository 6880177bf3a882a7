"""One view answers a whole page, or, asked by htmx, the fragment that is swapped."""

from dataclasses import dataclass
from typing import Literal

from flask import Response, g, make_response, redirect, render_template, request
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
    found: list[Toast] = g.get("toasts", [])
    return found


def fragment(template: str, /, status: int = 200, **context: object) -> Response:
    """A fragment with its out-of-band parts after it (a ``<tr>`` has to come first)."""
    html = render_template(template, **context) + render_template("shared/_oob.html")
    return _varying(make_response(html, status))


def page(template: str, /, status: int = 200, **context: object) -> Response:
    return _varying(make_response(render_template(template, **context), status))


def go(address: str) -> ResponseReturnValue:
    """To another page after a change: 303 for a form, HX-Redirect for htmx."""
    if is_fragment():
        return _varying(Response(status=204, headers={"HX-Redirect": address}))
    return redirect(address, 303)


def _varying(response: Response) -> Response:
    response.headers["Vary"] = "HX-Request-Type, Cookie"
    return response
