"""The window, the rows and the way back, as an administrator's hands meet them."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from mail.security import Security
from mail.server_string import Protocol
from models import Mailbox, MailboxState, MailService, Role, User
from tests.browser.served import come_in, served
from tests.conftest import add
from tests.mailroom import NOW, service_of

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("demo")]

LIST = "/administration/mail/services/"
PEOPLE = 150  # with two mailboxes each
Enter = Callable[..., Page]


@pytest.fixture
def enter(browser: Browser, app: Flask, alice: User) -> Iterator[Enter]:
    """An administrator's browser at the list; whatever it writes to its console fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    with served(app) as address:

        def opened(login: str = "alice", locale: str = "en-GB") -> Page:
            context = browser.new_context(locale=locale, base_url=address)
            context.set_default_timeout(15_000)
            contexts.append(context)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda said: complaints.append(said.text) if said.type == "error" else None,
            )
            come_in(page, login)
            page.goto(LIST)
            return page

        yield opened
        for context in contexts:
            context.close()
    # The browser says so of every answer of that kind; a window that was refused is one.
    assert [one for one in complaints if "status of 4" not in one] == []


@pytest.fixture
def firm_mail(session: Session) -> MailService:
    return service_of(session)


def add_window(page: Page) -> Locator:
    page.get_by_role("link", name="+ Add").click()
    return page.get_by_role("dialog", name="Mail service settings")


def gear(page: Page) -> Locator:
    page.get_by_role("link", name="Settings of Firm mail").click()
    return page.get_by_role("dialog", name="Mail service settings")


def row(page: Page) -> Locator:
    return page.get_by_role("row", name="Firm mail")


def security(window: Locator, protocol: str) -> Locator:
    return window.locator(f"[name={protocol}_security]:checked")


def choose(window: Locator, protocol: str, name: str) -> None:
    block = window.locator(f"[data-protocol={protocol}]")
    block.get_by_role("radio", name=name, exact=True).check()


# --- port and security ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "port", "fills_in"),
    [
        ("smtp", "25", "NONE"),
        ("smtp", "465", "TLS"),
        ("smtp", "587", "STARTTLS"),
        ("imap", "143", "STARTTLS"),
        ("imap", "993", "TLS"),
        ("smtp", "2525", "TLS"),
    ],
)
def test_a_well_known_port_fills_in_its_security(
    enter: Enter, protocol: str, port: str, fills_in: str
) -> None:
    window = add_window(enter())
    field = window.locator(f"[name={protocol}_server]")
    field.press_sequentially(f"{protocol}.firm.test:{port}")
    expect(security(window, protocol)).to_have_value(fills_in)
    unencrypted = window.locator(f"[data-protocol={protocol}] [data-unencrypted]")
    expect(unencrypted).to_be_visible(visible=fills_in == "NONE")


def test_a_security_fills_in_its_port_until_the_person_typed_one(enter: Enter) -> None:
    window = add_window(enter())
    smtp = window.locator("[name=smtp_server]")
    smtp.fill("smtp.firm.test")
    choose(window, "smtp", "STARTTLS")
    expect(smtp).to_have_value("smtp.firm.test:587")
    choose(window, "smtp", "TLS")
    expect(smtp).to_have_value("smtp.firm.test:465")
    smtp.fill("smtp.firm.test:2525")
    choose(window, "smtp", "STARTTLS")
    expect(smtp).to_have_value("smtp.firm.test:2525")


def test_what_a_person_chose_stays_whatever_the_port(enter: Enter) -> None:
    window = add_window(enter())
    imap = window.locator("[name=imap_server]")
    imap.fill("imap.firm.test:993")
    choose(window, "imap", "None")
    imap.fill("imap.firm.test:143")
    expect(security(window, "imap")).to_have_value("NONE")


def test_what_was_saved_for_a_non_standard_server_stays_while_its_name_is_typed(
    enter: Enter, session: Session, firm_mail: MailService
) -> None:
    firm_mail.smtp_host, firm_mail.smtp_port = "mail.firm.test", 25
    firm_mail.smtp_security, firm_mail.smtp_non_standard = Security.STARTTLS, True
    session.commit()
    window = gear(enter())
    field = window.locator("[name=smtp_server]")
    field.press("Home")
    field.press_sequentially("new-")
    expect(field).to_have_value("new-mail.firm.test:25")
    expect(security(window, "smtp")).to_have_value("STARTTLS")


# --- keys and focus -------------------------------------------------------------------------------


def test_escape_closes_the_window_and_the_focus_is_where_it_was(
    enter: Enter, firm_mail: MailService
) -> None:
    page = enter()
    openers = [
        page.get_by_role("link", name="+ Add"),
        page.get_by_role("link", name="Settings of Firm mail"),
        page.get_by_role("link", name="Delete Firm mail"),
    ]
    for opener in openers:
        opener.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(opener).to_be_focused()


def test_enter_saves_and_what_is_wrong_has_the_focus(
    enter: Enter, session: Session, firm_mail: MailService
) -> None:
    page = enter()
    window = gear(page)
    imap = window.locator("[name=imap_server]")
    imap.fill("imap.firm.test")
    imap.press("Enter")
    expect(window.locator("#imap_server-error")).to_contain_text("Add the port")
    expect(imap).to_be_focused()
    imap.fill("imap.post.firm.test:993")
    imap.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row(page)).to_contain_text("imap.post.firm.test:993")
    expect(page.get_by_role("link", name="Settings of Firm mail")).to_be_focused()


