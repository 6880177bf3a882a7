"""``make demo``: everything is there at once, works, and is still there at the next start."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from scripts.house import House, running
from tests.plain_browser import PlainBrowser
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("demo")

UNTIL = "The demo runs at"
PASSWORD = "postroom-demo"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture
def demo(folder: Path) -> Iterator[House]:
    with running("demo", folder, until=UNTIL) as started:
        yield started


def signed_in(demo: House, login: str) -> PlainBrowser:
    browser = PlainBrowser(demo.address)
    browser.post("/sign-in", login=login, password=PASSWORD)
    return browser


def subjects(browser: PlainBrowser) -> list[str]:
    return re.findall(r'<span class="subject">(.*?)</span>', browser.get("/mail/"))


def test_logins_and_passwords_stand_on_the_sign_in_page(demo: House) -> None:
    page = PlainBrowser(demo.address).get("/sign-in")
    for login in ("alice", "bob", "carol"):
        assert f"<code>{login}</code>" in page
    assert page.count(f"<code>{PASSWORD}</code>") == 3
    assert page.count("administrator") == 1


def test_all_three_are_connected_to_the_firms_service_and_have_mail(demo: House) -> None:
    for login in ("alice", "bob", "carol"):
        browser = signed_in(demo, login)
        page = browser.get("/profile/mail")
        assert f"{login}@firm.test" in page
        assert "Firm mail" in page
        until(partial(subjects, browser))
    services = signed_in(demo, "alice").get("/administration/mail/services/")
    assert "3 mailboxes" in services


def test_what_bob_writes_reaches_carol_and_is_there_after_a_restart(folder: Path) -> None:
    with running("demo", folder, until=UNTIL) as demo:
        bob, carol = signed_in(demo, "bob"), signed_in(demo, "carol")
        mailbox = re.search(r'<option[^>]* value="(\d+)"', bob.get("/mail/new"))
        assert mailbox is not None
        bob.post("/mail/new", mailbox=mailbox[1], to="carol@firm.test", subject="Kept", text="x")
        until(lambda: "Kept" in subjects(carol))
        before = subjects(carol)
    with running("demo", folder, until=UNTIL) as demo:
        again = signed_in(demo, "carol")
        assert subjects(again) == before
        assert again.get("/profile/mail").count("carol@firm.test") == 1


def test_it_listens_on_loopback_only(folder: Path) -> None:
    house = House("demo", folder, {"POSTROOM_LISTEN": "0.0.0.0:5000"})
    house.start()
    assert house.wait() == 1
    assert "listens on loopback only" in house.output


def test_outside_the_demo_nobody_is_shown_a_password(tmp_path: Path) -> None:
    with running("run-all", tmp_path, until="one-time code") as house:
        assert PASSWORD not in PlainBrowser(house.address).get("/set-up")
