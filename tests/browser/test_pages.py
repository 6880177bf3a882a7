"""What only a browser shows: where the focus is, who is asked before leaving, what fits a phone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, expect
from sqlalchemy.orm import Session

from domain import outbox
from mail.smtp import RecipientResult
from models import Mailbox, User
from tests.browser.served import come_in, served
from tests.mailroom import NOW, arrive, inbox_of, letter, mailbox_of, queued

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("axe")]

PHONE = {"width": 360, "height": 740}
LAPTOP = {"width": 1280, "height": 800}
Enter = Callable[..., Page]


@pytest.fixture
def enter(app: Flask, browser: Browser) -> Iterator[Enter]:
    """Whoever it is comes in with a browser of their own."""
    contexts: list[BrowserContext] = []
    with served(app) as address:

        def opened(person: User, **options: Any) -> Page:
            usual: dict[str, Any] = {"locale": "en-GB", "viewport": LAPTOP}
            context = browser.new_context(base_url=address, **usual | options)
            context.set_default_timeout(10_000)
            contexts.append(context)
            page = context.new_page()
            come_in(page, person.login)
            return page

        yield opened
        for context in contexts:
            context.close()


@pytest.fixture
def mailbox(session: Session, bob: User) -> Mailbox:
    return mailbox_of(session, bob)


def fail(session: Session, mailbox: Mailbox) -> None:
    message = queued(session, mailbox)
    worker = mailbox.uuid
    outbox.claim(session, message.id, worker, NOW)
    unknown = {"carol@firm.test": RecipientResult(550, "unknown", accepted=False)}
    outbox.settle(session, message.id, worker, unknown, None, NOW)
    session.commit()


def box(element: Locator) -> tuple[float, float, float, float]:
    """Left, top, width and height, to the tenth of a pixel."""
    found = element.bounding_box()
    assert found is not None
    left, top, width, height = (round(number, 1) for number in found.values())  # type: ignore[call-overload]
    return left, top, width, height


# Leaving what was typed


class Asked:
    """Answers the browser's questions, and keeps what kind they were."""

    def __init__(self, page: Page, *, leaves: bool) -> None:
        self.kinds: list[str] = []
        self.leaves = leaves
        page.on("dialog", self._answer)

    def _answer(self, dialog: Dialog) -> None:
        self.kinds.append(dialog.type)
        if self.leaves:
            dialog.accept()
        else:
            dialog.dismiss()


def test_whoever_leaves_what_was_typed_is_asked_first(
    enter: Enter, bob: User, mailbox: Mailbox
) -> None:
    page = enter(bob)
    asked = Asked(page, leaves=False)
    page.goto("/mail/new")
    page.get_by_label("Text").fill("At length")
    for name in ("Inbox", "Cancel", "Profile"):
        page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_label("Text")).to_have_value("At length")
    assert asked.kinds == ["beforeunload"] * 3
    asked.leaves = True
    page.get_by_role("link", name="Inbox", exact=True).click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()


def test_whoever_typed_nothing_or_sends_it_is_not_asked(
    enter: Enter, bob: User, mailbox: Mailbox
) -> None:
    page = enter(bob)
    asked = Asked(page, leaves=True)
    page.goto("/mail/new")
    page.get_by_label("Text").fill("At length")
    page.get_by_label("Text").fill("")
    page.get_by_role("link", name="Inbox", exact=True).click()
    page.goto("/mail/new")
    page.get_by_label("To").fill("carol@firm.test")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("It is being sent.")).to_be_visible()
    assert asked.kinds == []


def test_what_came_back_with_a_fault_is_not_left_without_a_question(
    enter: Enter, bob: User, mailbox: Mailbox
) -> None:
    page = enter(bob)
    asked = Asked(page, leaves=True)
    page.goto("/mail/new")
    page.get_by_label("To").fill("carol")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("To")).to_be_focused()
    page.get_by_role("link", name="Inbox", exact=True).click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    assert asked.kinds == ["beforeunload"]


