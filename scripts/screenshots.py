"""Every page as a picture: both themes, both languages, three widths, on one contact sheet.

``make screenshots`` writes screenshots/contact-sheet.png, screenshots/index.html and a picture for
each combination. ``--docs`` also renews the pictures that the documents show. What is seen is the
demo, and a house that nobody has set up yet.
"""

import html
import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from scripts.house import ROOT, running

FOLDER = ROOT / "screenshots"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PASSWORD = "postroom-demo"  # noqa: S105 - the demo's, shown on its sign-in page
WIDTHS = {1440: 900, 1024: 768, 390: 844}
THEMES = ("light", "dark")
LANGUAGES = {"en": "en-GB", "ru": "ru-RU"}
# What the documents show: a picture here, and the file it becomes.
DOCUMENTS = {
    "message-1440-light-en": "docs/mail.png",
    "services-1440-light-en": "docs/tour/services.png",
    "service-window-refused-1440-light-en": "docs/tour/service-window.png",
    "connect-failed-1440-light-en": "docs/tour/connect.png",
    "message-html-1440-dark-ru": "docs/tour/message.png",
    "outbox-1440-light-en": "docs/tour/outbox.png",
    "mail-390-light-en": "docs/tour/phone.png",
}

Do = Callable[[Page], None]


@dataclass(frozen=True)
class Shot:
    """``then`` brings the page into the state that is wanted."""

    name: str
    path: str
    who: str = ""
    then: Do | None = None


@dataclass(frozen=True)
class Scene:
    """A house that runs, and for each person what a browser keeps after signing in."""

    address: str
    cookies: dict[str, Any]
    shots: tuple[Shot, ...]


def open_window(page: Page) -> None:
    page.locator("[hx-target='#window']").first.click()
    page.locator("dialog[open]").wait_for()


def open_disabling(page: Page) -> None:
    page.locator("a[href$='/disable']").first.click()
    page.locator("dialog[open]").wait_for()


def open_window_and_save_nothing(page: Page) -> None:
    open_window(page)
    page.locator("dialog footer button[type=submit]").click()
    page.locator("dialog .field-error").first.wait_for()


def open_message(subject: str) -> Do:
    def act(page: Page) -> None:
        page.locator(".message-row > a", has_text=subject).first.click()
        page.locator("#opened").wait_for()
        page.frame_locator("iframe").locator("body").wait_for()

    return act


def open_mailbox_settings(page: Page) -> None:
    page.locator(".own-actions a[id$='-settings']").first.click()
    page.locator("[role=textbox]").wait_for()


def open_disconnecting(page: Page) -> None:
    page.click("a[href$='/disconnect'] >> nth=0")
    page.wait_for_url("**/disconnect")


def connect_wrongly(page: Page) -> None:
    """The server says no, on the same page."""
    page.fill("#address", "someone.else@firm.test")
    page.fill("#password", "not this one")
    page.keyboard.press("Enter")
    page.locator("[role=alert]").wait_for()


def send_empty(page: Page) -> None:
    page.locator("main form button[type=submit]").first.click()
    page.locator(".field-error").first.wait_for()


def sign_in_wrongly(page: Page) -> None:
    page.fill("#login", "alice")
    page.fill("#password", "not this one")
    send_empty(page)


