"""New mail is announced by the browser. Without a screen Chromium shows no notification, so the
page's own ``Notification`` is one that writes down what it was told.
"""

from datetime import UTC, datetime

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect
from sqlalchemy.orm import Session

from models import User
from scripts.screenshots import page_in
from tests.browser.axe import OPTIONS
from tests.browser.served import come_in, served
from tests.mailroom import arrive, inbox_of, letter, mailbox_of

pytestmark = pytest.mark.browser

RECORDING = """
window.told = [];
window.Notification = class extends EventTarget {
  static permission = "granted";
  constructor(title, options) { super(); window.told.push({ title, ...options, shown: this }); }
  close() {}
};
"""


def test_the_browser_says_who_wrote_and_a_click_opens_the_message(
    app: Flask, session: Session, browser: Browser, bob: User
) -> None:
    mailbox = mailbox_of(session, bob)
    mailbox.notifies = True
    session.commit()
    with served(app) as address, page_in(browser, address, **OPTIONS) as page:
        page.add_init_script(RECORDING)
        come_in(page, "bob")
        raw = letter("Lunch")
        new = arrive(app, session, inbox_of(session, mailbox), raw, received_at=datetime.now(UTC))
        mailbox.version += 1
        session.commit()
        page.wait_for_function("window.told.length === 1")
        told = page.evaluate("(({ title, body, tag }) => ({ title, body, tag }))(window.told[0])")
        assert told == {"title": "Carol", "body": "Lunch", "tag": f"postroom-{new.id}"}
        page.evaluate("window.told[0].shown.dispatchEvent(new Event('click'))")
        page.wait_for_url(f"**/mail/messages/{new.id}")
        expect(page.get_by_role("heading", name="Lunch")).to_be_visible()
