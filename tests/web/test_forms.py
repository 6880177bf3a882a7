"""How templates show a field that was refused."""

import re

import pytest
from flask import Flask
from wtforms import RadioField, StringField

from mail.errors import RuleError
from web.forms import Form

SHOWN = """{% from "macros/forms.html" import text, choice %}
{{ text(form.server) }}{{ choice(form.security) }}"""


class Block(Form):
    server = StringField("Server")
    security = RadioField("Security", choices=["NONE", "STARTTLS", "TLS"])


@pytest.mark.parametrize(
    ("refused", "chosen", "focused"),
    [
        ([], "TLS", []),
        (["server"], "TLS", ["server"]),
        (["security"], "STARTTLS", ["STARTTLS"]),
        (["security"], None, ["NONE"]),
        (["server", "security"], "TLS", ["server", "TLS"]),
    ],
)
def test_what_is_wrong_asks_for_the_focus_and_the_browser_takes_the_first(
    app: Flask, refused: list[str], chosen: str | None, focused: list[str]
) -> None:
    with app.test_request_context():
        form = Block(data={"server": "imap.firm.test", "security": chosen})
        for name in refused:
            form.refuse(RuleError(name, "required"))
        page = app.jinja_env.from_string(SHOWN).render(form=form)
    asks = [one for one in re.findall(r"<input[^>]*>", page) if " autofocus" in one]
    values = [re.search(r' (?:value="(\w+)"|name="(server)")', one) for one in asks]
    assert [one[1] or one[2] for one in values if one] == focused
