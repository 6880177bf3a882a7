"""axe finds nothing on the page of any route, in either theme, wide or narrow."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import groupby

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page
from sqlalchemy import delete
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from domain import people
from models import Folder, MailboxState, Role, User
from scripts.screenshots import page_in
from settings import Settings
from tests.architecture import test_access_matrix as matrix
from tests.architecture.test_access_matrix import House, Value
from tests.browser.axe import OPTIONS, THEMES, WIDTHS, violations_in_both_themes
from tests.browser.served import come_in, served
from tests.conftest import SignIn, add, author
from tests.mailroom import PNG, Attachment, arrive, inbox_of, letter, mailbox_of
from web.access import Access, anyone, mark_of

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("axe")]

# Routes that show no page, and why. Every other one is gone to by itself, a new one too.
NO_PAGE = {
    "static": "files",
    "auth.home": "leads on, to Mail or to Sign in",
    "health.healthz": "JSON, for monitoring",
    "changelog.download": "a download",
    "messages.newer": "fragments, for an open page that polls",
    "messages.part": "a picture or a download",
    "messages.source": "a download",
    "profile.removing": "fragments, for the list that waits",
    "profile.watch_search": "fragments, for the form that searches",
    "services.watch_search": "fragments, for the window that searches",
    "services.watch_test": "fragments, for the window that tests",
}
# The text of a message stands in a frame; the page around it has title, heading and landmarks.
RULES_FOR_WHOLE_PAGES = {
    "messages.body": ("document-title", "landmark-one-main", "page-has-heading-one", "region")
}
NOBODY = ""
WHO_MAY = {Access.ANYONE: NOBODY, Access.SIGNED_IN: "bob", Access.ADMINISTRATOR: "alice"}
WRITTEN = "At noon?\n\n> Lunch, see https://firm.test/menu\n> > or dinner\n\n-- \nCarol\n"
HTML = '<h2>Menu</h2><p>Soup and <a href="https://firm.test/menu">all the rest</a>.</p>'
DEMO = {
    "people": [
        {"name": "Alice", "login": "alice", "password": "secret", "administrator": True},
        {"name": "Bob", "login": "bob", "password": "secret", "administrator": False},
    ],
    "mailbox": {"address": "office@firm.test", "password": "secret", "service": "Firm mail"},
}
# A button without a name, and a line that cannot be read in the dark.
NEW_PAGE = """<!doctype html><html lang="en"><title>New</title>
<style>@media (prefers-color-scheme: dark) { p { color: #333; background: #222 } }</style>
<main><h1>New</h1><button></button><p>Pale</p></main></html>"""


@dataclass(frozen=True)
class Visit:
    """The page of a route, and the login of who opens it."""

    rule: Rule
    path: str
    who: str

    def missed(self, why: str) -> str:
        return (
            f"axe does not see {self.rule.endpoint} ({self.rule}): {why}. Let visits() lead to its "
            "page, or say in NO_PAGE why it has none."
        )


def message(house: House, *, html: str = "") -> int:
    raw = letter(body=WRITTEN, html=html, attachments=[Attachment(PNG, "image/png", "menu.png")])
    inbox = inbox_of(house.session, house.mailbox)
    # Seen: an open page marks it as read otherwise, and changes while axe looks at it.
    return arrive(house.app, house.session, inbox, raw, seen=True).id


def mailbox_on_its_way(house: House) -> int:
    """One whose folders are not known yet: of another one, the route leads on to the inbox."""
    mailbox = mailbox_of(house.session, house.owner, f"{uuid.uuid4().hex}@firm.test")
    mailbox.state = MailboxState.CONNECTING
    house.session.execute(delete(Folder).where(Folder.mailbox_id == mailbox.id))
    house.session.commit()
    return mailbox.id


def invitation(house: House) -> str:
    return people.new_link(house.session, house.owner, author())


ROWS: dict[str, Callable[[House], Value]] = {
    **matrix.ROWS,
    "mailbox_id": mailbox_on_its_way,
    "message_id": message,
    "token": invitation,
    "filename": lambda _: "postroom.css",
}


def routes(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]


def pages(app: Flask) -> list[Rule]:
    return [rule for rule in routes(app) if rule.endpoint not in NO_PAGE]


def visit_of(house: House, rule: Rule) -> Visit:
    """An address of the route, made of rows that are there, for somebody who may see them."""
    nameless = sorted(rule.arguments - ROWS.keys())
    assert not nameless, Visit(rule, "", NOBODY).missed(f"ROWS has no row for {nameless}")
    values: dict[str, Value] = {name: ROWS[name](house) for name in sorted(rule.arguments)}
    values |= matrix.ASKED.get(rule.endpoint, {})
    path = house.app.url_map.bind("localhost").build(rule.endpoint, values)
    mark = mark_of(house.app, rule.endpoint)
    return Visit(rule, path, NOBODY if mark is None else WHO_MAY[mark])


def visits(app: Flask, session: Session) -> Iterator[Visit]:
    """Each page at a moment when it is there: some are only for as long as something is missing."""
    left = {rule.rule: rule for rule in pages(app)}
    yield Visit(left.pop("/set-up"), "/set-up", NOBODY)
    with demo_of(app):
        yield Visit(left.pop("/demo"), "/demo", NOBODY)
    add(session, "Alice", Role.ADMINISTRATOR)
    house = House(app, session, add(session, "Bob", Role.EMPLOYEE))
    add(session, "Carol", Role.EMPLOYEE)
    yield Visit(left.pop("/mail/"), "/mail/", "carol")  # she has no inbox to be led to
    of_html = f"/mail/messages/{message(house, html=HTML)}/body"
    yield Visit(left["/mail/messages/<int:message_id>/body"], of_html, "bob")
    ordinary = [visit_of(house, rule) for rule in left.values()]
    yield from sorted(ordinary, key=lambda visit: visit.who)


@contextmanager
def demo_of(app: Flask) -> Iterator[None]:
    settings: Settings = app.extensions["postroom_settings"]
    shown = settings.data_folder / "people.json"
    shown.write_text(json.dumps(DEMO), encoding="utf-8")
    app.extensions["postroom_settings"] = replace(settings, demo_people=shown)
    try:
        yield
    finally:
        app.extensions["postroom_settings"] = settings


def faults_of(page: Page, visit: Visit) -> list[str]:
    answer = page.request.get(visit.path, max_redirects=0)
    if answer.status != HTTPStatus.OK or not is_page(answer.body()):
        return [visit.missed(f"{visit.path} answers {answer.status} and shows no page")]
    page.goto(visit.path)
    found = violations_in_both_themes(page, but=RULES_FOR_WHOLE_PAGES.get(visit.rule.endpoint, ()))
    return [f"{visit.rule.endpoint}: {fault}" for fault in found]


def is_page(body: bytes) -> bool:
    return b"<html" in body


def test_axe_finds_nothing_on_the_page_of_any_route(
    app: Flask, session: Session, browser: Browser
) -> None:
    seen, faults = set(), []
    with served(app) as address, page_in(browser, address, **OPTIONS) as page:
        for who, of_one in groupby(visits(app, session), key=lambda visit: visit.who):
            come_in(page, who)
            for visit in of_one:
                seen.add(visit.rule.rule)
                faults += faults_of(page, visit)
    unseen = [rule for rule in pages(app) if rule.rule not in seen]
    assert faults == []
    assert [Visit(rule, "", NOBODY).missed("nobody goes there") for rule in unseen] == []


def test_what_axe_does_not_see_shows_no_page(
    app: Flask, session: Session, bob: User, signed_in: SignIn
) -> None:
    client, house = signed_in(bob), House(app, session, bob)
    without = [rule for rule in routes(app) if rule.endpoint in NO_PAGE]
    assert {rule.endpoint for rule in without} == NO_PAGE.keys()
    # A mailbox without folders, as some routes want it, would be the newest for the others.
    for rule in sorted(without, key=lambda rule: "mailbox_id" in rule.arguments):
        with client.get(visit_of(house, rule).path) as answer:
            assert answer.status_code != HTTPStatus.OK or not is_page(answer.data), rule.endpoint


def test_axe_goes_to_a_new_page_and_finds_what_is_wrong_in_either_theme(
    app: Flask, session: Session, bob: User, browser: Browser
) -> None:
    app.add_url_rule("/new", "new", anyone(lambda: NEW_PAGE))
    (rule,) = (rule for rule in pages(app) if rule.endpoint == "new")
    with served(app) as address, page_in(browser, address, **OPTIONS) as page:
        faults = faults_of(page, visit_of(House(app, session, bob), rule))
    nameless = [fault.partition(" at ")[0] for fault in faults if "button-name" in fault]
    assert nameless == [
        f"new: {theme}, {width} px: button-name" for theme in THEMES for width in WIDTHS
    ]
    pale = {fault.partition(",")[0] for fault in faults if "color-contrast" in fault}
    assert pale == {"new: dark"}


def test_a_new_route_without_a_page_has_to_be_named(
    app: Flask, session: Session, bob: User, browser: Browser
) -> None:
    app.add_url_rule("/numbers", "numbers", anyone(lambda: {"one": 1}))
    app.add_url_rule("/things/<thing>", "thing", anyone(lambda thing: thing))
    house = House(app, session, bob)
    new = {rule.endpoint: rule for rule in pages(app) if rule.endpoint in ("numbers", "thing")}
    with served(app) as address, page_in(browser, address, **OPTIONS) as page:
        (fault,) = faults_of(page, visit_of(house, new["numbers"]))
    assert fault.startswith(
        "axe does not see numbers (/numbers): /numbers answers 200 and shows no"
    )
    with pytest.raises(AssertionError, match=r"axe does not see thing .*no row for \['thing'\]"):
        visit_of(house, new["thing"])
