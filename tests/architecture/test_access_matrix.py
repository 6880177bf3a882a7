"""Every route with the id of a row: its owner gets in, others find nothing, nobody signs in.

Ids that stand in a form or behind the question mark: tests/security/test_foreign_ids.py.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from domain import (
    connecting,
    connection_tests,
    mailboxes,
    notices,
    outbox,
    searching,
    service_deletion,
)
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from models import (
    ConnectionTest,
    LoginForm,
    Mailbox,
    MailboxState,
    MailService,
    Role,
    User,
)
from models import Session as SessionRow
from tests.conftest import FRAGMENT, SignIn, author
from tests.mailroom import (
    NOW,
    RING,
    arrive,
    dump,
    inbox_of,
    letter,
    mailbox_of,
    queued,
    service_of,
)
from web.access import Access, mark_of

pytestmark = pytest.mark.security

CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
LOOKS = {"GET", "HEAD"}
PLAIN_AND_HTMX: tuple[Mapping[str, str], ...] = ({}, FRAGMENT)
Value = str | int | uuid.UUID


@dataclass(frozen=True)
class House:
    """What the rows of one cell are made with. ``owner`` is Bob, also of what Alice administers."""

    app: Flask
    session: Session
    owner: User

    @property
    def mailbox(self) -> Mailbox:
        present = mailboxes.connected(self.session, self.owner)
        return present[0] if present else mailbox_of(self.session, self.owner)

    def folder(self) -> int:
        return inbox_of(self.session, self.mailbox).id

    def message(self, *, seen: bool = False) -> int:
        folder = inbox_of(self.session, self.mailbox)
        return arrive(self.app, self.session, folder, letter(), seen=seen).id

    def outgoing(self) -> int:
        message = queued(self.session, self.mailbox)
        worker = uuid.uuid4()
        outbox.claim(self.session, message.id, worker, NOW)
        outbox.note_trouble(
            self.session, message.id, worker, cause="refused", words="", permanent=True, now=NOW
        )
        return message.id

    def signed_in_session(self) -> int:
        row = SessionRow(
            user_id=self.owner.id,
            token_hash=uuid.uuid4().hex,
            created_at=NOW,
            last_seen_at=NOW,
            address="",
            user_agent="",
        )
        self.session.add(row)
        self.session.flush()
        return row.id

    def connection_test(self) -> uuid.UUID:
        test = connecting.begin_test(
            self.session,
            self.owner,
            servers=service_of(self.session).id,
            address=f"{uuid.uuid4().hex}@firm.test",
            login="bob",
            password="secret",
            tried=None,
            ring=RING,
            now=NOW,
        )
        error = MailServerError(Step.NAME, Cause.CLOSED)
        connection_tests.fail(self.session, test.id, Protocol.IMAP, error)
        return test.uuid

    def person(self, *, active: bool = True, role: Role = Role.EMPLOYEE) -> int:
        self.owner.active, self.owner.role = active, role
        return self.owner.id

    def person_with_mail(self) -> int:
        mailbox_of(self.session, self.owner, f"{uuid.uuid4().hex}@firm.test")
        return self.person(active=False)

    def service(self) -> int:
        return service_of(self.session).id

    def hidden_service(self, *, hidden: bool) -> int:
        service = self.session.get_one(MailService, self.service())
        service.hidden = hidden
        return service.id

    def moved_mailbox(self) -> int:
        box = mailbox_of(self.session, self.owner, f"{uuid.uuid4().hex}@firm.test")
        box.state, box.agreed_domains = MailboxState.MOVED, ["old.test"]
        return box.id

    def contacted_mailbox(self) -> int:
        """Each try of a password is over before the next, for two at once are enough."""
        self.session.execute(delete(ConnectionTest))
        return self.mailbox.id

    def second_mailbox(self) -> int:
        """One that stands below another, and is not the default sender."""
        assert self.mailbox
        return mailbox_of(self.session, self.owner, f"{uuid.uuid4().hex}@firm.test").id

    def first_of_two_mailboxes(self) -> int:
        self.second_mailbox()
        return self.mailbox.id

    def unreachable_mailbox(self) -> int:
        """The next visit is waited for."""
        box = self.mailbox
        box.state, box.next_contact_at = MailboxState.UNREACHABLE, NOW + timedelta(days=3650)
        return box.id

    def deleted_service(self) -> int:
        service = self.session.get_one(MailService, self.service())
        service_deletion.delete(self.session, service, author())
        return service.id

    def notice(self) -> int:
        change: dict[str, tuple[object, object]] = {"imap_server": ("imap.old.test:993", "new")}
        service = self.mailbox.service
        assert service is not None
        notices.servers_changed(self.session, service, change, NOW)
        return notices.of_person(self.session, self.owner)[-1].id

    def own_search(self) -> uuid.UUID:
        return self._search_of(self.owner)

    def search(self) -> uuid.UUID:
        """Of whoever asks: an administrator."""
        alice = self.session.scalars(select(User).where(User.role == Role.ADMINISTRATOR)).first()
        return self._search_of(alice or self.owner)

    def _search_of(self, person: User) -> uuid.UUID:
        row = searching.begin(self.session, person, "firm.test", NOW)
        searching.claim(self.session, row.id)
        searching.finish(self.session, row.id, None)
        return row.uuid

    def service_test(self) -> uuid.UUID:
        alice = self.session.scalars(select(User).where(User.role == Role.ADMINISTRATOR)).first()
        test = connecting.begin_try(
            self.session,
            alice or self.owner,
            self.session.get_one(MailService, self.service()),
            login="",
            password="",
            login_forms=(LoginForm.ADDRESS, LoginForm.ADDRESS),
            ring=RING,
            now=NOW,
        )
        connection_tests.succeed(self.session, test.id)
        return test.uuid


# A new route whose argument is not named here has to say which row it is about.
ROWS: dict[str, Callable[[House], Value]] = {
    "folder_id": House.folder,
    "notice_id": House.notice,
    "search_uuid": House.search,
    "mailbox_id": lambda house: house.mailbox.id,
    "message_id": House.message,
    "outgoing_id": House.outgoing,
    "session_id": House.signed_in_session,
    "test_uuid": House.connection_test,
    "service_id": House.service,
    "user_id": lambda house: house.owner.id,
    "path": lambda _: "1",
}
# Rows as a verb needs them to change something.
ROWS_OF: dict[str, dict[str, Callable[[House], Value]]] = {
    "messages.unseen": {"message_id": lambda house: house.message(seen=True)},
    "people.new_link": {"user_id": House.person},
    "people.disable": {"user_id": House.person},
    "people.enable": {"user_id": lambda house: house.person(active=False)},
    "people.make_administrator": {"user_id": House.person},
    "people.make_employee": {"user_id": lambda house: house.person(role=Role.ADMINISTRATOR)},
    "people.delete_mail": {"user_id": House.person_with_mail},
    "profile.agree": {"mailbox_id": House.moved_mailbox},
    "profile.disconnect": {"mailbox_id": House.second_mailbox},
    "profile.mailbox": {"mailbox_id": House.second_mailbox},
    "profile.make_default": {"mailbox_id": House.second_mailbox},
    "profile.move_down": {"mailbox_id": House.first_of_two_mailboxes},
    "profile.move_up": {"mailbox_id": House.second_mailbox},
    "profile.new_password": {"mailbox_id": House.contacted_mailbox},
    "profile.try_now": {"mailbox_id": House.unreachable_mailbox},
    "profile.watch_search": {"search_uuid": House.own_search},
    "services.hide": {"service_id": lambda house: house.hidden_service(hidden=False)},
    "services.show": {"service_id": lambda house: house.hidden_service(hidden=True)},
    "services.restore": {"service_id": House.deleted_service},
    "services.watch_test": {"test_uuid": House.service_test},
}
# What a form needs to be accepted, and what stands behind the question mark.
TYPED: dict[str, dict[str, str]] = {
    "compose.reply": {"key": "", "to": "carol@firm.test"},
    "people.delete_mail": {"login": "bob"},
    "profile.disconnect": {"mail": "keep"},
    "profile.mailbox": {"sender_name": "Robert", "process_choice": "ALLOWED"},
    "profile.new_password": {"password": "another one"},
    "services.move": {"target": "1"},
    "services.edit": {
        "name": "Firm mail",
        "smtp_server": "smtp.firm.example:465",
        "smtp_security": "TLS",
        "imap_server": "imap.firm.example:993",
        "imap_security": "TLS",
        "process_default": "yes",
    },
}
ASKED = {
    "messages.older": {"after": "9000000000000000.1"},
    "profile.agree": {"servers": "imap.firm.test:993 smtp.firm.test:465"},
}


def typed(endpoint: str) -> dict[str, str]:
    """``key`` is another one each time: the same form is accepted once."""
    form = TYPED.get(endpoint, {})
    return form | {"key": str(uuid.uuid4())} if "key" in form else form


def routes(app: Flask, mark: Access) -> list[tuple[str, str, Rule]]:
    """Each route of that mark with the id of a row in its address, once for each method."""
    return [
        (rule.endpoint, method, rule)
        for rule in app.url_map.iter_rules()
        if rule.arguments and rule.endpoint != "static" and mark_of(app, rule.endpoint) is mark
        for method in sorted((rule.methods or set()) & (CHANGES | LOOKS))
    ]


def address(house: House, rule: Rule, *, missing: bool = False) -> str:
    """The route's address with rows of its own: an earlier cell may have changed them."""
    rows = ROWS | ROWS_OF.get(rule.endpoint, {})
    values = {name: rows[name](house) for name in sorted(rule.arguments)}
    house.session.commit()
    if missing:
        nowhere: dict[type, Value] = {int: 99999, uuid.UUID: uuid.uuid4()}
        values = {name: nowhere.get(type(value), value) for name, value in values.items()}
    return house.app.url_map.bind("localhost").build(
        rule.endpoint, {**values, **ASKED.get(rule.endpoint, {})}
    )


