"""The headers of every answer: pages, fragments, errors, downloads, frames and static files.

What is wanted is OWASP ASVS 5.0, level 2, sections 3.3 and 3.4; the policies are web/csp.py's.
"""

import http.client
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask, abort
from sqlalchemy.orm import Session
from werkzeug.datastructures import Headers

from app import create_app
from commands.run import product_commands
from mail.safe_html import FRAME_CSP
from models import User, db
from tests.conftest import FRAGMENT, SignIn, settings_in
from tests.security.walk import NOT_THERE, Walk
from tests.waiting import until
from web.access import anyone
from web.csp import HSTS, OWN_FRAMES_CSP, PAGE_CSP

pytestmark = pytest.mark.security

DOWNLOAD_CSP = "default-src 'none'; sandbox"
# Answers that bring a policy of their own.
CSP = {
    "messages.body": [FRAME_CSP, OWN_FRAMES_CSP],
    "messages.part": [DOWNLOAD_CSP, OWN_FRAMES_CSP],
    "messages.source": [DOWNLOAD_CSP, OWN_FRAMES_CSP],
}
EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
# Whatever tells what runs here, or lets other sites read.
NOWHERE = {"Server", "X-Powered-By", "X-AspNet-Version", "Via", "Access-Control-Allow-Origin"}
STATIC = "/static/postroom.css"
CODES = (400, 403, 404, 405, 413, 422, 429, 500, 503)


def directives(policy: str) -> dict[str, list[str]]:
    found = [part.split() for part in policy.split(";")]
    return {name: sources for name, *sources in found}


def faults_of(headers: Headers, endpoint: str = "", *, stored: bool = False) -> list[str]:
    """What is missing in the headers of an answer, or too much."""
    referrer = "no-referrer" if endpoint == "messages.body" else "same-origin"
    wanted = {**EVERYWHERE, "Referrer-Policy": referrer}
    if not stored:
        wanted["Cache-Control"] = "no-store"
    found = [name for name, value in wanted.items() if headers.getlist(name) != [value]]
    if headers.getlist("Content-Security-Policy") != CSP.get(endpoint, [PAGE_CSP]):
        found.append("Content-Security-Policy")
    found += [name for name in NOWHERE if name in headers]
    if any("HttpOnly" not in cookie for cookie in headers.getlist("Set-Cookie")):
        found.append("Set-Cookie")
    return found


def test_the_policy_of_a_page_lets_nothing_in_from_elsewhere_and_nothing_inline() -> None:
    policy = directives(PAGE_CSP)
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == ["'self'"]
    assert "object-src" not in policy  # default-src holds
    sources = {source for given in policy.values() for source in given}
    assert sources == {"'none'", "'self'", "data:"}
    assert [name for name, given in policy.items() if "data:" in given] == ["img-src"]


def test_the_policy_of_a_message_lets_nothing_run() -> None:
    policy = directives(FRAME_CSP)
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert not {"script-src", "allow-scripts", "*"} & {*policy, *policy["sandbox"]}
    # Styles of a message are inline; nothing else may be.
    assert [name for name, given in policy.items() if "'unsafe-inline'" in given] == ["style-src"]


def test_every_route_answers_with_them(app: Flask, session: Session) -> None:
    walk, faults = Walk(app, session), {}
    for visit in walk.visits("GET"):
        client = walk.client(visit.who)
        stored = visit.endpoint == "static"
        for method in ("GET", "HEAD") if stored else ("GET", "HEAD", "OPTIONS"):
            for headers in ({}, FRAGMENT):
                with client.open(visit.path, method=method, headers=headers) as answer:
                    # What Flask itself says to OPTIONS is a page of ours like any other.
                    own = "" if method == "OPTIONS" or answer.status_code == 404 else visit.endpoint
                    found = faults_of(answer.headers, own, stored=stored)
                if found:
                    faults[f"{method} {visit}", bool(headers)] = found
    assert faults == {}


def test_every_change_answers_with_them_obeyed_or_refused(app: Flask, session: Session) -> None:
    walk, faults = Walk(app, session), {}
    for visit in walk.visits("POST"):
        for headers in ({}, FRAGMENT):
            for form in ({}, visit.form):
                client = walk.client(visit.who)
                found = faults_of(client.post(visit.path, data=form, headers=headers).headers)
                found += faults_of(app.test_client().post(visit.path, headers=headers).headers)
                if found:
                    faults[str(visit), bool(headers)] = found
    assert faults == {}


@pytest.fixture
def failing(app: Flask) -> Callable[[int], str]:
    """The address of a page that fails with that code; 500 by an error nobody expected."""

    def fail(code: int) -> str:
        if code == 500:
            raise ValueError("canary")
        abort(code)

    app.testing = False
    app.add_url_rule("/fail/<int:code>", "fail", anyone(fail))
    return "/fail/{}".format


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_every_error_answers_with_them_and_says_nothing_of_its_inside(
    app: Flask,
    bob: User,
    signed_in: SignIn,
    failing: Callable[[int], str],
    code: int,
    headers: dict[str, str],
) -> None:
    for client in (app.test_client(), signed_in(bob)):
        answer = client.get(failing(code), headers=headers)
        assert answer.status_code == code
        assert faults_of(answer.headers) == []
        for inside in ("canary", "Traceback", "ValueError", "Werkzeug", ".py"):
            assert inside not in answer.text


@pytest.mark.parametrize("path", ["/nowhere", "/static/nowhere.css", "/static/../app.py", "/%00"])
def test_what_does_not_exist_answers_with_them(bob: User, signed_in: SignIn, path: str) -> None:
    answer = signed_in(bob).get(path)
    assert answer.status_code == 404
    assert faults_of(answer.headers) == []


@pytest.fixture
def https_app(app: Flask, data_folder: Path) -> Iterator[Flask]:
    """The same house behind a proxy that speaks HTTPS."""
    application = create_app(replace(settings_in(data_folder), https=True))
    application.config["WTF_CSRF_ENABLED"] = False
    yield application
    with application.app_context():
        db.engine.dispose()


def test_over_https_a_browser_is_told_to_come_back_by_https_only(
    app: Flask, https_app: Flask, bob: User
) -> None:
    for path in ("/sign-in", "/nowhere", STATIC, "/healthz"):
        with https_app.test_client().get(path) as answer:
            assert answer.headers.getlist("Strict-Transport-Security") == [HSTS], path
        with app.test_client().get(path) as answer:
            assert "Strict-Transport-Security" not in answer.headers, path


def test_the_header_lasts_a_year_and_holds_below_too() -> None:
    assert "max-age=31536000" in HSTS
    assert "includeSubDomains" in HSTS


def test_the_server_itself_tells_no_version(app: Flask, data_folder: Path, bob: User) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with app.app_context():
        settings = replace(settings_in(data_folder), listen_port=port)
        arguments = product_commands(settings)["The web"].arguments
    environment = {**os.environ, "POSTROOM_DATA": str(data_folder)}
    with subprocess.Popen(arguments, env=environment) as process:
        try:
            until(lambda: answers(port))
            for path in ("/sign-in", "/nowhere", STATIC):
                headers = Headers(fetched(port, path))
                assert headers.pop("Server") == "gunicorn"
                assert faults_of(headers, stored=path == STATIC) == [], path
        finally:
            process.terminate()


def answers(port: int) -> bool:
    with closing(socket.socket()) as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def fetched(port: int, path: str) -> list[tuple[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path)
        return connection.getresponse().getheaders()


def test_a_route_that_is_not_there_is_named_with_its_reason(app: Flask) -> None:
    assert NOT_THERE.keys() <= app.view_functions.keys()