def test_a_message_that_was_stopped_on_its_way_and_written_on_is_unsent_again(
    enter: Enter, bob: User, mailbox: Mailbox
) -> None:
    page = enter(bob)
    asked = Asked(page, leaves=True)
    page.goto("/mail/new")
    page.get_by_label("Text").fill("At length")
    page.evaluate("addEventListener('submit', (event) => event.preventDefault())")
    page.get_by_role("button", name="Send").click()
    page.get_by_label("Text").press_sequentially("!")
    page.get_by_role("link", name="Inbox", exact=True).click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    assert asked.kinds == ["beforeunload"]


# The first wrong field


@pytest.mark.parametrize("javascript", [True, False])
def test_of_several_wrong_fields_the_first_has_the_focus(
    enter: Enter, bob: User, mailbox: Mailbox, *, javascript: bool
) -> None:
    page = enter(bob, java_script_enabled=javascript)
    page.goto("/mail/new")
    expect(page.get_by_label("To")).to_be_focused()
    page.get_by_label("To").fill("carol@firm.test")
    page.get_by_text("Cc and Bcc").click()
    page.get_by_label("Cc", exact=True).fill("dave")
    page.get_by_label("Bcc").fill("erin")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Cc", exact=True)).to_be_focused()


def test_in_a_window_too_and_where_something_was_chosen(enter: Enter, alice: User) -> None:
    page = enter(alice)
    page.goto("/administration/mail/services/")
    page.get_by_role("link", name="+ Add").click()
    window = page.get_by_role("dialog")
    window.get_by_label("Name", exact=False).first.fill("Test service")
    window.locator("[name=smtp_server]").fill("smtp.myserver.com:465")
    window.locator("[name=smtp_security][value=STARTTLS]").check(force=True)
    window.locator("[name=imap_server]").fill("myserver")
    window.get_by_role("button", name="Save").click()
    expect(window.locator(".field-error")).to_have_count(2)
    expect(window.locator("[name=smtp_security][value=STARTTLS]")).to_be_focused()


# Outbox


def test_the_list_of_folders_follows_what_is_discarded(
    enter: Enter, session: Session, bob: User, mailbox: Mailbox
) -> None:
    fail(session, mailbox)
    page = enter(bob)
    page.goto("/mail/outbox")
    page.evaluate("document.querySelector('[data-poll]').remove()")  # so that only the answer tells
    entry = page.get_by_role("navigation", name="Folders").get_by_role("link", name="Outbox")
    expect(entry).to_have_accessible_name("A message needs your decision Outbox 1")
    page.get_by_role("button", name="Discard").click()
    expect(entry).to_have_accessible_name("Outbox")
    expect(entry).to_have_attribute("aria-current", "page")
    expect(page.get_by_text("Nothing waits to be sent.")).to_be_visible()


# What is chosen takes no more room


def test_nothing_moves_when_something_else_is_chosen(enter: Enter, bob: User) -> None:
    page = enter(bob)
    page.goto("/profile/")
    segments = page.locator(".segments").first
    before = [box(segments), *(box(one) for one in segments.locator("label").all())]
    segments.get_by_label("English").check(force=True)
    assert [box(segments), *(box(one) for one in segments.locator("label").all())] == before
    item = page.get_by_role("navigation", name="Profile").get_by_role("link", name="Personal")
    chosen = box(item)
    item.evaluate("element => element.removeAttribute('aria-current')")
    assert box(item) == chosen


# A phone