def answers(
    house: House, client: FlaskClient, mark: Access, *, headers: Mapping[str, str] | None = None
) -> dict[tuple[str, str], tuple[int, str, bool]]:
    """Of each route: the status, where it leads, and whether it changed a row."""
    found = {}
    for endpoint, method, rule in routes(house.app, mark):
        target = address(house, rule)
        data = typed(endpoint) if method in CHANGES else None
        before = dump(house.session)
        answer = client.open(target, method=method, data=data, headers=dict(headers or {}))
        changed = dump(house.session) != before
        where = answer.headers.get("HX-Redirect") or answer.location or ""
        found[endpoint, method] = (answer.status_code, where, changed)
    return found


def all_are_refused(
    found: Mapping[tuple[str, str], tuple[int, str, bool]], status: int
) -> list[tuple[str, str]]:
    return [cell for cell, answer in found.items() if (answer[0], answer[2]) != (status, False)]


def all_are_let_in(found: Mapping[tuple[str, str], tuple[int, str, bool]]) -> None:
    for (endpoint, method), (status, where, changed) in found.items():
        assert 200 <= status < 400, (endpoint, method, status)
        assert not where.startswith("/sign-in"), endpoint
        assert changed or method in LOOKS, (endpoint, "changed nothing, so it proves nothing")
        assert not (changed and method in LOOKS), (endpoint, method)


