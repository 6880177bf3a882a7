"""A service is found, tried out and added in the window, in both languages, on real servers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import MailService, User
from scripts.house import House, running
from tests.browser.served import come_in
from tests.servers.dns_server import DnsServer, serving_dns
from tests.servers.mail_system import PASSWORD, MailSystem

pytestmark = [
    pytest.mark.browser,
    pytest.mark.dovecot,
    pytest.mark.postfix,
    pytest.mark.xdist_group("servers"),
]

LIST = "/administration/mail/services/"
Enter = Callable[[str], Page]


@dataclass(frozen=True)
class Words:
    """What stands on the screen, as people read it."""

    locale: str
    add: str
    window: str
    name: str
    domain: str
    find: str
    found: str
    smtp: str
    imap: str
    more: str
    ca: str
    test: str
    trust: str
    nobody: str
    use: str
    login: str
    password: str
    let_in: str
    done: str


ENGLISH = Words(
    locale="en-GB",
    add="+ Add",
    window="Mail service settings",
    name="Name",
    domain="Domain",
    find="Find settings",
    found="Found in the DNS records of firm.test.",
    smtp="SMTP server",
    imap="IMAP server",
    more="More",
    ca="Trusted CA certificate (PEM)",
    test="Test connection",
    trust="Trust this company CA",
    nobody="Nobody signed in.",
    use="Use STARTTLS",
    login="Login",
    password="Password",
    let_in="Both servers let this login in.",
    done="Firm mail was added.",
)
RUSSIAN = Words(
    locale="ru-RU",
    add="+ Добавить",
    window="Настройки почтового сервиса",
    name="Название",
    domain="Домен",
    find="Найти настройки",
    found="Найдено в записях DNS домена firm.test.",
    smtp="SMTP сервер",
    imap="IMAP сервер",
    more="Дополнительно",
    ca="Доверенный сертификат CA (PEM)",
    test="Проверить соединение",
    trust="Доверять центру компании",
    nobody="Вход не выполнялся.",
    use="Выбрать STARTTLS",
    login="Логин",
    password="Пароль",
    let_in="Оба сервера пустили с этим логином.",
    done="Сервис «Firm mail» добавлен.",
)


@pytest.fixture
def name_server(firm: MailSystem) -> Iterator[DnsServer]:
    """Knows where the firm's servers are."""
    with serving_dns() as server:
        imap = f"0 1 {firm.imaps_port} imap.firm.test."
        smtp = f"0 1 {firm.smtps_port} smtp.firm.test."
        server.add("_imaps._tcp.firm.test", "SRV", imap)
        server.add("_submissions._tcp.firm.test", "SRV", smtp)
        yield server


@pytest.fixture
def house(
    firm: MailSystem, name_server: DnsServer, data_folder: Path, alice: User
) -> Iterator[House]:
    settings = {"POSTROOM_HOSTS": firm.hosts, "POSTROOM_DNS": f"127.0.0.1:{name_server.port}"}
    with running("run-all", data_folder, settings, until="Postroom runs at") as started:
        yield started


