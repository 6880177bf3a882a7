"""axe finds nothing where something went wrong, in either theme, wide or narrow."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask, abort
from playwright.sync_api import Browser, Page, Response, expect

from app import create_app
from domain import sessions
from models import Role, db
from scripts.screenshots import page_in
from tests.browser.axe import OPTIONS, WIDEST, violations_in_both_themes
from tests.browser.served import come_in, served
from tests.conftest import add, settings_in
from tests.mailroom import mailbox_of
from tests.web.test_errors import CODES
from web.access import anyone

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("axe")]

WORKER_STOPPED = "Postroom's worker does not run"


@dataclass(frozen=True)
class House:
    """Served once for all tests: what one of them breaks in it, that one mends."""

    app: Flask
    database: Path
    address: str

    def forget_connections(self) -> None:
        with self.app.app_context():
            db.engine.dispose()


@dataclass(frozen=True)
class Window:
    """Somebody's window to the house, opened once too."""

    house: House
    page: Page

    def look(self, path: str) -> Response:
        self.page.set_viewport_size(WIDEST)
        answer = self.page.goto(path)
        assert answer is not None
        return answer

    def press(self, name: str) -> Response:
        with self.page.expect_navigation() as answered:
            self.page.get_by_role("button", name=name, exact=True).click()
        return answered.value

    def shows(self, answer: Response, status: int, heading: str) -> None:
        """It is that page, and axe finds nothing on it."""
        assert answer.status == status
        expect(self.page.locator("h1")).to_have_text(heading)
        assert violations_in_both_themes(self.page) == []


@pytest.fixture(scope="module")
def house(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    database = folder / "postroom.sqlite"
    shutil.copy(empty_database, database)
    app = create_app(replace(settings_in(folder), testing=False))
    app.add_url_rule("/fail/<int:code>", "fail", anyone(abort))
    app.add_url_rule("/broken", "broken", anyone(break_down))
    app.add_url_rule("/forgotten", "forgotten", lambda: "nobody said who may see this")
    with app.app_context():
        mailbox_of(db.session(), add(db.session(), "Bob", Role.EMPLOYEE))
        db.session.commit()
    with served(app) as address:
        opened = House(app, database, address)
        yield opened
    opened.forget_connections()


@pytest.fixture(scope="module")
def strangers_window(house: House, browser: Browser) -> Iterator[Window]:
    with page_in(browser, house.address, **OPTIONS) as page:
        yield Window(house, page)


@pytest.fixture(scope="module")
def bobs_window(house: House, browser: Browser) -> Iterator[Window]:
    with page_in(browser, house.address, **OPTIONS) as page:
        come_in(page, "bob")
        yield Window(house, page)


def break_down() -> str:
    raise RuntimeError("nobody expected this")


@contextmanager
def written_to_by_another(house: House) -> Iterator[None]:
    """Another program holds the database; the web is less patient than usual, for as long."""
    with (
        pytest.MonkeyPatch.context() as patch,
        closing(sqlite3.connect(house.database, isolation_level=None)) as writer,
    ):
        patch.setattr("models.base.BUSY_TIMEOUT_MS", 50)
        house.forget_connections()
        writer.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            house.forget_connections()


@contextmanager
def of_another_version(house: House) -> Iterator[None]:
    """An operator has put in a database that a newer version has changed already."""
    house.app.extensions.pop("postroom_schema_fits")  # what fitted once is not looked at again
    with closing(sqlite3.connect(house.database, isolation_level=None)) as operator:
        (present,) = operator.execute("SELECT version_num FROM alembic_version").fetchone()
        operator.execute("UPDATE alembic_version SET version_num = 'newer'")
        try:
            yield
        finally:
            operator.execute("UPDATE alembic_version SET version_num = ?", (present,))


@pytest.mark.parametrize("code", CODES)
def test_axe_finds_nothing_on_the_page_of_any_error(strangers_window: Window, code: int) -> None:
    strangers_window.shows(strangers_window.look(f"/fail/{code}"), code, CODES[code])


def test_axe_finds_nothing_when_a_form_belongs_to_a_session_that_is_over(
    strangers_window: Window,
) -> None:
    page = strangers_window.page
    strangers_window.look("/sign-in")
    page.context.clear_cookies()
    page.fill("#login", "bob")
    page.fill("#password", "not this one")
    strangers_window.shows(strangers_window.press("Sign in"), 400, "This form is no longer valid")


def test_axe_finds_nothing_when_bob_may_not_see_a_page(bobs_window: Window) -> None:
    bobs_window.shows(bobs_window.look("/forgotten"), 403, "This is not allowed")


def test_axe_finds_nothing_when_bob_looks_for_a_message_that_is_gone(bobs_window: Window) -> None:
    answer = bobs_window.look("/mail/messages/999999")
    bobs_window.shows(answer, 404, "This page does not exist")


def test_axe_finds_nothing_when_bob_types_the_address_of_a_button(bobs_window: Window) -> None:
    bobs_window.shows(bobs_window.look("/sign-out"), 405, "This is not allowed")


def test_axe_finds_nothing_when_bob_writes_more_than_a_request_may_hold(
    bobs_window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bobs_window.house.app.config, "MAX_CONTENT_LENGTH", 1000)
    bobs_window.look("/mail/new")
    bobs_window.page.fill("#text", "x" * 2000)
    bobs_window.shows(bobs_window.press("Send"), 413, "This is too large")


def test_axe_finds_nothing_when_somebody_guesses_passwords(strangers_window: Window) -> None:
    with strangers_window.house.app.app_context():
        for _ in range(sessions.TRIES_PER_LOGIN):
            now = datetime.now(UTC)
            sessions.note_failure(db.session(), login="mallory", address="192.0.2.1", now=now)
        db.session.commit()
    strangers_window.look("/sign-in")
    strangers_window.page.fill("#login", "mallory")
    strangers_window.page.fill("#password", "secret")
    strangers_window.shows(strangers_window.press("Sign in"), 429, "Sign in")


def test_axe_finds_nothing_when_something_happens_that_nobody_expected(bobs_window: Window) -> None:
    bobs_window.shows(bobs_window.look("/broken"), 500, "Something went wrong here")


def test_axe_finds_nothing_while_the_database_is_busy(bobs_window: Window) -> None:
    bobs_window.look("/profile/")
    with written_to_by_another(bobs_window.house):
        bobs_window.shows(bobs_window.press("Save"), 503, "The database is busy")


def test_axe_finds_nothing_while_the_database_is_of_another_version(bobs_window: Window) -> None:
    bobs_window.look("/profile/")
    with of_another_version(bobs_window.house):
        bobs_window.shows(bobs_window.look("/profile/"), 503, "Postroom is being updated")


def test_axe_finds_nothing_while_no_worker_receives_mail(bobs_window: Window) -> None:
    answer = bobs_window.look("/mail/")
    expect(bobs_window.page.get_by_text(WORKER_STOPPED)).to_be_visible()
    bobs_window.shows(answer, 200, "Inbox")


def test_axe_finds_nothing_while_no_worker_tries_a_mailbox(bobs_window: Window) -> None:
    page = bobs_window.page
    bobs_window.look("/profile/mail/connect")
    page.fill("#address", "office@firm.test")
    page.select_option("#service", label="Firm mail")
    page.fill("#password", "secret")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#steps")).to_contain_text("Name found")
    expect(page.get_by_text(WORKER_STOPPED)).to_be_visible()
    assert violations_in_both_themes(page) == []
