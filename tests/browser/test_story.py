"""The whole story in a browser, on a real Dovecot and a real Postfix, in both languages."""

import email
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from scripts.house import House, running
from tests.servers.mail_system import PASSWORD, MailSystem
from tests.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.dovecot,
    pytest.mark.postfix,
    pytest.mark.xdist_group("servers"),
]

OWN_PASSWORD = "correct horse battery"
SUBJECT = "Накладная № 7 — Grüße"
WRITTEN = (
    "Hello Bob,\n\nпривет & <b>здравствуйте</b>.\n.\n"
    "From here on:   spaces  stay \n> not a quote\n" + "a long line of words " * 60 + "\nCarol\n"
)
ANSWER = "Спасибо, it has arrived."


@dataclass(frozen=True)
class Words:
    """What stands on the screen, as people read it."""

    locale: str
    code: str
    your_name: str
    login: str
    password: str
    set_up: str
    add: str
    name: str
    smtp: str
    imap: str
    more: str
    ca: str
    save: str
    people: str
    full_name: str
    link: str
    done: str
    come_in: str
    connect: str
    e_mail: str
    service: str
    inbox: str
    sent: str
    write: str
    to: str
    subject: str
    text: str
    send: str
    reply: str
    not_trusted: str
    login_refused: str


ENGLISH = Words(
    locale="en-GB",
    code="One-time code",
    your_name="Your name",
    login="Login",
    password="Password",
    set_up="Set up",
    add="+ Add",
    name="Name",
    smtp="SMTP server",
    imap="IMAP server",
    more="More",
    ca="Trusted CA certificate (PEM)",
    save="Save",
    people="People",
    full_name="Full name",
    link="One-time link",
    done="Done",
    come_in="Set password and come in",
    connect="Connect mail",
    e_mail="E-mail",
    service="Service",
    inbox="Inbox",
    sent="Sent",
    write="Write",
    to="To",
    subject="Subject",
    text="Text",
    send="Send",
    reply="Reply",
    not_trusted="was issued by someone who is not trusted",
    login_refused="refused login or password",
)
RUSSIAN = Words(
    locale="ru-RU",
    code="Одноразовый код",
    your_name="Ваше имя",
    login="Логин",
    password="Пароль",
    set_up="Настроить",
    add="+ Добавить",
    name="Название",
    smtp="SMTP сервер",
    imap="IMAP сервер",
    more="Дополнительно",
    ca="Доверенный сертификат CA (PEM)",
    save="Сохранить",
    people="Люди",
    full_name="Имя",
    link="Одноразовая ссылка",
    done="Готово",
    come_in="Задать пароль и войти",
    connect="Подключить почту",
    e_mail="E-mail",
    service="Сервис",
    inbox="Входящие",
    sent="Отправленные",
    write="Написать",
    to="Кому",
    subject="Тема",
    text="Текст",
    send="Отправить",
    reply="Ответить",
    not_trusted="которому нет доверия",
    login_refused="не принял логин или пароль",
)

Enter = Callable[[], Page]


@pytest.fixture
def house(firm: MailSystem, tmp_path: Path) -> Iterator[House]:
    with running(
        "run-all", tmp_path / "data", {"POSTROOM_HOSTS": firm.hosts}, until="one-time code"
    ) as started:
        yield started


