"""The same vectors in a real browser without any policy: the sanitiser alone has to hold."""

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Request, Route

from mail.safe_html import TooComplex, document, sanitise
from tests.corpus.test_html_corpus import VECTORS

pytestmark = pytest.mark.browser

PAGE = "https://postroom.test/mail/messages/7/body"
ALARM = """
for (const name of ["alert", "confirm", "prompt", "eval"]) window[name] = () => { window.ran = 1 };
"""


def cleaned(vector: dict[str, Any]) -> str:
    try:
        return sanitise(vector["html"], cid_address=lambda _cid: None).html
    except TooComplex:
        return ""


def test_nothing_runs_and_nothing_is_asked_for_but_the_page_itself(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    shown = {"html": ""}

    def answer(route: Route, request: Request) -> None:
        if request.url == PAGE:
            route.fulfill(body=document(shown["html"], "en"), content_type="text/html")
        else:
            asked.append(request.url)
            route.abort()

    page.route("**/*", answer)
    page.add_init_script(ALARM)
    faults = []
    for vector in VECTORS:
        shown["html"] = cleaned(vector)
        page.goto(PAGE)
        if asked or page.url != PAGE or page.evaluate("window.ran"):
            faults.append((vector["id"], list(asked), page.url))
            asked.clear()
    context.close()
    assert json.dumps(faults) == "[]"
