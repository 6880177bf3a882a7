"""*Demo*: what each person finds there."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models import User
from tests.conftest import PASSWORD, SignIn

SHOWN = {
    "people": [{"name": "Bob", "login": "bob", "password": PASSWORD, "administrator": False}],
    "mailbox": {"address": "office@firm.test", "password": "x", "service": "Firm mail"},
}
ADMINISTRATION = ('href="/administration/mail/services/"', 'href="/administration/people/"')


@pytest.fixture(autouse=True)
def demo(app: Flask, tmp_path: Path) -> None:
    shown = tmp_path / "people.json"
    shown.write_text(json.dumps(SHOWN), encoding="utf-8")
    settings = app.extensions["postroom_settings"]
    app.extensions["postroom_settings"] = replace(settings, demo_people=shown)


def content(client: FlaskClient) -> str:
    answer = client.get("/demo")
    assert answer.status_code == 200
    return answer.text.partition("<main")[2]


def test_alice_is_led_to_the_administration(alice: User, signed_in: SignIn) -> None:
    page = content(signed_in(alice))
    assert [link in page for link in ADMINISTRATION] == [True, True]


def test_who_is_no_administrator_reads_of_it_without_links(
    bob: User, signed_in: SignIn, client: FlaskClient
) -> None:
    for one in (signed_in(bob), client):
        page = content(one)
        assert "/administration" not in page
        assert "Service settings: the mail services" in page
        assert "People: add somebody" in page
        assert 'href="/mail/new"' in page


def test_whoever_tries_it_comes_in_with_one_click(bob: User, client: FlaskClient) -> None:
    page = client.get("/sign-in").text
    form = page.partition('aria-label="Sign in as Bob"')[0].rpartition("<form")[2]
    typed = dict(re.findall(r'name="(login|password)" value="([^"]*)"', form))
    assert client.post("/sign-in", data=typed).status_code == 303
    assert "Bob" in client.get("/profile/").text


def test_the_mailbox_that_waits_is_connected_with_its_password_alone(
    bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    link = re.search(r'href="(/profile/mail/connect[^"]*)"', content(client))
    assert link is not None
    assert 'value="office@firm.test"' in client.get(html.unescape(link[1])).text
