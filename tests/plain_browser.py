"""A browser without JavaScript, against a house that runs as a process of its own."""

import re
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar


class PlainBrowser:
    """As much of a browser as a form without JavaScript needs."""

    def __init__(self, address: str) -> None:
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(cookies)
        self._address = address

    def get(self, path: str) -> str:
        with self._opener.open(f"{self._address}{path}", timeout=20) as answer:
            page: bytes = answer.read()
        return page.decode()

    def post(self, path: str, **typed: str) -> str:
        """Opens the form, fills it in and sends it; the page that it leads to."""
        hidden = re.findall(
            r'type="hidden" [^>]*?name="(\w+)"[^>]*? value="([^"]*)"', self.get(path)
        )
        hidden += re.findall(r'name="(\w+)" type="hidden" value="([^"]*)"', self.get(path))
        fields = urllib.parse.urlencode({**dict(hidden), **typed}).encode()
        with self._opener.open(f"{self._address}{path}", fields, timeout=20) as answer:
            page: bytes = answer.read()
        return page.decode()
