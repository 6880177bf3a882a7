"""``make demo``: everything is there at once, works, and is still there at the next start."""

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from demo.year import letters
from scripts.house import House, running
from tests.plain_browser import PlainBrowser
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("demo")

UNTIL = "The demo runs at"
PASSWORD = "postroom-demo"
NO_NEW_MAIL = {"POSTROOM_DEMO_INTERVAL": "0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture
def demo(folder: Path) -> Iterator[House]:
    with running("demo", folder, NO_NEW_MAIL, until=UNTIL) as started:
        yield started


def signed_in(demo: House, login: str) -> PlainBrowser:
    browser = PlainBrowser(demo.address)
    browser.post("/sign-in", login=login, password=PASSWORD)
    return browser


def subjects(browser: PlainBrowser) -> list[str]:
    return re.findall(r'<span class="subject">(.*?)</span>', browser.get("/mail/"))


def whole_list(browser: PlainBrowser) -> list[tuple[datetime, str]]:
    """Every message of the inbox: when it came, and what it is about."""
    found: list[tuple[str, str]] = []
    path: str | None = "/mail/"
    while path is not None:
        page = browser.get(path)
        found += re.findall(r'<time[^>]* datetime="([^"]+)".*?"subject">(.*?)</span>', page, re.S)
        older = re.search(r'<a class="btn btn-quiet" href="([^"]+)"', page)
        path = html.unescape(older[1]) if older else None
    moments = [(datetime.fromisoformat(moment), subject) for moment, subject in found]
    return [(moment.replace(tzinfo=moment.tzinfo or UTC), subject) for moment, subject in moments]


def files_on_the_mail_server(folder: Path) -> int:
    mail = folder / "demo" / "mail"
    return sum(file.parent.name in {"cur", "new"} for file in mail.rglob("*") if file.is_file())


def state(folder: Path) -> dict[str, int | str]:
    file = folder / "demo" / "state.json"
    kept: dict[str, int | str] = json.loads(file.read_text()) if file.exists() else {}
    return kept


def year_of(folder: Path) -> int:
    return len(letters(datetime.fromisoformat(str(state(folder)["begun_at"]))))


def test_logins_and_passwords_stand_on_the_sign_in_page(demo: House) -> None:
    page = PlainBrowser(demo.address).get("/sign-in")
    for login in ("alice", "bob", "carol"):
        assert f"<code>{login}</code>" in page
    assert page.count(f"<code>{PASSWORD}</code>") == 3
    assert page.count("administrator</span>") == 1


def test_all_three_are_connected_to_the_firms_service_and_have_mail(demo: House) -> None:
    for login in ("alice", "bob", "carol"):
        browser = signed_in(demo, login)
        page = browser.get("/profile/mail")
        assert f"{login}@firm.test" in page
        assert "Firm mail" in page
        until(partial(subjects, browser))
    services = signed_in(demo, "alice").get("/administration/mail/services/")
    assert "3 mailboxes" in services


def test_the_mailbox_that_waits_is_connected_with_address_and_password_alone(demo: House) -> None:
    browser = signed_in(demo, "carol")
    typed = {"address": "office@firm.test", "password": "not this one"}
    page = browser.post("/profile/mail/connect", **typed)
    assert "office@firm.test" in page
    assert "Name found" in page


def test_a_year_of_mail_is_there_in_both_languages(demo: House, folder: Path) -> None:
    browser = signed_in(demo, "alice")
    until(lambda: len(whole_list(browser)) > 100)
    listed = whole_list(browser)
    moments = [moment for moment, _ in listed]
    assert min(moments) < datetime.now(UTC) - timedelta(days=300)
    assert max(moments) <= datetime.now(UTC)
    assert moments == sorted(moments, reverse=True)
    assert 10 < sum(bool(re.search("[а-я]", subject)) for _, subject in listed) < len(listed) / 2
    assert files_on_the_mail_server(folder) == year_of(folder) == state(folder)["letters_put"]


def test_a_start_that_was_cut_off_goes_on_and_doubles_nothing(tmp_path: Path) -> None:
    house = House("demo", tmp_path, NO_NEW_MAIL)
    house.start()
    until(lambda: int(state(tmp_path).get("letters_put", 0)) > 60)
    house.stop()
    kept = state(tmp_path)
    assert UNTIL not in house.output
    # The worst moment: the message was put, and not counted yet.
    kept["letters_put"] = int(kept["letters_put"]) - 1
    (tmp_path / "demo" / "state.json").write_text(json.dumps(kept))
    with running("demo", tmp_path, NO_NEW_MAIL, until=UNTIL):
        assert files_on_the_mail_server(tmp_path) == year_of(tmp_path)
        assert state(tmp_path)["begun_at"] == kept["begun_at"]


def test_new_mail_arrives_by_itself(folder: Path) -> None:
    with running("demo", folder, {"POSTROOM_DEMO_INTERVAL": "1"}, until=UNTIL) as demo:
        alice = signed_in(demo, "alice")
        before = files_on_the_mail_server(folder)
        until(lambda: "The spring display is up" in subjects(alice))
        until(lambda: files_on_the_mail_server(folder) > before + 3)
    brought = state(folder)["arrivals"]
    assert int(brought) > 1
    with running("demo", folder, NO_NEW_MAIL, until=UNTIL):
        assert state(folder)["arrivals"] == brought


def test_an_interval_that_is_no_number_is_refused(folder: Path) -> None:
    house = House("demo", folder, {"POSTROOM_DEMO_INTERVAL": "often"})
    house.start()
    assert house.wait() == 1
    assert "is a number of seconds" in house.output


def test_what_bob_writes_reaches_carol_and_is_there_after_a_restart(folder: Path) -> None:
    with running("demo", folder, NO_NEW_MAIL, until=UNTIL) as demo:
        bob, carol = signed_in(demo, "bob"), signed_in(demo, "carol")
        mailbox = re.search(r'<option[^>]* value="(\d+)"', bob.get("/mail/new"))
        assert mailbox is not None
        bob.post("/mail/new", mailbox=mailbox[1], to="carol@firm.test", subject="Kept", text="x")
        until(lambda: "Kept" in subjects(carol))
        before = whole_list(carol)
        on_the_server = files_on_the_mail_server(folder)
    with running("demo", folder, NO_NEW_MAIL, until=UNTIL) as demo:
        again = signed_in(demo, "carol")
        assert whole_list(again) == before
        assert files_on_the_mail_server(folder) == on_the_server
        assert again.get("/profile/mail").count("<h2>carol@firm.test") == 1


def test_it_listens_on_loopback_only(folder: Path) -> None:
    house = House("demo", folder, {"POSTROOM_LISTEN": "0.0.0.0:5000"})
    house.start()
    assert house.wait() == 1
    assert "listens on loopback only" in house.output


def test_outside_the_demo_nobody_is_shown_a_password(tmp_path: Path) -> None:
    with running("run-all", tmp_path, until="one-time code") as house:
        assert PASSWORD not in PlainBrowser(house.address).get("/set-up")