@pytest.mark.parametrize("javascript", [True, False])
def test_on_a_phone_the_folders_are_one_line_that_opens(
    enter: Enter, app: Flask, session: Session, bob: User, mailbox: Mailbox, *, javascript: bool
) -> None:
    office = mailbox_of(session, bob, "office@firm.test")
    arrive(app, session, inbox_of(session, office), letter())
    session.commit()
    page = enter(bob, viewport=PHONE, java_script_enabled=javascript)
    page.goto(f"/mail/mailboxes/{office.id}")
    folders = page.get_by_role("navigation", name="Folders")
    line = folders.locator("summary")
    expect(line).to_have_text("Inbox office@firm.test 1 unread", use_inner_text=True)
    assert box(folders)[3] < PHONE["height"] / 10
    expect(folders.get_by_role("link", name="Outbox")).to_be_hidden()
    line.click()
    expect(folders.get_by_role("link", name="Outbox")).to_be_visible()
    expect(folders.get_by_role("heading", name="bob@firm.test")).to_be_visible()
    if javascript:
        arrive(app, session, inbox_of(session, office), letter("Dinner"))
        session.commit()
        expect(line).to_contain_text("2")
        expect(folders.get_by_role("link", name="Outbox")).to_be_visible()
    folders.get_by_role("link", name="Write").click()
    expect(page.get_by_role("heading", name="New message")).to_be_visible()
    expect(folders).to_be_hidden()


def test_on_a_phone_the_buttons_of_a_message_are_one_row_with_names(
    enter: Enter, app: Flask, session: Session, bob: User, mailbox: Mailbox
) -> None:
    long_name = "Les Amis du Musée <lettre@musee-du-papier.example>"
    message = arrive(app, session, inbox_of(session, mailbox), letter(sender=long_name), seen=True)
    session.commit()
    page = enter(bob, viewport=PHONE)
    page.goto(f"/mail/messages/{message.id}")
    expect(page.get_by_role("navigation", name="Folders")).to_be_hidden()
    buttons = [
        page.get_by_role("link", name="Back", exact=True),
        page.get_by_role("link", name="Reply", exact=True),
        page.get_by_role("button", name="Mark as unread"),
        page.get_by_role("link", name="Original", exact=True),
    ]
    places = [box(one) for one in buttons]
    assert {(top, height) for _, top, _, height in places} == {(places[0][1], places[0][3])}
    address = page.get_by_text("lettre@musee-du-papier.example")
    assert box(address)[3] < 24


def test_on_a_phone_a_toast_leaves_the_areas_in_sight(
    enter: Enter, bob: User, mailbox: Mailbox
) -> None:
    page = enter(bob, viewport=PHONE)
    page.goto("/profile/")
    page.get_by_role("button", name="Save").first.click()
    _, top, _, height = box(page.get_by_text("Saved."))
    assert top + height < box(page.get_by_role("navigation", name="Areas"))[1]


@pytest.mark.parametrize("width", [360, 640])
def test_nothing_is_wider_than_a_phone_or_than_half_a_screen(
    enter: Enter, app: Flask, session: Session, bob: User, mailbox: Mailbox, width: int
) -> None:
    fail(session, mailbox)
    message = arrive(app, session, inbox_of(session, mailbox), letter(), seen=True)
    session.commit()
    page = enter(bob, viewport={"width": width, "height": 450}, locale="ru-RU")
    for path in (
        "/mail/",
        f"/mail/messages/{message.id}",
        f"/mail/messages/{message.id}/reply",
        "/mail/outbox",
        "/profile/",
        "/profile/mail",
    ):
        page.goto(path)
        for element in ("document.documentElement", "document.querySelector('main')"):
            room = page.evaluate(f"{element}.scrollWidth - {element}.clientWidth")
            assert room <= 0, (path, element, room)


def test_sessions_stay_inside_their_card(enter: Enter, bob: User) -> None:
    page = enter(bob, locale="ru-RU")
    page.goto("/profile/")
    card, table = page.locator("section.block"), page.locator(".sessions")
    assert "Chrome" in table.inner_text()
    assert page.locator(".sessions td").first.get_attribute("title").startswith("Mozilla/5.0")  # type: ignore[union-attr]
    left, _, width, _ = box(card)
    table_left, _, table_width, _ = box(table)
    assert left < table_left
    assert table_left + table_width < left + width
