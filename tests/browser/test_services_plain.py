"""The same without JavaScript: every step is a form and the page that it leads to."""

import re
import urllib.error
import urllib.parse
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import MailService, User
from scripts.house import House, running
from tests.conftest import PASSWORD as OWN_PASSWORD
from tests.plain_browser import PlainBrowser
from tests.servers.dns_server import DnsServer, serving_dns
from tests.servers.mail_system import PASSWORD, MailSystem
from tests.waiting import until

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

LIST = "/administration/mail/services/"
ADD = f"{LIST}add"


class Plain(PlainBrowser):
    """Presses the buttons of a page that it is shown; whatever the answer is, it is a page."""

    def press(self, page: str, path: str, **typed: str) -> str:
        token = re.findall(r'name="csrf_token" value="([^"]*)"', page)[-1]
        fields = urllib.parse.urlencode({"csrf_token": token, **typed}).encode()
        try:
            with self._opener.open(f"{self._address}{path}", fields, timeout=20) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.read().decode()


@pytest.fixture
def name_server(firm: MailSystem) -> Iterator[DnsServer]:
    with serving_dns() as server:
        server.add("_imaps._tcp.firm.test", "SRV", f"0 1 {firm.imaps_port} imap.firm.test.")
        server.add("_submissions._tcp.firm.test", "SRV", f"0 1 {firm.smtps_port} smtp.firm.test.")
        yield server


@pytest.fixture
def house(
    firm: MailSystem, name_server: DnsServer, data_folder: Path, alice: User
) -> Iterator[House]:
    settings = {"POSTROOM_HOSTS": firm.hosts, "POSTROOM_DNS": f"127.0.0.1:{name_server.port}"}
    with running("run-all", data_folder, settings, until="Postroom runs at") as started:
        yield started


@pytest.fixture
def alices(house: House) -> Plain:
    browser = Plain(house.address)
    browser.post("/sign-in", login="alice", password=OWN_PASSWORD)
    return browser


@pytest.fixture
def typed(firm: MailSystem) -> dict[str, str]:
    return {
        "of": "",
        "name": "Firm mail",
        "smtp_server": f"smtp.firm.test:{firm.smtps_port}",
        "smtp_security": "TLS",
        "imap_server": f"imap.firm.test:{firm.imaps_port}",
        "imap_security": "TLS",
        "imap_login_form": "LOCAL_PART",
        "smtp_login_form": "ADDRESS",
        "process_default": "no",
        "ca_pem": firm.ca_pem,
    }


@pytest.fixture
def service(alices: Plain, session: Session, typed: dict[str, str]) -> MailService:
    alices.press(alices.get(ADD), ADD, **typed)
    return session.scalars(select(MailService).where(~MailService.standard)).one()


def value(page: str, field: str) -> str:
    element = next(tag for tag in re.findall(r"<input[^>]*>", page) if f'name="{field}"' in tag)
    found = re.search(r' value="([^"]*)"', element)
    return unescape(found[1]) if found else ""


def looked_again(
    alices: Plain, page: str, path: str, typed: dict[str, str], done: Callable[[str], bool]
) -> str:
    """Presses *Look again* until it is over."""
    last = [page]

    def over() -> bool:
        if done(last[0]):
            return True
        look = re.search(r'name="look" value="([^"]*)"', last[0])
        assert look is not None, last[0]
        last[0] = alices.press(last[0], path, **typed, look=look[1])
        return False

    until(over)
    return last[0]


def test_settings_are_found_and_everything_else_that_was_typed_stays(
    alices: Plain, typed: dict[str, str], firm: MailSystem
) -> None:
    asked = {**typed, "smtp_server": "", "imap_server": "", "find_domain": "firm.test"}
    page = alices.press(alices.get(ADD), f"{LIST}find", **asked)
    page = looked_again(alices, page, f"{LIST}find", asked, lambda page: "Found in the" in page)
    assert value(page, "smtp_server") == f"smtp.firm.test:{firm.smtps_port}"
    assert value(page, "imap_server") == f"imap.firm.test:{firm.imaps_port}"
    assert value(page, "name") == "Firm mail"
    assert firm.ca_pem.splitlines()[1] in page


def test_the_connection_is_tried_and_the_password_is_in_no_page(
    alices: Plain, typed: dict[str, str]
) -> None:
    asked = {**typed, "test_login": "bob", "test_password": PASSWORD}
    page = alices.press(alices.get(ADD), f"{LIST}test", **asked)
    page = looked_again(alices, page, f"{LIST}test", typed, lambda page: "let this" in page)
    assert page.count("step-done") == 13
    assert value(page, "name") == "Firm mail"
    assert PASSWORD not in page


def test_it_is_hidden_deleted_and_brought_back_with_a_button_each(
    alices: Plain, session: Session, service: MailService
) -> None:
    own = f"{LIST}{service.id}"
    page = alices.press(alices.get(LIST), f"{own}/hide")
    assert "Firm mail is hidden: nobody can choose it any more." in page
    assert f'action="{own}/show"' in page.partition('id="toasts"')[2]
    page = alices.press(page, f"{own}/show")
    assert "Firm mail is shown again." in page

    page = alices.get(f"{own}/delete")
    assert "No mailbox uses this service." in page
    page = alices.press(page, f"{own}/delete")
    assert f'action="{own}/restore"' in page.partition('id="toasts"')[2]
    assert f'id="service-{service.id}"' not in page
    page = alices.press(alices.get(f"{LIST}deleted"), f"{own}/restore")
    assert f'id="service-{service.id}"' in page
    session.expire_all()
    assert service.deleted_at is None


def test_a_name_taken_meanwhile_is_changed_before_it_comes_back(
    alices: Plain, session: Session, service: MailService, typed: dict[str, str]
) -> None:
    own = f"{LIST}{service.id}"
    alices.press(alices.get(f"{own}/delete"), f"{own}/delete")
    alices.press(alices.get(ADD), ADD, **typed)
    page = alices.press(alices.get(f"{LIST}deleted"), f"{own}/restore")
    assert value(page, "name") == "Firm mail"
    alices.press(page, f"{own}/restore", name="Firm mail of old")
    session.expire_all()
    assert (service.name, service.deleted_at) == ("Firm mail of old", None)


def test_who_saves_second_is_told_and_saves_anyway(
    alices: Plain, session: Session, service: MailService, typed: dict[str, str]
) -> None:
    edit = f"{LIST}{service.id}/edit"
    opened = alices.get(edit)
    first = {**typed, "imap_server": "imap.post.firm.test:993", "version": value(opened, "version")}
    alices.press(opened, edit, **first)
    second = {**typed, "name": "Post", "version": value(opened, "version")}
    page = alices.press(opened, edit, **second)
    assert "imap.post.firm.test:993" in page
    assert "Save anyway" in page
    assert value(page, "name") == "Post"
    session.expire_all()
    assert service.name == "Firm mail"
    alices.press(page, edit, **{**second, "version": value(page, "version")})
    session.expire_all()
    assert (service.name, service.imap_host) == ("Post", "imap.firm.test")
