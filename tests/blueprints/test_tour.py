"""*Demo*: what each person finds there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models import User
from tests.conftest import SignIn

SHOWN = {
    "people": [{"name": "Bob", "login": "bob", "password": "x", "administrator": False}],
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