def all_lead_to_sign_in(house: House, client: FlaskClient, mark: Access) -> None:
    found = answers(house, client, mark)
    # What was typed at length is shown once more instead of being lost on the way.
    shown_again = {("compose.reply", "POST"), ("services.edit", "POST")} & found.keys()
    assert all_are_refused(found, 303) == sorted(shown_again)
    found = {cell: answer for cell, answer in found.items() if cell not in shown_again}
    found |= answers(house, client, mark, headers=FRAGMENT)
    assert all_are_refused(found, 401) == []
    assert all(where.startswith("/sign-in") for _, where, _ in found.values())


def test_every_argument_of_a_route_has_a_row_in_this_matrix(app: Flask) -> None:
    for mark in (Access.SIGNED_IN, Access.ADMINISTRATOR):
        found = routes(app, mark)
        assert found
        for endpoint, _, rule in found:
            assert rule.arguments <= set(ROWS), f"{endpoint}: name its row in ROWS"


def test_the_owner_gets_in_and_only_a_post_changes_anything(
    app: Flask, session: Session, bob: User, signed_in: SignIn
) -> None:
    house, client = House(app, session, bob), signed_in(bob)
    for headers in PLAIN_AND_HTMX:
        all_are_let_in(answers(house, client, Access.SIGNED_IN, headers=headers))


