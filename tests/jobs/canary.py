"""A password that can be told from everything else, and whoever looks for it everywhere."""

import base64
import html
import json
import logging
import sqlite3
import urllib.parse
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import markupsafe
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from werkzeug.wrappers import Response

CANARY = """Kanarien-Vogel ü&<"'%+4711"""
CORE = "Kanarien-Vogel"  # what no escaping of single signs changes


def disguises(secret: str, core: str = CORE) -> dict[str, bytes]:
    """What a password may look like where it does not belong."""
    plain = secret.encode()
    texts = {
        "plain": secret,
        "URL-quoted": urllib.parse.quote(secret, safe=""),
        "in a form": urllib.parse.quote_plus(secret),
        "HTML-escaped": html.escape(secret),
        "escaped in a template": str(markupsafe.escape(secret)),
        "JSON": json.dumps(secret)[1:-1],
        "JSON with its letters": json.dumps(secret, ensure_ascii=False)[1:-1],
        "represented": repr(secret)[1:-1],
        "bytes represented": repr(plain)[2:-1],
        "hexadecimal": plain.hex(),
        "its core": core,
    }
    found = {name: text.encode() for name, text in texts.items()}
    for encoding in ("utf-16-le", "utf-16-be", "latin-1"):
        found[encoding] = secret.encode(encoding)
        found[f"its core, {encoding}"] = core.encode(encoding)
    for name, content in (("", plain), (", UTF-16", secret.encode("utf-16-le"))):
        for before in range(3):
            found[f"base64{name} after {before}"] = _base64_after(before, content)
    for name, content in list(found.items()):
        if name.startswith("base64"):
            found[f"{name}, for URLs"] = content.translate(bytes.maketrans(b"+/", b"-_"))
    return found


def _base64_after(before: int, content: bytes) -> bytes:
    """As much of the encoded text as depends on nothing but the content, ``before`` bytes into a
    group of three: in AUTH PLAIN a login of any length stands before the password.
    """
    encoded = base64.b64encode(bytes(before) + content)
    return encoded[-(-before * 8 // 6) : (before + len(content)) * 8 // 6]


class Witness(logging.Handler):
    """Keeps every answer and every log record, and looks through them and the data folder."""

    def __init__(self, app: Flask, data: Path, copies: Path) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self.answers: list[bytes] = []
        self.records: list[str] = []
        self.others: dict[str, str] = {}
        self._app, self._data, self._copies = app, data, copies
        self._answer, app.wsgi_app = app.wsgi_app, self  # type: ignore[method-assign]

    def emit(self, record: logging.LogRecord) -> None:
        arguments = {name: repr(value) for name, value in record.__dict__.items()}
        self.records.append(f"{self.format(record)}\n{arguments}")

    def finds(self) -> list[str]:
        """Where it stands, and in which disguise; nothing is what one wants."""
        wanted = disguises(CANARY)
        return [
            f"{place}: {name}"
            for place, content in self._places()
            for name, disguise in wanted.items()
            if disguise.lower() in content.lower()
        ]

    def _places(self) -> Iterator[tuple[str, bytes]]:
        for number, answer in enumerate(self.answers):
            yield f"answer {number}", answer
        for number, record in enumerate(list(self.records)):
            yield f"log record {number}", record.encode("utf-8", "backslashreplace")
        for name, text in self.others.items():
            yield name, text.encode()
        self._copy()
        for folder in (self._data, self._copies):
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    yield str(path.relative_to(folder.parent)), path.read_bytes()

    def _copy(self) -> None:
        """As backups are made of databases that are in use."""
        self._copies.mkdir(exist_ok=True)
        for path in self._data.glob("*.sqlite"):
            backup = self._copies / f"backup-{path.name}"
            vacuumed = self._copies / f"vacuumed-{path.name}"
            vacuumed.unlink(missing_ok=True)
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as copy:
                source.backup(copy)
                source.execute("VACUUM INTO ?", (str(vacuumed),))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Each answer as it leaves the house: the cookie is the last that is put in."""
        response = Response.from_app(self._answer, environ, buffered=True)
        lines = [response.status, *(f"{name}: {value}" for name, value in response.headers)]
        lines += [f"the session holds {held}" for held in self._sessions(response)]
        self.answers.append("\n".join(lines).encode() + b"\n\n" + response.get_data())
        return response(environ, start_response)

    def _sessions(self, response: Response) -> Iterator[object]:
        """What the cookies hold, which are compressed when they are long."""
        interface = SecureCookieSessionInterface()
        signed = interface.get_signing_serializer(self._app)
        for cookie in response.headers.getlist("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if name == self._app.config["SESSION_COOKIE_NAME"] and value:
                assert signed is not None
                yield signed.loads(value)
