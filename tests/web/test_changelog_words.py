"""The change log in words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.changelog import LoggedService, Writer
from models import ChangeLogEntry, User
from tests.conftest import ROOT
from tests.mailroom import NOW, service_of
from web import changelog_words
from web.changelog_words import ACTIONS, FIELDS, Change, Value
from web.clock import clock

DOMAIN = ROOT / "domain"
AREAS = {path.stem for path in DOMAIN.glob("*.py")} | {"settings"}


@pytest.fixture(autouse=True)
def in_english(app: Flask) -> Iterator[None]:
    with app.test_request_context():
        yield


def recorded_actions(folder: Path) -> set[str]:
    """Every text in a verb that looks like an action: an area, a dot, what is done there."""
    texts = (
        node.value
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {
        one
        for one in texts
        if re.fullmatch(r"[a-z_]+\.[a-z_]+", one) and one.partition(".")[0] in AREAS
    }


def only(field: str, old: object, new: object) -> Change:
    (change,) = changelog_words.changes("services.edit", {field: (old, new)})
    return change


def test_every_action_that_a_verb_records_is_worded() -> None:
    recorded = recorded_actions(DOMAIN)
    assert {"services.add", "services.edit", "people.new_link"} <= recorded
    assert recorded - ACTIONS.keys() == set()


def test_an_action_that_nobody_worded_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "services.py").write_text('_record(session, by, "services.oil", service, {})')
    assert recorded_actions(tmp_path) - ACTIONS.keys() == {"services.oil"}


def test_every_field_that_a_verb_records_is_named(session: Session, bob: User) -> None:
    service_of(session)
    entries = session.scalars(select(ChangeLogEntry)).all()
    assert {entry.action for entry in entries} >= {"people.add", "services.add"}
    for entry in entries:
        assert entry.changes.keys() <= FIELDS.keys(), entry.action


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_sentence_takes_any_name(action: str) -> None:
    for name in ("Firm mail", "100 %(name)s", "%", ""):
        sentence = changelog_words.what(action, name)
        assert name in sentence or action == "settings.other"
        assert not sentence[0].isupper()  # it goes on after the name of who did it


def test_an_unknown_action_is_shown_as_it_is() -> None:
    assert changelog_words.what("printers.oil", "Old one") == "printers.oil Old one"
    assert changelog_words.what("printers.oil", "") == "printers.oil"


def test_whoever_has_no_name_is_the_console() -> None:
    assert changelog_words.who("Alice") == "Alice"
    assert changelog_words.who("") == "console"
    assert changelog_words.writer(Writer(None, "")) == "console"
    assert changelog_words.writer(Writer(7, "Bob")) == "Bob"
    assert changelog_words.writer(Writer(None, "Bob")) == "Bob (without an account)"


def test_a_deleted_service_says_since_when() -> None:
    firm = LoggedService(1, "Firm mail", None)
    assert changelog_words.service(firm, clock()) == "Firm mail"
    firm = LoggedService(1, "Firm mail", NOW)
    assert changelog_words.service(firm, clock()).startswith("Firm mail (deleted 2 March 2026, ")


@pytest.mark.parametrize(
    ("field", "recorded", "title", "text"),
    [
        ("name", "Firm mail", "Name", "Firm mail"),
        ("smtp_server", "smtp.firm.test:465", "SMTP server", "smtp.firm.test:465"),
        ("imap_server", "imap.xn--80a1acny.xn--p1ai:993", "IMAP server", "imap.почта.рф:993"),
        ("imap_server", "[fe80::1]:993", "IMAP server", "[fe80::1]:993"),
        ("imap_server", "somewhere", "IMAP server", "somewhere"),
        ("imap_server", "somewhere:²", "IMAP server", "somewhere:²"),
        ("smtp_security", "NONE", "Connection security (SMTP)", "None"),
        ("smtp_security", "STARTTLS", "Connection security (SMTP)", "STARTTLS"),
        ("imap_security", "TLS", "Connection security (IMAP)", "TLS"),
        ("imap_security", "ROT13", "Connection security (IMAP)", "ROT13"),
        ("smtp_non_standard", True, "Non-standard server (SMTP)", "yes"),
        ("imap_non_standard", False, "Non-standard server (IMAP)", "no"),
        ("process_default", True, "Use of mail in business processes", "allowed"),
        ("other_process_default", False, "Use of mail in business processes", "not allowed"),
        ("other_allowed", False, "Allow entering mail server details manually", "no"),
        ("hidden", True, "Hidden", "yes"),
        (
            "domains",
            ["firm.test", "xn--80a1acny.xn--p1ai"],
            "Address domains",
            "firm.test, почта.рф",
        ),
        ("domains", "firm.test", "Address domains", "firm.test"),
        ("imap_login_form", "LOCAL_PART", "Login for IMAP", "part before @"),
        ("smtp_login_form", "address", "Login for SMTP", "full address"),
        ("role", "ADMINISTRATOR", "Role", "Administrator"),
        ("role", "EMPLOYEE", "Role", "Employee"),
        ("active", False, "May sign in", "no"),
        ("drops", 7, "drops", "7"),
        ("drops", True, "drops", "yes"),
        ("drops", [True, 7, "x"], "drops", "yes, 7, x"),
        ("drops", {"a": 1}, "drops", "{'a': 1}"),
        ("drops", 0, "drops", "0"),
    ],
)
def test_a_field_and_its_value_are_named_as_on_screen(
    field: str, recorded: object, title: str, text: str
) -> None:
    change = only(field, "x", recorded)
    assert (change.field, change.new) == (title, Value(text))


def test_the_name_of_a_person_is_called_otherwise_than_that_of_a_service() -> None:
    for action, title in (("people.add", "Full name"), ("services.add", "Name")):
        (change,) = changelog_words.changes(action, {"name": (None, "Bob")})
        assert change == Change(title, Value(""), Value("Bob"), was_there=False)


@pytest.mark.parametrize("nothing", [None, "", []])
def test_what_is_empty_has_no_text(nothing: object) -> None:
    for field in ("name", "ca", "domains", "drops", "smtp_server"):
        assert only(field, "x", nothing).new == Value("")


def test_certificates_are_shortened_and_kept_whole_beside_it() -> None:
    one, other = "0123456789abcdef" * 4, "fedcba9876543210" * 4
    change = only("ca", one, f"{one}, {other}")
    assert change.old == Value("0123456789abcdef…", one)
    assert change.new == Value("0123456789abcdef…, fedcba9876543210…", f"{one}, {other}")
    assert only("ca", "", "short").new.text == "short"


def test_fields_stand_in_the_order_of_the_window_and_unknown_ones_last() -> None:
    fields = ("zeal", "imap_server", "drops", "name", "smtp_server")
    found = [one.field for one in changelog_words.changes("x", dict.fromkeys(fields, (1, 2)))]
    assert found == ["Name", "SMTP server", "IMAP server", "drops", "zeal"]


def test_an_import_says_how_many_services_it_added_and_changed() -> None:
    recorded: dict[str, tuple[object, object]] = {"added": (None, 3), "changed": (None, 0)}
    found = changelog_words.changes("services.import", recorded)
    assert [(change.field, change.new.text) for change in found] == [
        ("Added", "3"),
        ("Changed", "0"),
    ]


def test_what_did_not_change_is_left_out() -> None:
    recorded: dict[str, tuple[object, object]] = {"mailboxes": (0, 0), "service": ("a", "b")}
    found = changelog_words.changes("services.move", recorded)
    assert [change.field for change in found] == ["Mail service"]


def test_only_of_what_was_just_made_there_is_no_old_value() -> None:
    for login, was_there in ((None, False), ("rob", True)):
        recorded = {"name": (None, "Bob"), "login": (login, "bob")}
        found = changelog_words.changes("people.add", recorded)
        assert [change.was_there for change in found] == [was_there, was_there]
    assert changelog_words.changes("people.add", {}) == []
