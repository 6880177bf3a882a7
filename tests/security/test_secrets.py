"""Passwords and keys go in and never come out again: no answer holds what was typed as one."""

import base64
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse
from wtforms import Field, PasswordField

from models import Base, User
from tests.architecture.test_access_matrix import CHANGES
from tests.conftest import FRAGMENT, PASSWORD, SignIn
from tests.security.walk import NEW_PASSWORD, Form, Visit, Walk
from web.forms import Form as WebForm

pytestmark = pytest.mark.security

ROOT = Path(__file__).resolve().parent.parent.parent
# A certificate that is trusted (ca_pem) is public, and is shown so that eyes can compare it.
SECRET_NAME = re.compile(r"password|passphrase|token|secret|private|pem_key|key_pem|api_key", re.I)
SECRET_COLUMN = re.compile(r"sealed_|_hash$|^token|secret|^mac$")
# Columns that look like it and are none.
NO_SECRETS = {"message.source_hash": "the name under which a message's source is kept"}


# The walk edits a service of the company's own, whose form is another one.
OF_STANDARD_SERVICES = [
    Visit(
        "services.edit",
        "POST",
        "/administration/mail/services/1/edit",
        "alice",
        {"domains": "no domain"},
        fixed=True,
    )
]


class Canary(str):
    """What is typed into a secret field: no page holds it for another reason."""

    __slots__ = ()


CANARY = Canary("kanarienvogel 7193")
TWO_LINES = Canary("kanarienvogel 7193\r\nzweite Zeile")
SHORT = Canary("zeisig97")


def kinds_of_form(kind: type[WebForm] = WebForm) -> Iterator[type[WebForm]]:
    for below in kind.__subclasses__():
        if below.__module__.startswith(("blueprints.", "web.")):
            yield below
        yield from kinds_of_form(below)


def secret_fields(app: Flask, kind: type[WebForm]) -> set[str]:
    """By their type, and by their names. A form that is filled from the address holds none."""
    if hasattr(kind.Meta, "csrf") and not kind.Meta.csrf:
        return set()
    with app.test_request_context():
        return {field.short_name for field in kind() if is_secret(field)} - {"csrf_token"}


def is_secret(field: Field) -> bool:
    return isinstance(field, PasswordField) or bool(SECRET_NAME.search(field.short_name))


def posts_of(visit: Visit, names: set[str]) -> Iterator[Form]:
    """What goes wrong with a form: at every field once, and at the secret ones themselves."""
    everywhere: Form = {**dict.fromkeys(sorted(names), CANARY), "csrf_token": CANARY}
    accepted = {**visit.form, **everywhere}
    yield everywhere
    yield accepted
    for name in visit.form.keys() - names:
        yield {**accepted, name: ""}
        yield {**accepted, name: "no\0thing"}
    for text in (TWO_LINES, SHORT):
        yield {**accepted, **dict.fromkeys(names, text)}
        for name in visit.form.keys() & names:
            yield {**visit.form, name: text}


