"""The notices as they stand in a page: what each says, and its one button."""

import html
import re
from dataclasses import dataclass

from flask.testing import FlaskClient

MAIL = "/mail/"
_NOTICE = re.compile(r'<div class="notice [^>]*>(.*?)</div>', re.DOTALL)
_SENTENCE = re.compile(r"<p>(.*?)(?: <a .*?)?</p>", re.DOTALL)
_BUTTON = re.compile(r'<(?:button|a class="btn)[^>]*>(.*?)</(?:button|a)>', re.DOTALL)


@dataclass(frozen=True)
class Seen:
    sentence: str
    buttons: list[str]
    html: str

    @property
    def address(self) -> str:
        """Where its form is sent to, or its link leads."""
        found = re.search(r'(?:action|class="btn[^"]*" href)="([^"]*)"', self.html)
        assert found is not None, self.html
        return html.unescape(found[1])


def notices_in(page: str) -> list[Seen]:
    return [
        Seen(
            html.unescape(_SENTENCE.findall(notice)[0]),
            [html.unescape(found) for found in _BUTTON.findall(notice)],
            notice,
        )
        for notice in _NOTICE.findall(page)
    ]


def notices_at(client: FlaskClient, path: str = MAIL, language: str = "en") -> list[Seen]:
    page = client.get(path, headers={"Accept-Language": language}, follow_redirects=True)
    return notices_in(page.text)
