"""Every route says who may call it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter, UUIDConverter

from models import User
from tests.conftest import FRAGMENT, SignIn
from web.access import Access, mark_of

pytestmark = pytest.mark.security

CHANGES = {"POST", "PUT", "PATCH", "DELETE"}

# Open to strangers, and why. Whatever lies under /administration is for administrators.
OPEN = {
    "auth.home": "leads on, to Mail or to Sign in",
    "auth.invitation": "whoever has a one-time link sets a password with it",
    "auth.set_up": "the first administrator comes in by a code from the console",
    "auth.sign_in": "nobody is signed in before",
    "health.healthz": "monitoring asks for the state of things, nothing of people",
    "static": "files that are the same for everybody",
    "tour.index": "there only while the demo runs",
}


def addresses(app: Flask) -> list[tuple[str, str, Access | None]]:
    """Each route's endpoint, an address of it, and its mark."""
    found = []
    for rule in app.url_map.iter_rules():
        values = {
            "uuid": "6f1e1c0e-0000-4000-8000-000000000000",
            "int": "999999",
            "default": "x",
        }
        address = str(rule.rule)
        for name, converter in rule._converters.items():
            kind = "default"
            if isinstance(converter, IntegerConverter):
                kind = "int"
            elif isinstance(converter, UUIDConverter):
                kind = "uuid"
            for written in (f"<int:{name}>", f"<uuid:{name}>", f"<path:{name}>", f"<{name}>"):
                address = address.replace(written, values[kind])
        found.append((rule.endpoint, address, mark_of(app, rule.endpoint)))
    return found


def test_every_route_is_marked_with_who_may_call_it(app: Flask) -> None:
    assert [endpoint for endpoint, _, mark in addresses(app) if mark is None] == []


def test_a_route_is_open_or_for_administrators_only_where_that_is_meant(app: Flask) -> None:
    marks = {endpoint: (address, mark) for endpoint, address, mark in addresses(app)}
    assert {one for one, (_, mark) in marks.items() if mark is Access.ANYONE} == OPEN.keys()
    for endpoint, (address, mark) in marks.items():
        administers = address.startswith("/administration/")
        assert (mark is Access.ADMINISTRATOR) == administers, endpoint


def test_a_route_without_a_mark_lets_nobody_in(app: Flask, alice: User, signed_in: SignIn) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    assert signed_in(alice).get("/forgotten").status_code == 403


def test_a_stranger_is_sent_to_sign_in_from_every_route_that_is_not_open(
    app: Flask, client: FlaskClient, alice: User
) -> None:
    for endpoint, address, mark in addresses(app):
        if mark is Access.ANYONE:
            continue
        methods = _methods(app, endpoint)
        for method in methods:
            answer = client.open(address, method=method)
            assert answer.status_code == 303, (endpoint, method)
            assert answer.location.startswith("/sign-in"), endpoint
            answer = client.open(address, method=method, headers=FRAGMENT)
            assert answer.status_code == 401, (endpoint, method)
            assert answer.headers["HX-Redirect"].startswith("/sign-in"), endpoint


def test_an_employee_finds_no_administration_page(
    app: Flask, alice: User, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    for endpoint, address, mark in addresses(app):
        if mark is Access.ADMINISTRATOR:
            for method in _methods(app, endpoint):
                for headers in ({}, FRAGMENT):
                    answer = client.open(address, method=method, headers=headers)
                    assert answer.status_code == 404, (endpoint, method)


def _methods(app: Flask, endpoint: str) -> list[str]:
    found: set[str] = set()
    for rule in app.url_map.iter_rules(endpoint):
        found |= rule.methods or set()
    return sorted(found & (CHANGES | {"GET", "HEAD", "OPTIONS"}))