def test_another_employee_finds_nothing_of_it(
    app: Flask, session: Session, bob: User, carol: User, signed_in: SignIn
) -> None:
    house = House(app, session, bob)
    mailbox_of(session, carol)
    client = signed_in(carol)
    for headers in PLAIN_AND_HTMX:
        found = answers(house, client, Access.SIGNED_IN, headers=headers)
        assert all_are_refused(found, 404) == []


def test_an_administrator_finds_nothing_of_it_either(
    app: Flask, session: Session, alice: User, bob: User, signed_in: SignIn
) -> None:
    house = House(app, session, bob)
    mailbox_of(session, alice)
    client = signed_in(alice)
    for headers in PLAIN_AND_HTMX:
        found = answers(house, client, Access.SIGNED_IN, headers=headers)
        assert all_are_refused(found, 404) == []


def test_nobody_is_sent_to_sign_in(app: Flask, session: Session, bob: User) -> None:
    for mark in (Access.SIGNED_IN, Access.ADMINISTRATOR):
        all_lead_to_sign_in(House(app, session, bob), app.test_client(), mark)


@pytest.mark.parametrize("role", Role)
def test_whoever_is_disabled_or_signed_out_meanwhile_is_nobody(
    app: Flask, session: Session, bob: User, carol: User, signed_in: SignIn, role: Role
) -> None:
    mailbox_of(session, carol)
    carols, bobs = signed_in(carol), signed_in(bob)
    carol.active, carol.role = False, role
    session.execute(delete(SessionRow).where(SessionRow.user_id == bob.id))
    session.commit()
    for mark in (Access.SIGNED_IN, Access.ADMINISTRATOR):
        for client in (carols, bobs):
            all_lead_to_sign_in(House(app, session, bob), client, mark)


def test_the_administrator_gets_to_what_is_administered(
    app: Flask, session: Session, alice: User, bob: User, signed_in: SignIn
) -> None:
    house, client = House(app, session, bob), signed_in(alice)
    for headers in PLAIN_AND_HTMX:
        all_are_let_in(answers(house, client, Access.ADMINISTRATOR, headers=headers))


def test_an_employee_finds_nothing_that_is_administered(
    app: Flask, session: Session, bob: User, carol: User, signed_in: SignIn
) -> None:
    house = House(app, session, bob)
    client = signed_in(carol)
    for headers in PLAIN_AND_HTMX:
        found = answers(house, client, Access.ADMINISTRATOR, headers=headers)
        assert all_are_refused(found, 404) == []


def test_a_row_that_does_not_exist_looks_like_somebody_elses(
    app: Flask, session: Session, bob: User, carol: User, signed_in: SignIn
) -> None:
    house = House(app, session, bob)
    client = signed_in(carol)
    for endpoint, method, rule in routes(app, Access.SIGNED_IN):
        data = typed(endpoint) if method in CHANGES else None
        real, none = (
            client.open(address(house, rule, missing=missing), method=method, data=data)
            for missing in (False, True)
        )
        assert real.status_code == none.status_code, endpoint
        assert without_tokens(real.text) == without_tokens(none.text), endpoint


def without_tokens(page: str) -> str:
    """A form's token holds the second in which it was made."""
    return re.sub(r"[\w.-]{80,}", "", page)
