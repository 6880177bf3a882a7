"""*Connect mail* and *Disconnect* as a person's hands meet them; in both languages, on a real
Dovecot and a real Postfix.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import monotonic

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.secrets import KeyRing
from jobs.context import Job
from jobs.worker import Worker
from models import Mailbox, User
from models.source_store import SourceStore
from scripts.screenshots import page_in
from tests.browser.axe import OPTIONS, violations_in_both_themes
from tests.browser.served import come_in, served
from tests.jobs.administering import add
from tests.jobs.conftest import job, ring
from tests.jobs.office import settings_of
from tests.servers.mail_system import PASSWORD, MailSystem
from tests.waiting import until

__all__ = ["job", "ring"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.dovecot,
    pytest.mark.postfix,
    pytest.mark.xdist_group("servers"),
]

MESSAGES = 1000
# Two on a quiet machine; in a whole run others are at work beside it.
FIRST_PAGE_SECONDS = 10.0


@dataclass(frozen=True)
class Words:
    locale: str
    password: str
    save: str
    check: str
    refused: str
    kept: str
    let_in: str
    report: str
    copied: str
    disconnect: str
    received: str
    delete: str


ENGLISH = Words(
    locale="en-GB",
    password="Password",
    save="Save",
    check="Test connection",
    refused="refused login or password",
    kept="All that you typed is still here.",
    let_in="Both servers let this login in.",
    report="Copy report for the administrator",
    copied="Copied",
    disconnect="Disconnect",
    received="messages received here",
    delete="Delete them",
)
RUSSIAN = Words(
    locale="ru-RU",
    password="Пароль",
    save="Сохранить",
    check="Проверить соединение",
    refused="не принял логин или пароль",
    kept="Всё, что вы ввели, осталось.",
    let_in="Оба сервера",
    report="Скопировать отчёт для администратора",
    copied="Скопировано",
    disconnect="Отключить",
    received="писем получено здесь",
    delete="Удалить",
)


@pytest.fixture
def worker(app: Flask, job: Job, ring: KeyRing, bob: User, firm: MailSystem) -> Iterator[Job]:
    """Runs beside a web that has its keys and its messages; Bob has a full mailbox to connect."""
    app.extensions["postroom_keys"] = replace(app.extensions["postroom_keys"], ring=ring)
    store: SourceStore = app.extensions["postroom_store"]
    job = replace(job, store=store)
    add(job, replace(settings_of(firm), domains=("firm.test",)))
    started = Worker(job)
    started.start()
    yield job
    started.stop()


def letters(count: int) -> list[bytes]:
    head = b"From: carol@firm.test\r\nTo: bob@firm.test\r\nSubject: Number "
    return [head + b"%d\r\n\r\nLunch?\r\n" % number for number in range(count)]


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def password(page: Page, words: Words) -> str:
    return page.get_by_label(words.password).input_value()


@pytest.mark.parametrize("words", [ENGLISH, RUSSIAN], ids=["english", "russian"])
def test_a_mailbox_is_tested_connected_corrected_and_given_up_on_one_page_each(
    app: Flask, browser: Browser, firm: MailSystem, worker: Job, words: Words
) -> None:
    firm.deliver("bob", *letters(MESSAGES))
    options = {**OPTIONS, "locale": words.locale}
    with served(app) as address, page_in(browser, address, **options) as page:
        come_in(page, "bob")
        page.goto("/profile/mail/connect")
        page.evaluate("window.neverReloaded = true")

        # The address chooses the service and fills in the login; a wrong password is told, and
        # nothing that was typed is gone.
        page.get_by_label("E-mail").fill("bob@firm.test")
        expect(page.locator("#service option:checked")).to_have_text("Firm mail")
        expect(page.locator("#login")).to_have_value("bob@firm.test")
        expect(page.locator("#smtp_login")).to_be_hidden()
        page.locator("#login").fill("bob")
        page.get_by_label(words.password).fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text(words.refused, timeout=20_000)
        expect(page.get_by_role("alert")).to_contain_text(words.kept)
        assert password(page, words) == "wrong"
        assert page.locator("#login").input_value() == "bob"
        button(page, words.report)
        expect(page.get_by_role("button", name=words.copied, exact=True)).to_be_visible()
        assert "imap.firm.test" in page.locator("#report").input_value()
        assert violations_in_both_themes(page) == []

        # What is refused comes back without the password, which need not be typed again.
        page.get_by_label(words.password).fill(PASSWORD)
        page.get_by_label("E-mail").fill("bob")
        button(page, words.check)
        expect(page.locator("#address-error")).to_be_visible()
        assert PASSWORD not in page.content()
        page.get_by_label("E-mail").fill("bob@firm.test")
        button(page, words.check)
        expect(page.locator("#steps")).to_contain_text(words.let_in, timeout=20_000)
        assert page.evaluate("window.neverReloaded")

        # The first page is there soon after the mailbox, and a bar for the rest.
        button(page, words.save)
        until(lambda: is_connected(worker), seconds=20)
        connected = monotonic()
        expect(page.locator(".message-row").first).to_be_visible()
        assert monotonic() - connected < FIRST_PAGE_SECONDS
        assert page.locator(".message-row").count() >= 1
        expect(page.locator("#folders progress")).to_have_count(0, timeout=60_000)

        give_up(page, words)


def is_connected(job: Job) -> bool:
    with job.step() as session:
        return any_mailbox(session)


def any_mailbox(session: Session) -> bool:
    return session.scalar(select(Mailbox.id)) is not None


def give_up(page: Page, words: Words) -> None:
    """The numbers first; then it goes, and the page says when it is gone."""
    page.goto("/profile/mail")
    page.get_by_role("link", name=words.disconnect).click()
    expect(page.locator("#disconnect")).to_contain_text(words.received)
    page.get_by_label(words.delete).check()
    assert violations_in_both_themes(page) == []
    page.locator("#disconnect").get_by_role("button", name=words.disconnect).click()
    expect(page.locator(".own-mailbox")).to_have_count(0, timeout=30_000)
