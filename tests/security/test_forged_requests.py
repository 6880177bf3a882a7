"""A request that another site, or another person's page, makes somebody send changes nothing."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from models import User
from tests.architecture.test_access_matrix import CHANGES
from tests.conftest import FRAGMENT, SignIn
from tests.mailroom import dump
from tests.security.walk import NOT_THERE, Visit, Walk

pytestmark = pytest.mark.security

HTTPS = "https://localhost"
EVIL = "https://evil.example"


@dataclass(frozen=True)
class Sent:
    """What goes with a form: its token, the headers a browser adds, and where it is sent."""

    token: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    to: str = "http://localhost"


def token_of(client: FlaskClient, page: str = "/sign-in") -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page).text)
    assert found is not None, page
    return found[1]


def forgeries(own: str, somebody_elses: str) -> Iterator[tuple[str, Sent]]:
    yield "no token", Sent()
    yield "no token, as htmx", Sent(headers=FRAGMENT)
    yield "somebody else's token", Sent(somebody_elses)
    yield "somebody else's token in the header", Sent(headers={"X-CSRFToken": somebody_elses})
    yield "half a token", Sent(own[:-1])
    yield "another site", Sent(own, {"Origin": EVIL})
    yield "another site, as htmx", Sent(own, {"Origin": EVIL, **FRAGMENT})
    yield "a site that hides its name", Sent(own, {"Origin": "null"})
    yield "another port", Sent(own, {"Origin": "http://localhost:8080"})
    yield "a name that begins like ours", Sent(own, {"Origin": "http://localhost.evil.example"})
    yield "half an address", Sent(own, {"Origin": "http://["})
    yield "another site, as its browser says", Sent(own, {"Sec-Fetch-Site": "cross-site"})
    yield "a neighbour, as its browser says", Sent(own, {"Sec-Fetch-Site": "same-site"})
    yield "HTTPS from nowhere", Sent(own, to=HTTPS)
    yield "HTTPS from another site", Sent(own, {"Referer": f"{EVIL}/{HTTPS}/"}, HTTPS)
    yield "HTTPS from a page without", Sent(own, {"Referer": "http://localhost/"}, HTTPS)


def send(client: FlaskClient, visit: Visit, sent: Sent) -> int:
    data = {**visit.form, **({"csrf_token": sent.token} if sent.token else {})}
    answer = client.open(
        visit.path, method=visit.method, data=data, headers=dict(sent.headers), base_url=sent.to
    )
    return answer.status_code


def test_no_route_that_changes_something_obeys_a_forged_request(
    app: Flask, session: Session
) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    walk, walked = Walk(app, session), 0
    for visit in walk.visits(*CHANGES):
        client = walk.client(visit.who)
        page = {"auth.set_up": "/set-up"}.get(visit.endpoint, "/sign-in")
        own, somebody_elses = token_of(client, page), token_of(app.test_client(), page)
        before = dump(session)
        for name, sent in forgeries(own, somebody_elses):
            assert send(client, visit, sent) in {400, 403}, (str(visit), name)
            assert dump(session) == before, (str(visit), name)
        # And nothing else was wrong with them.
        assert send(client, visit, Sent(own)) < 400, f"{visit}: say in TYPED what its form needs"
        assert dump(session) != before, f"{visit} changed nothing: say in TYPED what its form needs"
        walked += 1
    assert walked > 30


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {**FRAGMENT, "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {},
    ],
)
def test_a_form_of_ours_is_obeyed(
    app: Flask, bob: User, signed_in: SignIn, headers: dict[str, str]
) -> None:
    client = signed_in(bob)
    app.config["WTF_CSRF_ENABLED"] = True
    visit = Visit("profile.set_preferences", "POST", "/profile/preferences")
    visit.form.update(language="RU", theme="DARK")
    assert send(client, visit, Sent(token_of(client), headers)) in {204, 303}
    in_header = {**headers, "X-CSRFToken": token_of(client)}
    assert send(client, visit, Sent(headers=in_header)) in {204, 303}
    over_https = {**headers, "Origin": HTTPS, "Referer": f"{HTTPS}/profile/"}
    assert send(client, visit, Sent(token_of(client), over_https, HTTPS)) in {204, 303}


def test_looking_at_a_page_changes_no_row(app: Flask, session: Session) -> None:
    """Not even when a session was last seen, which only a POST writes: there is no exception."""
    walk = Walk(app, session)
    for visit in walk.visits("GET"):
        client = walk.client(visit.who)
        before = dump(session)
        for method in ("GET", "HEAD"):
            for headers in ({}, FRAGMENT, {"X-HTTP-Method-Override": "POST"}):
                with client.open(visit.path, method=method, headers=dict(headers)) as answer:
                    found = answer.status_code < 400
                assert found or visit.endpoint in NOT_THERE, (str(visit), answer.status_code)
                assert dump(session) == before, (str(visit), method, headers)


def test_a_method_that_a_route_does_not_take_does_nothing(app: Flask, session: Session) -> None:
    walk = Walk(app, session)
    every = {*CHANGES, "GET", "TRACE", "CONNECT", "PURGE"}
    for visit in walk.visits("GET", "POST"):
        client, before = walk.client(visit.who), dump(session)
        taken = {
            method
            for rule in app.url_map.iter_rules(visit.endpoint)
            for method in rule.methods or ()
        }
        for method in sorted(every - taken):
            asked = {"_method": "POST", **visit.form}
            assert client.open(visit.path, method=method, data=asked).status_code == 405, str(visit)
        assert dump(session) == before, str(visit)