def sign_in(browser: Browser, address: str, login: str) -> Any:
    with page_in(browser, address) as page:
        page.goto("/sign-in")
        page.fill("#login", login)
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/mail/**")
        return page.context.storage_state()


@contextmanager
def page_in(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    context = browser.new_context(base_url=address, **options)
    try:
        yield context.new_page()
    finally:
        context.close()


SHOTS = (
    Shot("sign-in", "/sign-in"),
    Shot("sign-in-refused", "/sign-in", then=sign_in_wrongly),
    Shot("mail", "/mail/", "alice"),
    Shot("message", "/mail/", "alice", open_message("Delivery for the school fair")),
    Shot("message-html", "/mail/", "bob", open_message("Forty hills from a drawer")),
    Shot("write", "/mail/new", "bob"),
    Shot("write-refused", "/mail/new", "bob", send_empty),
    Shot("outbox", "/mail/outbox", "bob"),
    Shot("services", "/administration/mail/services/", "alice"),
    Shot("service-window", "/administration/mail/services/", "alice", open_window),
    Shot(
        "service-window-refused",
        "/administration/mail/services/",
        "alice",
        open_window_and_save_nothing,
    ),
    Shot("service-page", "/administration/mail/services/add", "alice"),
    Shot("people", "/administration/people/", "alice"),
    Shot("person-window", "/administration/people/", "alice", open_window),
    Shot("person-disabling", "/administration/people/", "alice", open_disabling),
    Shot("mailboxes", "/administration/mail/mailboxes/", "alice"),
    Shot("changelog", "/administration/mail/changes/", "alice"),
    Shot("demo", "/demo", "bob"),
    Shot("profile", "/profile/", "bob"),
    Shot("profile-mail", "/profile/mail", "bob"),
    Shot("mailbox-settings", "/profile/mail", "bob", open_mailbox_settings),
    Shot("connect", "/profile/mail/connect", "bob"),
    Shot("connect-failed", "/profile/mail/connect", "bob", connect_wrongly),
    Shot("disconnect", "/profile/mail", "bob", open_disconnecting),
    Shot("not-found", "/nothing/here", "bob"),
)


def demo_scene(browser: Browser, address: str) -> Scene:
    cookies = {login: sign_in(browser, address, login) for login in ("alice", "bob")}
    with page_in(browser, address, storage_state=cookies["bob"]) as page:
        refused = _refused_connection(page)
        _undeliverable_message(page)
    with page_in(browser, address, storage_state=cookies["alice"]) as page:
        invitation = _invitation(page)
    of_this_demo = (
        Shot("invitation", invitation),
        Shot("connect-refused", refused, "bob"),
    )
    return Scene(address, cookies, SHOTS + of_this_demo)


def _refused_connection(page: Page) -> str:
    page.goto("/profile/mail/connect")
    page.fill("#address", "someone.else@firm.test")
    page.select_option("#service", label="Firm mail")
    page.fill("#login", "someone.else")
    page.fill("#password", "not this one")
    with page.expect_request("**/profile/mail/connect/*") as polled:
        page.click("main form .btn-primary[type=submit]")
    page.locator("[role=alert]").wait_for()
    return polled.value.url.partition("?")[0]


def _undeliverable_message(page: Page) -> None:
    page.goto("/mail/new")
    page.fill("#to", "nobody@firm.test")
    page.fill("#subject", "To someone who does not work here")
    page.click("main form button[type=submit]")
    page.goto("/mail/outbox")
    page.locator(".outgoing .btn-primary").wait_for()


def _invitation(page: Page) -> str:
    page.goto("/administration/people/add")
    page.fill("#name", "Dora Autumn")
    page.fill("#login", "dora")
    page.click("main form button[type=submit]")
    return page.input_value("#invitation-link")


def take(browser: Browser, scenes: list[Scene]) -> list[tuple[str, list[Path]]]:
    """Each shot's name and its pictures, in the order of the combinations."""
    taken: dict[str, list[Path]] = {}
    shots = [(scene, shot) for scene in scenes for shot in scene.shots]
    for language, theme, (width, height) in itertools.product(LANGUAGES, THEMES, WIDTHS.items()):
        for scene, shot in shots:
            picture = FOLDER / f"{shot.name}-{width}-{theme}-{language}.png"
            with page_in(
                browser,
                scene.address,
                storage_state=scene.cookies.get(shot.who),
                viewport={"width": width, "height": height},
                locale=LANGUAGES[language],
                color_scheme=theme,
                reduced_motion="reduce",
            ) as page:
                page.goto(shot.path)
                if shot.then is not None:
                    shot.then(page)
                page.screenshot(path=picture)
            taken.setdefault(shot.name, []).append(picture)
    return list(taken.items())


def contact_sheet(browser: Browser, taken: list[tuple[str, list[Path]]]) -> None:
    rows = "".join(
        f"<h2>{html.escape(name)}</h2><div>"
        + "".join(f'<a href="{one.name}"><img src="{one.name}" alt=""></a>' for one in pictures)
        + "</div>"
        for name, pictures in taken
    )
    index = FOLDER / "index.html"
    index.write_text(
        "<!doctype html><meta charset=utf-8><title>Postroom</title><style>"
        "body{font:14px sans-serif;margin:16px;background:#999}h2{margin:12px 0 4px;font-size:14px}"
        "div{display:flex;gap:6px}img{height:150px;display:block}</style>" + rows,
        encoding="utf-8",
    )
    with page_in(browser, "", viewport={"width": 2400, "height": 900}) as page:
        page.goto(index.as_uri())
        page.screenshot(path=FOLDER / "contact-sheet.png", full_page=True)


def chromium(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


def main() -> int:
    if not Path(CHROMIUM).exists():
        print("Chromium is missing; no pictures.")
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        still = {"POSTROOM_DEMO_INTERVAL": "0"}  # no new mail between two pictures
        demo = stack.enter_context(running("demo", data / "demo", still, until="The demo runs at"))
        empty = stack.enter_context(running("run-all", data / "empty", until="one-time code"))
        browser = chromium(stack.enter_context(sync_playwright()))
        set_up = Scene(empty.address, {}, (Shot("set-up", "/set-up"),))
        taken = take(browser, [set_up, demo_scene(browser, demo.address)])
        contact_sheet(browser, taken)
    if "--docs" in sys.argv[1:]:
        (ROOT / "docs/tour").mkdir(exist_ok=True)
        for picture, document in DOCUMENTS.items():
            shutil.copy(FOLDER / f"{picture}.png", ROOT / document)
    print(f"{sum(len(pictures) for _, pictures in taken)} pictures; see {FOLDER}/contact-sheet.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
