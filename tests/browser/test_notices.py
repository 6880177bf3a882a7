"""A password changed at the server, as its owner's hands meet it; in both languages, on a real
Dovecot and a real Postfix.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from flask import Flask
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy.orm import Session

from domain.secrets import KeyRing
from jobs.context import Job
from jobs.sync import sync_mailbox
from jobs.worker import Worker
from models import Mailbox, MailboxState, User
from models.source_store import SourceStore
from scripts.screenshots import page_in
from tests.browser.axe import OPTIONS, violations_in_both_themes
from tests.browser.served import come_in, served
from tests.jobs.administering import add, connected, letter, now_is, subjects
from tests.jobs.conftest import job, ring
from tests.jobs.office import settings_of
from tests.mailroom import inbox_of, mailbox_of
from tests.servers.mail_system import PASSWORD, MailSystem
from tests.waiting import until

__all__ = ["job", "ring"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.dovecot,
    pytest.mark.postfix,
    pytest.mark.xdist_group("servers"),
]

NEW_PASSWORD = "another-mail-secret"
POLL_MILLISECONDS = 2000  # POLL_VISIBLE in static/app.js


@dataclass(frozen=True)
class Words:
    locale: str
    refused: str
    password: str
    save: str
    trying: str
    failed: str
    empty: str


ENGLISH = Words(
    locale="en-GB",
    refused="refuses the login or the password of bob@firm.test.",
    password="Password of bob@firm.test",
    save="Save password",
    trying="Trying the password…",
    failed="refused login or password. Type them again.",
    empty="Type the password of the mailbox.",
)
RUSSIAN = Words(
    locale="ru-RU",
    refused="не принимает логин или пароль ящика bob@firm.test.",
    password="Пароль от bob@firm.test",
    save="Сохранить пароль",
    trying="Проверяем пароль…",
    failed="не принял логин или пароль",
    empty="Введите пароль",
)


@pytest.fixture
def worker(
    app: Flask, job: Job, ring: KeyRing, bob: User, firm: MailSystem
) -> Iterator[tuple[Worker, Job, Mailbox]]:
    """Runs beside a web that has its keys and its messages; Bob's mailbox works."""
    app.extensions["postroom_keys"] = replace(app.extensions["postroom_keys"], ring=ring)
    store: SourceStore = app.extensions["postroom_store"]
    job = replace(job, store=store)
    box = connected(job, bob, add(job, settings_of(firm)))
    assert sync_mailbox(job, box.id)
    started = Worker(job)
    started.start()
    yield started, job, box
    started.stop()


def visit_is_due(job: Job, box: Mailbox) -> None:
    """What IDLE is not told of would be found within a minute."""
    with job.step() as session:
        session.get_one(Mailbox, box.id).next_contact_at = job.clock()


def notice_in(page: Page, box: Mailbox) -> Locator:
    return page.locator(f"#notice-mailbox-{box.id}")


@pytest.mark.parametrize("words", [ENGLISH, RUSSIAN], ids=["english", "russian"])
def test_a_password_that_was_changed_is_typed_in_the_notice_and_the_notice_goes(
    app: Flask,
    browser: Browser,
    firm: MailSystem,
    worker: tuple[Worker, Job, Mailbox],
    words: Words,
) -> None:
    _, job, box = worker
    options = {**OPTIONS, "locale": words.locale}
    with served(app) as address, page_in(browser, address, **options) as page:
        come_in(page, "bob")
        expect(page.locator(".notice")).to_have_count(0)
        page.evaluate("window.neverReloaded = true")

        firm.set_passwords({"bob": NEW_PASSWORD, "carol": PASSWORD})
        visit_is_due(job, box)
        notice = notice_in(page, box)
        expect(notice).to_contain_text(words.refused, timeout=20_000)
        assert violations_in_both_themes(page) == []

        field = notice.get_by_label(words.password)
        button = notice.get_by_role("button")
        expect(button).to_have_text(words.save)
        button.click()
        expect(notice).to_contain_text(words.empty)
        expect(field).to_be_focused()
        field.press_sequentially("wrong")
        field.press("Enter")
        expect(notice).to_contain_text(words.trying)
        expect(notice).to_contain_text(words.failed, timeout=20_000)
        expect(field).to_have_value("")
        assert violations_in_both_themes(page) == []

        field.fill(NEW_PASSWORD)
        button.click()
        expect(page.locator(".notice")).to_have_count(0, timeout=20_000)
        until(lambda: now_is(job, box).state is MailboxState.WORKING)
        firm.deliver("bob", letter("With the new password"))
        expect(page.get_by_role("link", name=re.compile("With the new password"))).to_be_visible(
            timeout=20_000
        )
        assert page.evaluate("window.neverReloaded")
        assert NEW_PASSWORD not in page.content()
        assert subjects(job, box) == ["With the new password"]