@pytest.fixture
def enter(browser: Browser, house: House) -> Iterator[Enter]:
    """Alice's browser; whatever it writes to its console fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(locale: str) -> Page:
        context = browser.new_context(locale=locale, base_url=house.address)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" else None,
        )
        come_in(page, "alice")
        page.goto(LIST)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def chosen(window: Locator, name: str) -> Locator:
    return window.locator(f"[name={name}]:checked")


def steps(window: Locator, state: str) -> Locator:
    return window.locator(f"#test .step-{state}")


@pytest.mark.parametrize("words", [ENGLISH, RUSSIAN], ids=["english", "russian"])
def test_a_service_is_found_tried_out_and_added(
    enter: Enter, firm: MailSystem, session: Session, words: Words
) -> None:
    page = enter(words.locale)
    page.get_by_role("link", name=words.add, exact=True).click()
    window = page.get_by_role("dialog", name=words.window)
    expect(window.get_by_label(words.name)).to_be_focused()
    page.keyboard.type("Firm mail")
    window.get_by_label(words.domain, exact=True).fill("firm.test")
    window.get_by_label(words.domain, exact=True).press("Enter")
    expect(window.get_by_text(words.found)).to_be_visible()
    smtp, imap = window.get_by_label(words.smtp), window.get_by_label(words.imap)
    expect(smtp).to_have_value(f"smtp.firm.test:{firm.smtps_port}")
    expect(imap).to_have_value(f"imap.firm.test:{firm.imaps_port}")
    expect(chosen(window, "smtp_security")).to_have_value("TLS")
    expect(window.get_by_label(words.name)).to_have_value("Firm mail")

    tries = window.get_by_role("button", name=words.test)
    tries.click()
    expect(steps(window, "failed")).to_have_count(1)
    expect(window.locator("#test .certificate")).to_contain_text("Firm demo CA")
    window.get_by_role("button", name=words.trust).click()
    expect(window.get_by_label(words.ca)).to_be_focused()
    window.get_by_label(words.ca).fill(firm.ca_pem)
    tries.click()
    expect(window.get_by_text(words.nobody)).to_be_in_viewport()
    expect(steps(window, "done")).to_have_count(12)

    imap.fill(f"imap.firm.test:{firm.imap_port}")
    window.get_by_label(words.login, exact=True).fill("bob")
    window.get_by_label(words.password).fill(PASSWORD)
    tries.click()
    use = window.get_by_role("button", name=words.use)
    use.click()
    expect(chosen(window, "imap_security")).to_have_value("STARTTLS")
    tries.click()
    expect(window.get_by_text(words.let_in)).to_be_in_viewport()

    window.get_by_label(words.name).press("Enter")
    expect(window).to_have_count(0)
    row = page.get_by_role("row", name="Firm mail")
    expect(row).to_contain_text(str(firm.imap_port))
    expect(page.get_by_role("status").get_by_text(words.done)).to_be_visible()
    added = session.scalars(select(MailService).where(~MailService.standard)).one()
    assert added.imap_security.name == "STARTTLS"


def test_what_is_found_nowhere_is_said_and_what_was_typed_stays(
    enter: Enter, name_server: DnsServer
) -> None:
    page = enter("en-GB")
    page.get_by_role("link", name="+ Add").click()
    window = page.get_by_role("dialog")
    window.get_by_label("IMAP server").fill("imap.nowhere.test:993")
    window.get_by_label("Domain", exact=True).fill("nowhere.test")
    window.get_by_role("button", name="Find settings").click()
    expect(window.get_by_text("Nothing was found for nowhere.test.")).to_be_visible()
    expect(window.get_by_label("IMAP server")).to_have_value("imap.nowhere.test:993")
    assert "_imaps._tcp.nowhere.test SRV" in name_server.asked


def test_only_what_was_found_takes_the_place_of_what_was_typed(
    enter: Enter, name_server: DnsServer
) -> None:
    name_server.add("_imaps._tcp.half.test", "SRV", "0 1 1993 imap.half.test.")
    page = enter("en-GB")
    page.get_by_role("link", name="+ Add").click()
    window = page.get_by_role("dialog")
    smtp = window.get_by_label("SMTP server")
    smtp.fill("smtp.half.test:587")
    window.get_by_text("More", exact=True).click()
    window.locator("[name=smtp_login_form][value=TYPED]").check()
    window.locator("[name=imap_login_form][value=LOCAL_PART]").check()
    window.get_by_label("Domain", exact=True).fill("half.test")
    window.get_by_role("button", name="Find settings").click()
    expect(window.get_by_label("IMAP server")).to_have_value("imap.half.test:1993")
    expect(chosen(window, "imap_login_form")).to_have_value("ADDRESS")
    expect(smtp).to_have_value("smtp.half.test:587")
    expect(chosen(window, "smtp_security")).to_have_value("STARTTLS")
    expect(chosen(window, "smtp_login_form")).to_have_value("TYPED")
