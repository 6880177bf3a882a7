"""Ids of other people's rows in forms and behind the question mark: as if no such row were."""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from wtforms import Field, HiddenField, SelectField
from wtforms.fields.choices import RadioField

from models import ConnectionTest, OutgoingMessage, Role, User
from tests.architecture.test_access_matrix import House, without_tokens
from tests.conftest import FRAGMENT, SignIn, add
from tests.mailroom import dump, mailbox_of
from tests.security.test_secrets import kinds_of_form

pytestmark = pytest.mark.security

ROOT = Path(__file__).resolve().parent.parent.parent
Row = Callable[[House], object]


@dataclass(frozen=True)
class Ask:
    """A request in which ``field`` names a row of somebody else's."""

    field: str
    row: Row
    path: str
    method: str = "GET"
    form: tuple[tuple[str, str], ...] = ()
    by_administrator: bool = False

    def __str__(self) -> str:
        return f"{self.field} in {self.method} {self.path}"


def key(house: House) -> str:
    message = house.session.get_one(OutgoingMessage, house.outgoing())
    return str(message.form_key)


def recent_test(house: House) -> uuid.UUID:
    """One that its owner may still go on with."""
    name = house.connection_test()
    test = house.session.scalars(select(ConnectionTest).where(ConnectionTest.uuid == name)).one()
    test.created_at = datetime.now(UTC)
    return name


SERVICES = "/administration/mail/services"
LETTER = (("to", "carol@firm.test"), ("subject", "Lunch"))
MAILBOX = (
    ("address", "carol@gmail.com"),
    ("service", "1"),
    ("login", "carol"),
    ("password", ""),
)
ASKS = [
    Ask("mailbox", lambda house: house.mailbox.id, "/mail/new"),
    Ask(
        "mailbox",
        lambda house: house.mailbox.id,
        "/mail/new",
        "POST",
        (*LETTER, ("key", str(uuid.uuid4()))),
    ),
    Ask("folder", House.folder, "/mail/changes"),
    Ask("tried", recent_test, "/profile/mail/connect"),
    Ask("tried", recent_test, "/profile/mail/connect", "POST", MAILBOX),
    Ask("look", House.service_test, f"{SERVICES}/test", "POST", by_administrator=True),
    Ask("look", House.search, f"{SERVICES}/find", "POST", by_administrator=True),
]
# What stands in other fields, and behind the question mark, and names no row that is somebody's.
NOBODYS = {
    "key": "the form's own, tested below",
    "opened": "a message beside a folder, tested below",
    "service": "a service, for all to choose; a hidden one is refused by its own tests",
    "target": "a service, for administrators alone",
    "of": "a service, for administrators alone",
    "person": "whom the change log is filtered by, for administrators alone",
    "next": "an address of our own, see web/access.py",
    "version": "a number to compare",
    "shown": "a number to compare",
    "after": "a place in a list of rows that were found through their owner",
    "until": "a place in a list of rows that were found through their owner",
    "name": "what is typed",
    "search": "what is typed",
    "address": "what is typed",
    "servers": "what the page named, to compare",
    "announced": "a number to compare",
    "do": "which button was pressed",
    "form": "which page shows the steps",
}


def names_that_may_name_a_row(app: Flask) -> Iterator[str]:
    """Of all forms the fields that nobody types into, and whatever views read by themselves."""
    with app.test_request_context():
        for kind in kinds_of_form():
            if getattr(kind.Meta, "csrf", True):
                yield from (field.short_name for field in kind() if chooses(field))
    for package in ("blueprints", "web"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            yield from re.findall(r'request\.(?:form|args|values)(?:\.get\w*\(|\[)"(\w+)"', text)
            yield from re.findall(r'_row_id\("(\w+)"\)', text)


def chooses(field: Field) -> bool:
    hidden = isinstance(field, HiddenField) and field.short_name != "csrf_token"
    return hidden or (isinstance(field, SelectField) and not isinstance(field, RadioField))


def test_every_field_that_may_name_a_row_is_asked_for_a_foreign_one(app: Flask) -> None:
    found = set(names_that_may_name_a_row(app))
    assert {"tried", "mailbox", "look", "folder", "key"} <= found
    unnamed = found - {one.field for one in ASKS} - NOBODYS.keys()
    assert unnamed == set(), "ask for a foreign row in ASKS, or say in NOBODYS why there is none"


def send(client: FlaskClient, ask: Ask, row: object, headers: dict[str, str]) -> tuple[int, str]:
    asked = {**dict(ask.form), ask.field: str(row)}
    if ask.method == "GET":
        answer = client.get(ask.path, query_string=asked, headers=headers)
    else:
        answer = client.post(ask.path, data=asked, headers=headers)
    told = f"{answer.text} {answer.location} {answer.headers.get('HX-Redirect')}"
    return answer.status_code, without_keys(told)


def without_keys(page: str) -> str:
    """A form's own key and token are other ones each time."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", without_tokens(page))


@pytest.mark.parametrize("ask", ASKS, ids=str)
@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["plain", "htmx"])
def test_a_foreign_row_looks_like_none_and_stays_as_it_is(
    app: Flask,
    session: Session,
    alice: User,
    bob: User,
    carol: User,
    signed_in: SignIn,
    ask: Ask,
    headers: dict[str, str],
) -> None:
    mailbox_of(session, carol)
    house = House(app, session, bob)
    clients = [signed_in(add(session, "Dave", Role.ADMINISTRATOR))]
    if not ask.by_administrator:
        clients.append(signed_in(carol))
    row = ask.row(house)
    session.commit()
    nowhere = uuid.uuid4() if isinstance(row, uuid.UUID) else 99999
    before = dump(session)
    for client in clients:
        assert send(client, ask, row, headers) == send(client, ask, nowhere, headers)
        assert dump(session) == before


def test_the_owner_is_asked_differently(
    app: Flask, session: Session, alice: User, bob: User, signed_in: SignIn
) -> None:
    """Or the test above would prove nothing."""
    house = House(app, session, bob)
    for ask in ASKS:
        row = ask.row(house)
        session.commit()
        nowhere = uuid.uuid4() if isinstance(row, uuid.UUID) else 99999
        client = signed_in(alice if ask.by_administrator else bob)
        assert send(client, ask, row, FRAGMENT) != send(client, ask, nowhere, FRAGMENT), str(ask)


def test_a_foreign_message_counts_as_gone_in_the_own_folder(
    app: Flask, session: Session, bob: User, carol: User, signed_in: SignIn
) -> None:
    house, client = House(app, session, carol), signed_in(carol)
    folder, own = house.folder(), house.message()
    foreign = House(app, session, bob).message()
    session.commit()
    ask = Ask("opened", House.message, "/mail/changes", form=(("folder", str(folder)),))
    told = [send(client, ask, row, FRAGMENT) for row in (own, foreign, 99999)]
    assert told[0] != told[1] == told[2]


def test_the_key_of_somebody_elses_letter_sends_nothing_of_theirs(
    app: Flask, session: Session, bob: User, carol: User, signed_in: SignIn
) -> None:
    own = mailbox_of(session, carol)
    theirs = key(House(app, session, bob))
    session.commit()
    before = dump(session, but=["mailbox"])
    typed = {**dict(LETTER), "key": theirs, "mailbox": str(own.id)}
    app.testing = False
    answer = signed_in(carol).post("/mail/new", data=typed)
    bobs = [row for row in before["outgoing_message"] if row[1] != own.id]
    assert bobs[0] in dump(session)["outgoing_message"]
    assert answer.location in (None, f"/mail/mailboxes/{own.id}")
