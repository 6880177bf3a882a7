"""*Profile > Mail* as hands meet it: the editor, the order, the choice, what axe says."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    expect,
)
from sqlalchemy.orm import Session

from domain import mailbox_settings
from domain.mailbox_settings import MailboxSettings
from models import Mailbox, User
from models.mailboxes import ProcessChoice
from tests.browser.axe import violations_in_both_themes
from tests.browser.served import come_in, served
from tests.mailroom import arrive, inbox_of, letter, mailbox_of
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("axe")]

LIST = "/profile/mail"
HOSTILE = (
    '<p style="color:red" onclick="x()">Pasted</p><script>window.ran = 1</script>'
    '<img src="x" onerror="window.ran = 1"><svg onload="window.ran = 1"></svg>'
    '<a href="javascript:window.ran = 1">evil</a><a href="https://firm.test/menu">menu</a>'
    '<iframe srcdoc="<script>parent.ran = 1</script>"></iframe><style>p { color: red }</style>'
)
Enter = Callable[..., Page]


@dataclass(frozen=True)
class Words:
    locale: str
    signature: str
    bold: str
    listed: str
    link: str
    address: str
    set_link: str
    save: str
    as_company: str
    not_allowed: str
    cannot_send: str
    not_saved: str


ENGLISH = Words(
    "en-GB",
    "Signature",
    "Bold",
    "List",
    "Link",
    "Link address",
    "Set link",
    "Save",
    "as the company says",
    "do not allow",
    "Company: allowed. You: not allowed. Processes cannot send from this address.",
    "So it will be once you have saved.",
)
RUSSIAN = Words(
    "ru-RU",
    "Подпись",
    "Полужирный",
    "Список",
    "Ссылка",
    "Адрес ссылки",
    "Поставить ссылку",
    "Сохранить",
    "как решила компания",
    "запретить",
    "Компания: разрешено. Вы: запрещено. Процессы не могут отправлять с этого адреса.",
    "Так будет, когда вы сохраните.",
)
BOTH = pytest.mark.parametrize("words", [ENGLISH, RUSSIAN], ids=["english", "russian"])


@pytest.fixture
def enter(app: Flask, browser: Browser) -> Iterator[Enter]:
    """Whoever it is comes in; whatever the browser writes to its console fails the test.

    Whoever pastes is told by Chromium what the policy kept from HTML that is only parsed.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    with served(app) as address:

        def opened(person: User, *, pastes: bool = False, **options: Any) -> Page:
            usual: dict[str, Any] = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}}
            context = browser.new_context(base_url=address, **usual | options)
            context.set_default_timeout(10_000)
            contexts.append(context)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))

            def note(said: ConsoleMessage) -> None:
                if said.type == "error" and not (pastes and "Content Security" in said.text):
                    complaints.append(said.text)

            page.on("console", note)
            come_in(page, person.login)
            return page

        yield opened
        for context in contexts:
            context.close()
    assert [one for one in complaints if "status of 4" not in one] == []


@pytest.fixture
def mailbox(session: Session, bob: User) -> Mailbox:
    return mailbox_of(session, bob)


@pytest.fixture
def office(session: Session, mailbox: Mailbox, bob: User) -> Mailbox:
    return mailbox_of(session, bob, "office@firm.test")


@pytest.fixture
def settings(mailbox: Mailbox) -> str:
    return f"{LIST}/{mailbox.id}"


def editor(page: Page, words: Words = ENGLISH) -> Locator:
    return page.get_by_role("textbox", name=words.signature, exact=True)