def holds(answer: TestResponse, form: Form) -> bool:
    typed: set[str] = {text for text in form.values() if isinstance(text, Canary)}
    # Bob's own password, where it was typed beside one that is refused.
    typed |= {text for text in form.values() if text in (PASSWORD, NEW_PASSWORD)}
    said = f"{answer.text}\n{answer.headers}"
    return any(line in said for text in typed for line in text.split("\r\n"))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the kinds of forms that were made while one was answered."""
    made: set[str] = set()
    begin = WebForm.__init__

    def noting(self: WebForm, *given: object, **named: object) -> None:
        begin(self, *given, **named)
        if self.is_submitted():
            made.add(type(self).__name__)

    monkeypatch.setattr(WebForm, "__init__", noting)
    return made


def test_no_answer_holds_what_was_typed_into_a_secret_field(
    app: Flask, session: Session, shown: set[str]
) -> None:
    secret = {kind.__name__: secret_fields(app, kind) for kind in kinds_of_form()}
    secret = {kind: names for kind, names in secret.items() if names}
    names, told, refused = set().union(*secret.values()), [], set()
    walk = Walk(app, session)
    for visit in chain(walk.visits(*CHANGES), OF_STANDARD_SERVICES):
        for form in posts_of(visit, names):
            for headers in ({}, FRAGMENT):
                path = walk.again(visit).path
                client = walk.client(visit.who)
                shown.clear()
                answer = client.post(path, data=form, headers=headers)
                if answer.status_code in {409, 422, 429}:
                    refused |= {(kind, bool(headers)) for kind in shown}
                if any(holds(one, form) for one in (answer, *looks(client, path, answer))):
                    told.append(f"{visit}: {sorted(form.keys() & names)}")
            if not shown & secret.keys():
                break  # nothing there reads a secret; once was to be sure
    assert sorted(set(told)) == []
    unseen = {(kind, fragment) for kind in secret for fragment in (False, True)} - refused
    assert unseen == set(), "these forms were never refused, so nothing was proved"


def looks(client: FlaskClient, path: str, answer: TestResponse) -> Iterator[TestResponse]:
    """What the browser shows next: the page of the form, and where the answer leads."""
    yield client.get(path)
    where = answer.location or answer.headers.get("HX-Redirect")
    if where:
        yield client.get(where)


def test_whoever_was_signed_out_meanwhile_is_not_shown_it_either(
    app: Flask, session: Session
) -> None:
    names = set().union(*(secret_fields(app, kind) for kind in kinds_of_form()))
    for visit in Walk(app, session).visits("POST"):
        form = {**visit.form, **dict.fromkeys(names, CANARY), "text": "shown again"}
        for headers in ({}, FRAGMENT):
            assert not holds(app.test_client().post(visit.path, data=form, headers=headers), form)


def test_what_has_to_be_typed_again_says_so(
    app: Flask, client: FlaskClient, bob: User, signed_in: SignIn
) -> None:
    again = "Type it once more: a password is never kept in a page."
    wrong = {"old": PASSWORD, "password": "short"}
    page = signed_in(bob).post("/profile/password", data=wrong).text
    assert [field for field in ("old", "password") if error_of(page, field) == again] == ["old"]
    wrong = {"old": "wrong", "password": NEW_PASSWORD}
    page = signed_in(bob).post("/profile/password", data=wrong).text
    assert [field for field in ("old", "password") if error_of(page, field) == again] == [
        "password"
    ]
    page = signed_in(bob).post("/profile/password", data={"old": PASSWORD}).text
    assert error_of(page, "old") == again


def test_setting_up_asks_for_the_password_again_when_something_else_is_wrong(
    client: FlaskClient,
) -> None:
    again = "Type it once more: a password is never kept in a page."
    typed = {"code": "wrong", "name": "Alice", "login": "alice", "password": NEW_PASSWORD}
    for form in (typed, {**typed, "name": ""}):
        assert error_of(client.post("/set-up", data=form).text, "password") == again
    nothing = client.post("/set-up", data={**typed, "password": ""}).text
    assert error_of(nothing, "password") == "Choose a password."


def error_of(page: str, field: str) -> str:
    found = re.search(rf'id="{field}-error".*?<span>([^<]*)</span>', page, re.S)
    return found[1] if found else ""


def secret_columns() -> set[sa.Column[object]]:
    return {
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if SECRET_COLUMN.search(column.name) and str(column) not in NO_SECRETS
    }


def test_no_template_names_a_secret_column_but_to_ask_whether_it_is_filled() -> None:
    names = {column.name for column in secret_columns()}
    assert {"sealed_password", "password_hash", "token_hash"} <= names
    for path in (ROOT / "templates").rglob("*.html"):
        shown = re.sub(r"\bif (not )?[\w.]+", "", path.read_text(encoding="utf-8"))
        words = set(re.findall(r"[a-z_]+", shown))
        assert words & names == set(), path


def test_no_answer_holds_what_stands_in_a_secret_column(app: Flask, session: Session) -> None:
    walk = Walk(app, session)
    for visit in walk.visits("GET"):
        client = walk.client(visit.who)
        stored = set(spellings(session))
        assert stored or visit.endpoint == "auth.set_up"
        for headers in ({}, FRAGMENT):
            with client.get(visit.path, headers=headers) as answer:
                told = [one for one in stored if one in answer.data]
            assert told == [], str(visit)


def spellings(session: Session) -> Iterator[bytes]:
    """What stands in the secret columns, and the ways in which bytes are written as text."""
    for column in secret_columns():
        for kept in session.scalars(sa.select(column)):
            if kept:
                raw = kept if isinstance(kept, bytes) else str(kept).encode()
                yield from (raw, raw.hex().encode(), base64.b64encode(raw))
                yield base64.urlsafe_b64encode(raw)