@pytest.fixture
def enter(browser: Browser, house: House, words: Words) -> Iterator[Enter]:
    """A new person's browser; whatever it writes to its console fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened() -> Page:
        context = browser.new_context(locale=words.locale, base_url=house.address)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text) if said.type in ("error", "warning") else None
            ),
        )
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [one for one in complaints if "422" not in one] == []


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def follow(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()


def set_up(page: Page, words: Words, code: str) -> None:
    page.goto("/")
    page.get_by_label(words.code).fill(code)
    page.get_by_label(words.your_name).fill("Alice Winter")
    page.get_by_label(words.login).fill("alice")
    page.get_by_label(words.password).fill(OWN_PASSWORD)
    press(page, words.set_up)


def add_the_firms_servers(page: Page, words: Words, firm: MailSystem) -> None:
    follow(page, words.add)
    window = page.get_by_role("dialog")
    window.get_by_label(words.name).fill("Firm mail")
    window.get_by_label(words.smtp).fill(f"smtp.firm.test:{firm.smtps_port}")
    window.get_by_label(words.imap).fill(f"imap.firm.test:{firm.imaps_port}")
    window.get_by_text(words.more, exact=True).click()
    window.get_by_label(words.ca).fill(firm.ca_pem)
    window.get_by_role("button", name=words.save).click()
    expect(window).to_have_count(0)
    expect(page.get_by_role("row", name="Firm mail")).to_contain_text(str(firm.smtps_port))


def add_person(page: Page, words: Words, name: str) -> str:
    """The link that Alice hands over."""
    follow(page, words.people)
    follow(page, words.add)
    window = page.get_by_role("dialog")
    window.get_by_label(words.full_name).fill(name)
    window.get_by_label(words.login).fill(name.split()[0].lower())
    window.get_by_role("button", name=words.save).click()
    link = window.get_by_label(words.link).input_value()
    window.get_by_role("link", name=words.done).click()
    expect(page.get_by_role("row", name=name)).to_have_count(1)
    return link


def come_in(page: Page, words: Words, link: str) -> None:
    page.goto(link)
    page.get_by_label(words.password).fill(OWN_PASSWORD)
    press(page, words.come_in)


def connect(page: Page, words: Words, address: str, password: str = PASSWORD) -> None:
    follow(page, words.connect)
    page.get_by_label(words.e_mail).fill(address)
    page.get_by_label(words.service).select_option(label="Firm mail")
    page.get_by_label(words.password).fill(password)
    press(page, words.save)


def rows(page: Page) -> list[str]:
    return page.locator(".message-row .subject").all_inner_texts()


@pytest.mark.parametrize("words", [ENGLISH, RUSSIAN], ids=["english", "russian"])
def test_a_service_is_added_mailboxes_connected_and_a_message_answered(
    enter: Enter, house: House, firm: MailSystem, words: Words
) -> None:
    alice, bob, carol = enter(), enter(), enter()
    code = house.wait_for(r"one-time code is +(\S+)")[1]
    set_up(alice, words, code)
    add_the_firms_servers(alice, words, firm)
    come_in(bob, words, add_person(alice, words, "Bob Summers"))
    come_in(carol, words, add_person(alice, words, "Carol Spring"))

    # A wrong password is told, what was typed is kept, and the second try succeeds.
    connect(bob, words, "bob@firm.test", "wrong")
    expect(bob.get_by_role("alert")).to_contain_text(words.login_refused)
    expect(bob.get_by_label(words.e_mail)).to_have_value("bob@firm.test")
    bob.get_by_label(words.password).fill(PASSWORD)
    press(bob, words.save)
    expect(bob.get_by_role("heading", name=words.inbox)).to_be_visible()
    connect(carol, words, "carol@firm.test")
    expect(carol.get_by_role("heading", name=words.inbox)).to_be_visible()

    follow(carol, words.write)
    carol.get_by_label(words.to).fill("Bob Summers <bob@firm.test>")
    carol.get_by_label(words.subject).fill(SUBJECT)
    carol.get_by_label(words.text).fill(WRITTEN)
    press(carol, words.send)

    # Bob's page shows it without being loaded again.
    row = bob.get_by_role("link", name=re.compile(re.escape(SUBJECT)))
    expect(row).to_be_visible()
    expect(row).to_contain_text("Carol Spring")
    assert is_what_was_written(until(lambda: firm.messages("bob"))[0])
    row.click()
    expect(bob.frame_locator("iframe").get_by_text("<b>здравствуйте</b>")).to_be_visible()
    follow(bob, words.reply)
    expect(bob.get_by_label(words.to)).to_have_value("Carol Spring <carol@firm.test>")
    quoted = bob.get_by_label(words.text).input_value()
    assert "> Hello Bob," in quoted
    bob.get_by_label(words.text).fill(ANSWER + quoted)
    press(bob, words.send)

    answered = carol.get_by_role("link", name=re.compile(re.escape(f"Re: {SUBJECT}")))
    expect(answered).to_be_visible()
    answered.click()
    expect(carol.frame_locator("iframe").get_by_text(ANSWER)).to_be_visible()
    # Both have their own copy in Sent, the bytes that were delivered.
    (delivered,) = firm.messages("carol")
    (copy,) = until(lambda: firm.messages("bob", "Sent"))
    assert without_trace(delivered) == without_trace(copy)
    original = email.message_from_bytes(firm.messages("bob")[0])
    assert email.message_from_bytes(delivered)["In-Reply-To"] == original["Message-ID"]


@pytest.mark.parametrize("words", [ENGLISH], ids=["english"])
def test_a_server_whose_ca_nobody_trusts_is_refused_and_nothing_is_stored(
    enter: Enter, house: House, firm: MailSystem, words: Words
) -> None:
    alice = enter()
    set_up(alice, words, house.wait_for(r"one-time code is +(\S+)")[1])
    add_the_firms_servers(alice, words, firm)
    alice.get_by_role("link", name="Settings of Firm mail").click()
    window = alice.get_by_role("dialog")
    window.get_by_label(words.ca).fill("")
    window.get_by_role("button", name=words.save).click()
    expect(window).to_have_count(0)
    alice.goto("/profile/mail")
    connect(alice, words, "alice@firm.test")
    expect(alice.get_by_role("alert")).to_contain_text(words.not_trusted)
    alice.goto("/profile/mail")
    expect(alice.get_by_text("No mailbox is connected yet.")).to_be_visible()


@pytest.mark.parametrize("words", [ENGLISH], ids=["english"])
def test_a_message_from_outside_appears_while_one_looks(
    enter: Enter, house: House, firm: MailSystem, words: Words
) -> None:
    alice = enter()
    set_up(alice, words, house.wait_for(r"one-time code is +(\S+)")[1])
    add_the_firms_servers(alice, words, firm)
    alice.goto("/mail/")
    connect(alice, words, "alice@firm.test")
    expect(alice.get_by_role("heading", name=words.inbox)).to_be_visible()
    deliver(firm, "From the scanner", "Page 1 of 1")
    expect(alice.get_by_role("link", name=re.compile("From the scanner"))).to_be_visible()
    unread = alice.get_by_role("navigation").get_by_text("unread").filter(visible=True)
    expect(unread).to_have_count(1)


def is_what_was_written(delivered: bytes) -> bool:
    message = email.message_from_bytes(delivered)
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body.decode("utf-8").replace("\r\n", "\n") == WRITTEN


def without_trace(raw: bytes) -> bytes:
    """The message without the fields that servers put before it (RFC 5321, section 4.4)."""
    lines = raw.replace(b"\r\n", b"\n")
    start = lines.index(b"\nDate:") + 1 if not lines.startswith(b"Date:") else 0
    return lines[start:]


def deliver(firm: MailSystem, subject: str, text: str) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "carol@firm.test", "alice@firm.test"
    message["Subject"] = subject
    message.set_content(text)
    context = ssl.create_default_context(cadata=firm.ca_pem)
    context.check_hostname = False
    with smtplib.SMTP_SSL("127.0.0.1", firm.smtps_port, context=context, timeout=20) as smtp:
        smtp.login("carol", PASSWORD)
        smtp.send_message(message)