# --- the eye and the bin --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "hide", "show", "undo"),
    [("en-GB", "Hide", "Show", "Undo"), ("ru-RU", "Скрыть", "Показать", "Отменить")],
    ids=["english", "russian"],
)
def test_the_eye_hides_at_once_and_undo_shows_again(
    enter: Enter,
    session: Session,
    firm_mail: MailService,
    locale: str,
    hide: str,
    show: str,
    undo: str,
) -> None:
    page = enter(locale=locale)
    page.get_by_role("button", name=f"{hide} Firm mail").click()
    expect(page.get_by_role("button", name=f"{show} Firm mail")).to_be_focused()
    session.expire_all()
    assert firm_mail.hidden
    page.locator("#toasts").get_by_role("button", name=undo).click()
    expect(page.get_by_role("button", name=f"{hide} Firm mail")).to_be_visible()
    session.expire_all()
    assert not firm_mail.hidden


@pytest.fixture
def many(session: Session, firm_mail: MailService) -> None:
    """Three hundred mailboxes of the firm's service."""
    first = 1 + (session.scalar(select(func.max(User.id))) or 0)
    people = range(first, first + PEOPLE)
    session.execute(
        insert(User),
        [
            {
                "id": one,
                "name": f"Person {one - first:03}",
                "login": f"p{one}",
                "role": Role.EMPLOYEE,
                "created_at": NOW,
            }
            for one in people
        ],
    )
    session.execute(
        insert(Mailbox),
        [
            {
                "user_id": one,
                "service_id": firm_mail.id,
                "address": f"{kind}{one - first:03}@firm.test",
                "login": f"p{one}",
                "sealed_password": b"sealed",
                "sender_name": f"Person {one - first:03}",
                "state": MailboxState.WORKING,
                "state_since": NOW,
                "next_contact_at": NOW,
            }
            for one in people
            for kind in ("p", "office")
        ],
    )
    session.commit()


def states(session: Session) -> set[MailboxState]:
    return set(session.scalars(select(Mailbox.state)))


def test_before_three_hundred_mailboxes_stop_they_are_shown_and_can_be_searched(
    enter: Enter, many: None
) -> None:
    page = enter()
    page.get_by_role("link", name="Delete Firm mail").click()
    window = page.get_by_role("dialog", name="Delete Firm mail")
    expect(window.get_by_text("300 mailboxes of 150 people will stop.")).to_be_visible()
    listed = window.get_by_role("listitem")
    expect(listed).to_have_count(300)
    expect(window.get_by_role("link", name="Cancel").last).to_be_focused()
    search = window.get_by_role("searchbox")
    search.press_sequentially("person 007")
    expect(listed).to_have_count(2)
    expect(window.get_by_text("2 mailboxes match")).to_be_visible()
    expect(search).to_be_focused()
    expect(search).to_have_value("person 007")
    search.fill("office01")
    expect(listed).to_have_count(10)
    search.fill("")
    expect(listed).to_have_count(300)


def test_hide_instead_hides_and_nothing_stops(
    enter: Enter, session: Session, firm_mail: MailService, many: None
) -> None:
    page = enter()
    page.get_by_role("link", name="Delete Firm mail").click()
    page.get_by_role("dialog").get_by_role("button", name="Hide instead").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row(page).get_by_text("Hidden", exact=True)).to_be_visible()
    expect(page.locator("#toasts").get_by_role("button", name="Undo")).to_be_visible()
    expect(page.get_by_role("link", name="Delete Firm mail")).to_be_focused()
    assert states(session) == {MailboxState.WORKING}


def test_deleted_it_leaves_a_row_from_which_it_comes_back(
    enter: Enter, session: Session, firm_mail: MailService, many: None
) -> None:
    page = enter()
    page.get_by_role("link", name="Delete Firm mail").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    gone = page.locator(f"#service-{firm_mail.id}")
    expect(gone).to_contain_text("Firm mail was deleted.")
    undo = gone.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    assert states(session) == {MailboxState.SERVICE_DELETED}
    session.expire_all()
    undo.press("Enter")
    expect(row(page)).to_contain_text("300 mailboxes")
    assert states(session) == {MailboxState.CONNECTING}


# --- two administrators ---------------------------------------------------------------------------


def test_who_saves_second_sees_what_the_first_changed_and_loses_nothing(
    enter: Enter, session: Session, firm_mail: MailService
) -> None:
    add(session, "Dora", Role.ADMINISTRATOR)
    alices, doras = enter("alice"), enter("dora")
    first, second = gear(doras), gear(alices)
    first.locator("[name=imap_server]").fill("imap.post.firm.test:993")
    first.get_by_role("button", name="Save").click()
    expect(first).to_have_count(0)

    second.get_by_label("Name").fill("Post of the firm")
    choose(second, "imap", "STARTTLS")
    second.locator("[name=imap_server]").fill("imap.firm.test:143")
    second.get_by_role("button", name="Save").click()
    told = second.get_by_role("alert")
    expect(told).to_contain_text("Dora")
    expect(told).to_contain_text("imap.firm.test:993")
    expect(told).to_contain_text("imap.post.firm.test:993")
    expect(second.get_by_label("Name")).to_have_value("Post of the firm")
    expect(second.locator("[name=imap_server]")).to_have_value("imap.firm.test:143")
    session.expire_all()
    assert (firm_mail.name, firm_mail.imap_host) == ("Firm mail", "imap.post.firm.test")

    second.get_by_role("button", name="Save anyway").click()
    expect(alices.get_by_role("dialog")).to_have_count(0)
    session.expire_all()
    assert (firm_mail.name, str(firm_mail.address(Protocol.IMAP)), firm_mail.imap_security) == (
        "Post of the firm",
        "imap.firm.test:143",
        Security.STARTTLS,
    )