def tool(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def kept(session: Session, mailbox: Mailbox) -> str:
    session.expire_all()
    return session.get_one(Mailbox, mailbox.id).signature


def sign(session: Session, mailbox: Mailbox, signature: str) -> None:
    wanted = MailboxSettings("Bob", signature, False, ProcessChoice.COMPANY)
    mailbox_settings.edit(session, mailbox, wanted)


def paste(area: Locator, html: str) -> None:
    area.evaluate(
        """(area, html) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/html", html);
          area.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true,
            cancelable: true}));
        }""",
        html,
    )


def questions(page: Page) -> list[str]:
    """The kinds of what the browser asks from now on; it is always told yes."""
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    return asked


# The editor


@BOTH
def test_bold_a_link_and_a_list_are_saved_and_shown_again(
    enter: Enter, session: Session, bob: User, mailbox: Mailbox, settings: str, words: Words
) -> None:
    page = enter(bob, locale=words.locale)
    page.goto(settings)
    area = editor(page, words)
    area.click()
    tool(page, words.bold).click()
    expect(tool(page, words.bold)).to_have_attribute("aria-pressed", "true")
    page.keyboard.type("Bob Baker")
    tool(page, words.bold).click()
    expect(tool(page, words.bold)).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Enter")
    tool(page, words.link).click()
    page.get_by_label(words.address, exact=True).fill("firm.test")
    page.keyboard.press("Enter")
    expect(area.get_by_role("link", name="firm.test")).to_be_visible()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    tool(page, words.listed).click()
    page.keyboard.type("one")
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    tool(page, words.save).click()
    page.wait_for_url(f"**{LIST}")
    signature = kept(session, mailbox)
    assert re.search(r"<b>Bob Baker</b>", signature)
    assert 'href="https://firm.test"' in signature
    assert [re.sub("<.*?>", "", one) for one in re.findall(r"<li>(.*?)</li>", signature)] == [
        "one",
        "two",
    ]
    for _ in range(2):
        page.goto(settings)
        expect(editor(page, words).locator("b")).to_have_text("Bob Baker")
        expect(editor(page, words).locator("li")).to_have_text(["one", "two"])
        expect(editor(page, words).get_by_role("link")).to_have_attribute(
            "href", "https://firm.test"
        )


def test_what_was_pasted_is_harmless(
    enter: Enter, session: Session, bob: User, mailbox: Mailbox, settings: str
) -> None:
    page = enter(bob, pastes=True)
    page.goto(settings)
    editor(page).click()
    paste(editor(page), HOSTILE)
    expect(editor(page)).to_contain_text("Pasted")
    assert editor(page).locator("script, img, svg, iframe, style, [style], [onclick]").count() == 0
    assert editor(page).locator("a[href^=javascript]").count() == 0
    tool(page, "Save").click()
    page.wait_for_url(f"**{LIST}")
    signature = kept(session, mailbox)
    assert 'href="https://firm.test/menu"' in signature
    assert "javascript" not in signature
    page.goto(settings)
    expect(editor(page)).to_contain_text("Pasted")
    assert page.evaluate("window.ran") is None


@pytest.mark.parametrize("key", ["b", "i", "u"])
def test_what_is_switched_off_at_the_end_of_a_line_stays_off_in_the_next(
    enter: Enter, bob: User, settings: str, key: str
) -> None:
    page = enter(bob)
    page.goto(settings)
    editor(page).click()
    page.keyboard.press(f"Control+{key}")
    page.keyboard.type("first")
    page.keyboard.press(f"Control+{key}")
    page.keyboard.press("Enter")
    page.keyboard.type("second")
    expect(editor(page).locator(key)).to_have_text("first")
    expect(editor(page).locator("div")).to_have_text(["first", "second"])


def test_what_is_on_goes_on_in_the_next_line(enter: Enter, bob: User, settings: str) -> None:
    page = enter(bob)
    page.goto(settings)
    editor(page).click()
    page.keyboard.press("Control+b")
    page.keyboard.type("first")
    page.keyboard.press("Enter")
    page.keyboard.type("second")
    expect(editor(page).locator("b")).to_have_text(["first", "second"])


def test_a_link_is_changed_refused_and_removed_by_keyboard(
    enter: Enter, session: Session, bob: User, mailbox: Mailbox, settings: str
) -> None:
    sign(session, mailbox, '<div><a href="https://old.test">Firm</a></div>')
    page = enter(bob)
    page.goto(settings)
    link, field = tool(page, "Link"), page.get_by_label("Link address", exact=True)
    editor(page).locator("a").click()
    expect(link).to_have_attribute("aria-pressed", "true")
    link.press("Enter")
    expect(field).to_be_focused()
    expect(field).to_have_value("https://old.test")
    field.fill("javascript:alert(1)")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This is no address.")
    expect(field).to_be_focused()
    field.press("Escape")
    expect(field).to_be_hidden()
    expect(editor(page)).to_be_focused()
    expect(editor(page).locator("a")).to_have_attribute("href", "https://old.test")
    link.press("Enter")
    field.fill("bob@firm.test")
    field.press("Enter")
    expect(editor(page).locator("a")).to_have_attribute("href", "mailto:bob@firm.test")
    expect(editor(page).locator("a")).to_have_text("Firm")
    link.press("Enter")
    tool(page, "Remove link").press("Enter")
    expect(editor(page).locator("a")).to_have_count(0)
    expect(editor(page)).to_have_text("Firm")
    expect(page).to_have_url(re.compile(f"{settings}$"))


def test_whoever_leaves_a_changed_signature_is_asked_and_only_then(
    enter: Enter, session: Session, bob: User, mailbox: Mailbox, settings: str
) -> None:
    sign(session, mailbox, "<p>Bob</p><ul><li>one</li></ul>")
    page = enter(bob)
    asked = questions(page)
    page.goto(settings)
    editor(page).click()
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url(f"**{LIST}")
    assert asked == []
    page.goto(settings)
    editor(page).press_sequentially("x")
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url(f"**{LIST}")
    assert asked == ["beforeunload"]


def test_a_refused_signature_is_focused_and_marked_in_the_editor(
    enter: Enter, bob: User, settings: str
) -> None:
    page = enter(bob)
    page.goto(settings)
    paste(editor(page), f"<b>{'x ' * 10_001}</b>")
    tool(page, "Save").click()
    expect(editor(page)).to_have_attribute("aria-invalid", "true")
    expect(editor(page)).to_be_focused()
    expect(editor(page).locator("b")).to_contain_text("x x x")
    expect(page.get_by_text("A signature has at most 20000 characters.")).to_be_visible()
    page.evaluate("document.querySelector('[data-unsent]').dataset.sending = ''")


def test_without_javascript_a_person_types_lines(
    enter: Enter, session: Session, bob: User, mailbox: Mailbox, settings: str
) -> None:
    page = enter(bob, java_script_enabled=False)
    page.goto(settings)
    editor(page).fill("Bob\nFirm & Sons")
    page.get_by_label("allow", exact=True).check()
    tool(page, "Save").click()
    assert kept(session, mailbox) == "<div>Bob</div><div>Firm &amp; Sons</div>"
    page.goto(settings)
    expect(editor(page)).to_have_value("Bob\nFirm & Sons")
    expect(page.get_by_text("You: allowed. Processes can send")).to_be_visible()
    assert tool(page, "Bold").count() == 0


# Choices


@BOTH
def test_the_sentence_follows_the_choice_before_it_is_saved(
    enter: Enter, bob: User, settings: str, words: Words
) -> None:
    page = enter(bob, locale=words.locale)
    page.goto(settings)
    shown = page.locator(".follows p:visible")
    expect(shown).to_have_count(1)
    page.get_by_label(words.not_allowed, exact=True).check()
    expect(shown).to_have_text([words.cannot_send, words.not_saved])
    page.get_by_label(words.as_company, exact=True).check()
    expect(shown).to_have_count(1)


@pytest.mark.parametrize(
    ("permission", "said"),
    [
        ("granted", ""),
        ("denied", "This browser blocks notifications of Postroom."),
    ],
)
def test_switching_notifications_on_asks_the_browser(
    enter: Enter, bob: User, settings: str, permission: str, said: str
) -> None:
    page = enter(bob)
    page.add_init_script(
        f"window.answer = '{permission}';"
        """
        window.asked = 0;
        let permission = "default";
        window.Notification = {
          get permission() { return permission; },
          async requestPermission() { window.asked += 1; return (permission = window.answer); },
        };
        """
    )
    page.goto(settings)
    switch = page.get_by_role("switch", name="Notify me of new mail")
    trouble = page.locator("[data-notifications]:visible")
    expect(trouble).to_have_count(0)
    switch.check()
    until(lambda: page.evaluate("window.asked") == 1)
    expect(trouble).to_have_count(1 if said else 0)
    if said:
        expect(trouble).to_contain_text(said)
        switch.uncheck()
        expect(trouble).to_have_count(0)
        assert page.evaluate("window.asked") == 1


def test_where_a_page_may_not_show_notifications_it_says_so(
    enter: Enter, bob: User, settings: str
) -> None:
    page = enter(bob)
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    page.goto(settings)
    page.get_by_role("switch", name="Notify me of new mail").check()
    expect(page.locator("[data-notifications]:visible")).to_contain_text("HTTPS")


# The list


@BOTH
def test_the_order_is_changed_by_keyboard_and_the_focus_stays(
    enter: Enter, bob: User, mailbox: Mailbox, office: Mailbox, words: Words
) -> None:
    page = enter(bob, locale=words.locale)
    page.goto(LIST)
    up = page.locator(f"#mailbox-{office.id}-arrow-up")
    listed = page.locator(".own-mailbox h2")
    expect(listed).to_contain_text(["bob@firm.test", "office@firm.test"])
    up.focus()
    page.keyboard.press("Enter")
    expect(listed).to_contain_text(["office@firm.test", "bob@firm.test"])
    expect(up).to_be_focused()
    expect(up).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("status").filter(has_text="office@firm.test")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(listed).to_contain_text(["bob@firm.test", "office@firm.test"])
    expect(page.locator(f"#mailbox-{office.id}-arrow-down")).to_be_focused()


def test_the_default_sender_changes_in_place(
    enter: Enter, bob: User, mailbox: Mailbox, office: Mailbox
) -> None:
    page = enter(bob)
    page.goto(LIST)
    tool(page, "Make default sender: office@firm.test").click()
    expect(page.locator(f"#mailbox-{office.id} .tag")).to_have_text("default sender")
    expect(page.locator(f"#mailbox-{mailbox.id} .tag")).to_have_count(0)


@pytest.mark.parametrize("width", [1440, 1024, 390, 360])
def test_nothing_is_wider_than_the_window(
    enter: Enter, session: Session, bob: User, office: Mailbox, settings: str, width: int
) -> None:
    long = mailbox_of(session, bob, f"{'a' * 60}@{'long-name.' * 8}firm.test")
    page = enter(bob, locale="ru-RU", viewport={"width": width, "height": 800})
    for path in (LIST, settings, f"{LIST}/{long.id}"):
        page.goto(path)
        main = page.locator("main")
        assert main.evaluate("main => main.scrollWidth <= main.clientWidth"), path


def test_axe_finds_nothing_in_either_theme(
    enter: Enter, session: Session, bob: User, office: Mailbox, settings: str
) -> None:
    sign(session, office, '<p>Bob <a href="https://firm.test">Firm</a></p>')
    page = enter(bob, bypass_csp=True, reduced_motion="reduce")
    for path in (LIST, f"{LIST}/{office.id}", settings):
        page.goto(path)
        assert violations_in_both_themes(page) == []
    tool(page, "Link").click()
    page.get_by_label("Link address", exact=True).fill("x y")
    tool(page, "Set link").click()
    tool(page, "Bold").click()
    page.get_by_label("do not allow").check()
    assert violations_in_both_themes(page) == []
    page.evaluate("document.querySelector('[data-unsent]').dataset.sending = ''")


# Where one writes


def test_the_signature_follows_from_while_nobody_changed_it(
    enter: Enter, session: Session, bob: User, mailbox: Mailbox, office: Mailbox
) -> None:
    sign(session, mailbox, "<p>Bob</p>")
    sign(session, office, "<p>The office</p>")
    plain = mailbox_of(session, bob, "plain@firm.test")
    page = enter(bob)
    asked = questions(page)
    page.goto("/mail/new")
    text, sender = page.get_by_label("Text"), page.get_by_label("From")
    expect(text).to_have_value("\n\n-- \nBob")
    sender.select_option(str(office.id))
    expect(text).to_have_value("\n\n-- \nThe office")
    sender.select_option(str(plain.id))
    expect(text).to_have_value("")
    sender.select_option(str(mailbox.id))
    expect(text).to_have_value("\n\n-- \nBob")
    sender.select_option(str(office.id))
    page.goto(LIST)
    assert asked == []
    page.goto("/mail/new")
    text.evaluate("field => field.setSelectionRange(0, 0)")
    text.press_sequentially("Hello")
    sender.select_option(str(office.id))
    expect(text).to_have_value("Hello\n\n-- \nThe office")
    text.fill("Hello\n\n-- \nThe office of Bob")
    sender.select_option(str(mailbox.id))
    expect(text).to_have_value("Hello\n\n-- \nThe office of Bob")
    page.goto(LIST)
    assert asked == ["beforeunload"]


def test_in_a_reply_one_writes_above_the_signature_and_the_quote(
    enter: Enter, app: Flask, session: Session, bob: User, mailbox: Mailbox, office: Mailbox
) -> None:
    sign(session, office, "<p>The office</p>")
    message = arrive(app, session, inbox_of(session, mailbox), letter())
    page = enter(bob)
    page.goto(f"/mail/messages/{message.id}/reply")
    text, sender = page.get_by_label("Text"), page.get_by_label("From")
    expect(text).to_be_focused()
    page.keyboard.type("Yes.")
    sender.select_option(str(office.id))
    quote = r"On .* wrote:\n> At noon\?$"
    expect(text).to_have_value(re.compile(rf"^Yes\.\n\n-- \nThe office\n\n{quote}"))
    sender.select_option(str(mailbox.id))
    expect(text).to_have_value(re.compile(rf"^Yes\.\n\n{quote}"))
    page.evaluate("document.querySelector('[data-unsent]').dataset.sending = ''")
