"""Every route says who may call it."""

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter, UUIDConverter

from models import User
from tests.conftest import SignIn
from web.access import Access, mark_of

CHANGES = {"POST", "PUT", "PATCH", "DELETE"}


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


def test_an_employee_finds_no_administration_page(
    app: Flask, alice: User, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    for endpoint, address, mark in addresses(app):
        if mark is Access.ADMINISTRATOR:
            for method in _methods(app, endpoint):
                assert client.open(address, method=method).status_code == 404, endpoint


def test_nothing_is_changed_by_a_get(app: Flask) -> None:
    """A route that takes a POST only is a verb; one that takes both shows its form by GET."""
    verbs = {"seen", "unseen", "sign_out", "end_session", "send_again", "discard", "new_link"}
    for rule in app.url_map.iter_rules():
        name = rule.endpoint.rpartition(".")[2]
        if name in verbs:
            assert "GET" not in (rule.methods or set()), rule.endpoint


def _methods(app: Flask, endpoint: str) -> list[str]:
    found: set[str] = set()
    for rule in app.url_map.iter_rules(endpoint):
        found |= rule.methods or set()
    return sorted(found & (CHANGES | {"GET"}))
