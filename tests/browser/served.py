"""An app that a test has made, where a browser reaches it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from playwright.sync_api import Page
from werkzeug.serving import make_server

from tests.conftest import PASSWORD

POLL_SECONDS = 0.02  # so long may it take until the server sees that it is to end


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The address of the app while it is served over a socket."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def come_in(page: Page, login: str) -> None:
    """Whoever was there before leaves; with an empty login nobody comes in."""
    page.context.clear_cookies()
    if login:
        page.goto("/sign-in")
        page.fill("#login", login)
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/mail/**")
