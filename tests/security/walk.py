"""Every route of the product, each with rows that are there and a form that it accepts.

A new route is walked by itself. It has to be named here, or in tests/architecture/
test_access_matrix.py, only for what nobody can guess: a row for its address (ROWS, ROWS_OF) and
what its form needs to be accepted (TYPED).
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from domain import company, people, services, sessions
from models import ConnectionTest, Role, SignInAttempt, User
from tests.architecture import test_access_matrix as matrix
from tests.architecture.test_access_matrix import CHANGES, House, Value
from tests.conftest import PASSWORD, add, author
from web.access import Access, mark_of

NOBODY = ""
WHO_MAY = {Access.ANYONE: NOBODY, Access.SIGNED_IN: "bob", Access.ADMINISTRATOR: "alice"}
NOT_THERE = {"tour.index": "there only while the demo runs"}
NEW_PASSWORD = "staple battery horse"
SERVERS = {
    "smtp_server": "smtp.firm.example:465",
    "smtp_security": "TLS",
    "imap_server": "imap.firm.example:993",
    "imap_security": "TLS",
}
ROWS: dict[str, Callable[[House], Value]] = {
    **matrix.ROWS,
    "token": lambda house: people.new_link(house.session, house.owner, author()),
    "filename": lambda _: "postroom.css",
}
Form = dict[str, str]


def _new() -> str:
    return uuid.uuid4().hex


def _set_up(house: House) -> Form:
    code = people.new_setup_code(house.session, datetime.now(UTC))
    return {"code": code, "name": "Alice", "login": "alice", "password": PASSWORD}


def _connect(house: House) -> Form:
    service = str(services.choosable(house.session)[0].id)
    return {
        "address": f"{_new()}@gmail.com",
        "service": service,
        "login": "bob",
        "password": "its own",
    }


def _other(house: House) -> Form:
    version = str(company.settings(house.session).version)
    return {"version": version, "networks": "10.0.0.0/8", "process_default": "no"}


TYPED: dict[str, Callable[[House], Form]] = {
    "auth.invitation": lambda _: {"password": NEW_PASSWORD},
    "auth.set_up": _set_up,
    "auth.sign_in": lambda _: {"login": "bob", "password": PASSWORD},
    "compose.new": lambda house: {
        "key": str(uuid.uuid4()),
        "mailbox": str(house.mailbox.id),
        "to": "carol@firm.test",
    },
    "people.add": lambda _: {"name": "Dave", "login": _new(), "role": "EMPLOYEE"},
    "profile.change_password": lambda _: {"old": PASSWORD, "password": NEW_PASSWORD},
    "profile.connect": _connect,
    "profile.find": lambda _: {"address": f"bob@{_new()}.test"},
    "profile.set_preferences": lambda _: {"language": "RU", "theme": "DARK"},
    "services.add": lambda _: {"name": _new(), "process_default": "yes", **SERVERS},
    "services.find": lambda _: {"find_domain": "firm.test"},
    "services.set_other": _other,
    "services.test": lambda _: {**SERVERS, "test_login": "bob", "test_password": "its own"},
}


@dataclass(frozen=True)
class Visit:
    """One method of one route. ``who`` is the login of whoever may do it, empty for nobody.

    What is done at a ``fixed`` path may be done there once more.
    """

    endpoint: str
    method: str
    path: str
    who: str = NOBODY
    form: Form = field(default_factory=dict)
    fixed: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path} ({self.endpoint})"


class Walk:
    """The people of a test, and their way along every route."""

    def __init__(self, app: Flask, session: Session) -> None:
        self.app, self.session = app, session
        self._hashes: dict[str, str | None] = {}

    def visits(self, *methods: str) -> Iterator[Visit]:
        """Each at a moment when it is there; its rows are made, or mended, just before."""
        wanted = [
            (rule, method)
            for rule in self.app.url_map.iter_rules()
            for method in sorted((rule.methods or set()) & set(methods))
        ]
        for rule, method in wanted:
            if rule.endpoint == "auth.set_up":  # there as long as nobody is
                yield self._set_up(method)
        self.settle()
        for who in (NOBODY, "bob", "alice"):
            for rule, method in wanted:
                if rule.endpoint != "auth.set_up" and who_may(self.app, rule) == who:
                    yield self.visit(rule, method)

    def visit(self, rule: Rule, method: str) -> Visit:
        self.settle()
        house = House(self.app, self.session, self.person("bob"))
        path = _address(house, rule)
        form: Form = {}
        if method in CHANGES:
            typed = TYPED.get(rule.endpoint)
            form = typed(house) if typed else dict(matrix.typed(rule.endpoint))
        self.session.commit()
        return Visit(rule.endpoint, method, path, who_may(self.app, rule), form)

    def client(self, login: str) -> FlaskClient:
        """The browser of somebody who is signed in; with an empty login, of a stranger."""
        client = self.app.test_client()
        if login:
            now = datetime.now(UTC)
            token = sessions.begin(
                self.session, self.person(login), address="", user_agent="", now=now
            )
            self.session.commit()
            with client.session_transaction() as cookie:
                cookie["_user_id"] = token  # where Flask-Login looks for it
        return client

    def person(self, login: str) -> User:
        return self.session.scalars(select(User).where(User.login == login)).one()

    def settle(self) -> None:
        """Everybody is there and as at first, whatever was done to them on the way."""
        self.session.expire_all()
        for login, role in (("alice", Role.ADMINISTRATOR), ("bob", Role.EMPLOYEE)):
            if self.session.scalar(select(User).where(User.login == login)) is None:
                add(self.session, login.capitalize(), role)
            person = self.person(login)
            person.active, person.role = True, role
            person.password_hash = self._hashes.setdefault(login, person.password_hash)
        for kind in (ConnectionTest, SignInAttempt):
            self.session.execute(delete(kind))
        self.session.commit()

    def again(self, visit: Visit) -> Visit:
        """The same with rows of its own, for the first may have used its rows up."""
        rule, *_ = self.app.url_map.iter_rules(visit.endpoint)
        return visit if visit.fixed else self.visit(rule, visit.method)

    def _set_up(self, method: str) -> Visit:
        nobody = House(self.app, self.session, User(name="", login="", role=Role.EMPLOYEE))
        form = _set_up(nobody) if method in CHANGES else {}
        self.session.commit()
        return Visit("auth.set_up", method, "/set-up", form=form, fixed=True)


def who_may(app: Flask, rule: Rule) -> str:
    mark = mark_of(app, rule.endpoint)
    assert mark is not None, f"{rule.endpoint} has no mark"
    return WHO_MAY[mark]


def _address(house: House, rule: Rule) -> str:
    rows = ROWS | matrix.ROWS_OF.get(rule.endpoint, {})
    nameless = sorted(rule.arguments - rows.keys())
    assert not nameless, f"{rule.endpoint}: name a row for {nameless} in ROWS"
    values = {name: rows[name](house) for name in sorted(rule.arguments)}
    house.session.commit()
    return house.app.url_map.bind("localhost").build(
        rule.endpoint, {**values, **matrix.ASKED.get(rule.endpoint, {})}
    )
