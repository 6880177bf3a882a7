"""The headers that keep a page to itself (OWASP ASVS 5.0, section 3.4)."""

from collections.abc import Callable
from wsgiref.headers import Headers as FileHeaders

from flask import Flask, Response, request

from settings import Settings

PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
)
# Beside the policy that an answer brings itself: at most our own pages may frame it.
OWN_FRAMES_CSP = "frame-ancestors 'self'"
HSTS = "max-age=31536000; includeSubDomains"
_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    # With no-referrer a browser posts our own forms with "Origin: null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def install(app: Flask) -> None:
    everywhere = _everywhere(app)

    def harden(response: Response) -> Response:
        headers = response.headers
        if "Content-Security-Policy" in headers:
            # A second policy, for browsers keep to all of them (CSP Level 3, section 4.2.2).
            headers.add("Content-Security-Policy", OWN_FRAMES_CSP)
        for name, value in everywhere.items():
            headers.setdefault(name, value)
        if request.endpoint != "static" or response.status_code >= 400:
            headers["Cache-Control"] = "no-store"
        return response

    app.after_request(harden)


def of_files(app: Flask) -> Callable[[FileHeaders, str, str], None]:
    """The same for static files, which are answered before any view; they may be stored."""
    everywhere = _everywhere(app)

    def harden(headers: FileHeaders, _path: str, _address: str) -> None:
        for name, value in everywhere.items():
            headers.setdefault(name, value)

    return harden


def _everywhere(app: Flask) -> dict[str, str]:
    settings: Settings = app.extensions["postroom_settings"]
    hsts = {"Strict-Transport-Security": HSTS} if settings.https else {}
    return {"Content-Security-Policy": PAGE_CSP, **_EVERYWHERE, **hsts}