def test_what_is_half_typed_and_the_focus_outlast_what_the_page_is_told_meanwhile(
    app: Flask, browser: Browser, session: Session, bob: User
) -> None:
    """Each poll brings something new, notices come before this one and go, and mail arrives."""
    other = mailbox_of(session, bob, "sales@firm.test")
    box = mailbox_of(session, bob)
    box.state = MailboxState.LOGIN_REFUSED
    session.commit()
    with served(app) as address, page_in(browser, address, **OPTIONS) as page:
        come_in(page, "bob")
        page.goto(f"/mail/folders/{inbox_of(session, box).id}")
        field = notice_in(page, box).locator("input[type=password]")
        field.click()
        node = field.element_handle()
        states = [
            MailboxState.OVER_QUOTA,
            MailboxState.WORKING,
            MailboxState.LOGIN_REFUSED,
            MailboxState.WORKING,
        ]
        typed = ""
        for state in states:
            other.state = state
            other.version += 1
            box.version += 1
            session.commit()
            with page.expect_response(re.compile("/mail/changes.*")) as told:
                typed += "half"
                page.keyboard.type("half", delay=POLL_MILLISECONDS / 8)
            assert told.value.status in {200, 204}
            shown = 0 if state is MailboxState.WORKING else 1
            expect(notice_in(page, other)).to_have_count(shown, timeout=10_000)
            expect(field).to_have_value(typed)
            expect(field).to_be_focused()
            assert node.evaluate("one => one.isConnected")


def test_try_now_is_pressed_and_the_notice_stays_until_it_helped(
    app: Flask, browser: Browser, session: Session, bob: User
) -> None:
    box = mailbox_of(session, bob)
    box.state = MailboxState.UNREACHABLE
    session.commit()
    with served(app) as address, page_in(browser, address, **OPTIONS) as page:
        come_in(page, "bob")
        notice_in(page, box).get_by_role("button", name="Try now").click()
        expect(page.locator("#toasts")).to_contain_text("bob@firm.test is being tried.")
        expect(notice_in(page, box)).to_have_count(1)
        box.state = MailboxState.WORKING
        box.version += 1
        session.commit()
        expect(notice_in(page, box)).to_have_count(0, timeout=10_000)


def test_the_mark_at_mail_is_seen_and_read(
    app: Flask, browser: Browser, session: Session, bob: User
) -> None:
    for state in (MailboxState.LOGIN_REFUSED, MailboxState.MOVED, MailboxState.OVER_QUOTA):
        box = mailbox_of(session, bob, f"{state.value}@firm.test")
        box.state, box.agreed_domains = state, ["old.test"]
    session.commit()
    with served(app) as address, page_in(browser, address, **OPTIONS) as page:
        come_in(page, "bob")
        page.goto("/profile/")
        link = page.get_by_role("link", name=re.compile("3 mailboxes need you"))
        expect(link).to_be_visible()
        expect(page.locator(".notice")).to_have_count(0)
        assert violations_in_both_themes(page) == []
        link.click()
        expect(page.locator(".notice")).to_have_count(3)
        assert violations_in_both_themes(page) == []
