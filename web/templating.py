"""What every template knows: who looks, the language, the toasts, the addresses of static files."""

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, url_for
from flask_babel import get_locale

from mail.server_string import Protocol
from web import causes, fragments
from web.house import settings, worker_runs
from web.sentences import sentence
from web.server_fields import security_name
from web.viewer import viewer_or_none


def install(app: Flask) -> None:
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals |= {
        "static_file": static_file,
        "causes": causes,
        "sentence": sentence,
        "protocols": {"imap": Protocol.IMAP, "smtp": Protocol.SMTP},
    }
    app.jinja_env.filters["security"] = security_name
    app.context_processor(_context)


def _context() -> dict[str, object]:
    locale = get_locale()
    return {
        "viewer": viewer_or_none(),
        "language": locale.language if locale is not None else "en",
        "toasts": fragments.toasts,
        "is_fragment": fragments.is_fragment(),
        "in_demo": settings().demo_people is not None,
        "worker_runs": worker_runs,
    }


def static_file(name: str) -> str:
    """The address of a static file, with a fingerprint: a new version is a new address."""
    return url_for("static", filename=name, v=_fingerprint(name))


@lru_cache(maxsize=256)
def _fingerprint(name: str) -> str:
    path = Path(__file__).resolve().parent.parent / "static" / name
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
