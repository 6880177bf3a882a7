"""Administration / Mail / Change log."""

import csv
import io
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from blueprints.changelog import views
from domain.changelog import Author, record
from models import User
from tests.conftest import FRAGMENT, SignIn
from tests.domain.test_changelog import unguarded
from tests.mailroom import NOW, service_of

LOG = "/administration/mail/changes/"
FILE = "/administration/mail/changes.csv"
HOUR = timedelta(hours=1)
WRONG_DATE = "Type a date as year, month and day, for example 2026-11-24."
FINGERPRINT = "0123456789abcdef" * 4
Changes = dict[str, tuple[object, object]]
Write = Callable[..., int]


@pytest.fixture
def write(session: Session) -> Write:
    """Writes an entry, of NOW if no other moment is named; its id."""

    def one(
        action: str = "services.edit",
        name: str = "Firm mail",
        *,
        by: User | str = "",
        subject: str = "service:1",
        at: datetime = NOW,
        changes: Changes | None = None,
    ) -> int:
        who, person = (by, None) if isinstance(by, str) else (by.name, by.id)
        author = Author(who, person, at, b"k" * 32)
        return record(
            session, author, action, subject=subject, subject_name=name, changes=changes or {}
        ).id

    return one


@pytest.fixture
def client(app: Flask, alice: User, signed_in: SignIn) -> FlaskClient:
    in_zone(app, "UTC")
    return signed_in(alice)


def in_zone(app: Flask, name: str) -> None:
    settings = app.extensions["postroom_settings"]
    app.extensions["postroom_settings"] = replace(settings, time_zone=ZoneInfo(name))


def rows(page: str) -> list[int]:
    """The ids of the entries that a page shows, from the top down."""
    return [int(found) for found in re.findall(r'<tr id="change-(\d+)"', page)]


def words(page: str, entry_id: int) -> str:
    """A row as it is read."""
    row = re.search(rf'<tr id="change-{entry_id}".*?</tr>', page, re.DOTALL)
    assert row
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", row[0])).split())


def link(page: str, words_in_it: str) -> str | None:
    """Where the link with these words leads."""
    for address, inside in re.findall(r'<a [^>]*?href="([^"]+)"[^>]*>(.*?)</a>', page, re.DOTALL):
        if words_in_it in inside:
            return unescape(address)
    return None


def table(file: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.removeprefix("\ufeff"), newline="")))


def test_alice_reads_who_changed_what_from_which_value_to_which(
    app: Flask, client: FlaskClient, write: Write, alice: User
) -> None:
    in_zone(app, "Europe/Moscow")
    changed = write(
        by=alice,
        changes={
            "process_default": (True, False),
            "smtp_security": ("TLS", "STARTTLS"),
            "smtp_server": ("smtp.firm.test:465", "smtp.firm.test:587"),
            "ca": ("", FINGERPRINT),
        },
    )
    hid = write("services.hide", "gmail.com", by=alice)
    page = client.get(LOG).text
    assert words(page, changed) == (
        "2 March 2026, 12:00 Alice changed Firm mail "
        "SMTP server smtp.firm.test:465 → smtp.firm.test:587 "
        "Connection security (SMTP) TLS → STARTTLS "
        "Use of mail in business processes allowed → not allowed "
        "Trusted CA certificate empty → 0123456789abcdef…"
    )
    assert f'title="{FINGERPRINT}"' in page
    assert words(page, hid) == "2 March 2026, 12:00 Alice hid gmail.com"
    assert '<time datetime="2026-03-02T09:00:00+00:00">' in page


@pytest.mark.parametrize(
    ("action", "name", "changes", "read"),
    [
        (
            "services.add",
            "Firm mail",
            {"name": (None, "Firm mail"), "ca": (None, "")},
            "added Firm mail Name Firm mail Trusted CA certificate empty",
        ),
        (
            "printers.oil",
            "<b>Old one</b>",
            {"drops": (1, [2, "x"])},
            "printers.oil <b>Old one</b> drops 1 → 2, x",
        ),
    ],
)
def test_what_is_new_has_no_old_value_and_what_nobody_worded_is_shown_as_it_is(
    client: FlaskClient, write: Write, action: str, name: str, changes: Changes, read: str
) -> None:
    entry_id = write(action, name, changes=changes)
    assert words(client.get(LOG).text, entry_id) == f"2 March 2026, 09:00 console {read}"


def test_the_rail_and_the_section_say_where_one_is(client: FlaskClient) -> None:
    page = client.get(LOG).text
    assert re.findall(r'href="([^"]+)" aria-current="page"', page) == [
        "/administration/mail/services/",
        LOG,
    ]


def test_without_javascript_a_link_leads_to_older_changes_until_there_are_none(
    client: FlaskClient, write: Write
) -> None:
    written = [write(at=NOW + number // 7 * HOUR) for number in range(120)]
    address: str | None = f"{LOG}?since=2026-03-01&until=2026-03-30"
    seen: list[list[int]] = []
    while address:
        page = client.get(address).text
        assert page.count("<html") == 1
        back = f"{LOG}?since=2026-03-01&until=2026-03-30" if seen else None
        assert link(page, "To the newest changes") == back
        seen.append(rows(page))
        address = link(page, "Older changes")
    assert [len(page) for page in seen] == [50, 50, 20]
    assert [entry for page in seen for entry in page] == written[::-1]


def test_htmx_puts_older_changes_below_those_that_are_there(
    client: FlaskClient, write: Write
) -> None:
    written = [write(at=NOW + number * HOUR) for number in range(60)]
    page = client.get(f"{LOG}?since=2026-03-01&until=2026-03-30").text
    address = link(page, "Older changes")
    assert address
    assert f'hx-get="{address}"'.replace("&", "&amp;") in page
    answer = client.get(address, headers=FRAGMENT)
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith("<tr")
    assert "<table" not in answer.text
    assert rows(answer.text) == written[9::-1]
    assert 'id="older"' not in answer.text


@pytest.mark.parametrize("after", ["x", "1", "1.x", f"{10**18 - 1}.1"])
def test_a_place_that_is_none_is_not_found(client: FlaskClient, after: str) -> None:
    assert client.get(LOG, query_string={"after": after}).status_code == 404


def test_changes_of_a_person_of_the_console_and_of_somebody_who_is_gone_are_found(
    client: FlaskClient, write: Write, bob: User
) -> None:
    written = {
        (str(bob.id), "Bob"): write(by=bob),
        ("name:", "console"): write(),
        ("name:Carol", "Carol (without an account)"): write(by="Carol"),
    }
    for (person, title), entry_id in written.items():
        page = client.get(LOG, query_string={"person": person}).text
        assert rows(page) == [entry_id]
        assert f'<option value="{person}" selected>{title}</option>' in page


def test_changes_of_one_service_are_found_also_after_it_was_deleted(
    client: FlaskClient, write: Write, session: Session
) -> None:
    firm = service_of(session)
    write(subject="service:77")
    hid = write("services.hide", subject=f"service:{firm.id}")
    page = client.get(LOG, query_string={"service": firm.id}).text
    assert hid in rows(page)
    assert len(rows(page)) == 2  # it was added, too
    assert f'<option value="{firm.id}" selected>Firm mail</option>' in page
    firm.deleted_at = NOW
    session.flush()
    page = client.get(LOG, query_string={"service": firm.id}).text
    assert len(rows(page)) == 2
    assert ">Firm mail (deleted 2 March 2026, 09:00)</option>" in page


@pytest.mark.parametrize(
    ("zone", "found"), [("UTC", [1, 2]), ("Asia/Tokyo", [0, 1]), ("America/New_York", [2, 3])]
)
def test_a_day_begins_and_ends_where_one_lives(
    app: Flask, client: FlaskClient, write: Write, zone: str, found: list[int]
) -> None:
    in_zone(app, zone)
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    written = [write(at=midnight + hours * HOUR) for hours in (-1, 1, 23, 25)]
    page = client.get(LOG, query_string={"since": "2026-03-02", "until": "2026-03-02"}).text
    assert rows(page) == [written[number] for number in reversed(found)]


def test_the_machines_own_zone_is_taken_where_none_is_set(
    app: Flask, client: FlaskClient, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = app.extensions["postroom_settings"]
    app.extensions["postroom_settings"] = replace(settings, time_zone=None)
    midnight = datetime(2026, 3, 1, 15, tzinfo=UTC)
    written = [write(at=midnight + hours * HOUR) for hours in (-1, 0, 23, 24)]
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        page = client.get(LOG, query_string={"since": "2026-03-02", "until": "2026-03-02"}).text
    finally:
        monkeypatch.undo()
        time.tzset()
    assert rows(page) == [written[2], written[1]]


def test_filters_hold_together_and_keep_what_was_chosen(
    client: FlaskClient, write: Write, session: Session, bob: User
) -> None:
    firm = service_of(session)
    subject = f"service:{firm.id}"
    wanted = write(by=bob, subject=subject)
    write(by=bob, subject="service:99")
    write(by="Carol", subject=subject)
    write(by=bob, subject=subject, at=NOW - 24 * HOUR)
    write(by=bob, subject=subject, at=NOW + 24 * HOUR)
    asked = f"?person={bob.id}&service={firm.id}&since=2026-03-02&until=2026-03-02"
    page = client.get(LOG + asked).text
    assert rows(page) == [wanted]
    assert page.count(" selected>") == 2
    assert page.count('type="date" value="2026-03-02"') == 2
    file = link(page, "Download as CSV")
    assert file == FILE + asked
    assert len(table(client.get(file).text)) == 2
    assert link(page, "Show all changes") == LOG


def test_where_nothing_fits_or_nothing_is_there_the_page_says_so(
    client: FlaskClient, session: Session
) -> None:
    page = client.get(LOG, query_string={"until": "2000-01-01"}).text
    assert "No change fits these filters." in page
    assert "<table" not in page
    assert len(table(client.get(f"{FILE}?until=2000-01-01").text)) == 1
    unguarded(session)
    session.execute(text("DELETE FROM change_log_entry"))
    page = client.get(LOG).text
    assert "Nothing here." in page
    assert "<table" not in page


@pytest.mark.parametrize("address", [LOG, FILE])
@pytest.mark.parametrize(
    "typed", ["31.12.2026", "2026-02-30", "0000-00-00", "now", "0001-01-01", "9999-12-31"]
)
@pytest.mark.parametrize("field", ["since", "until"])
def test_a_wrong_date_is_said_at_its_field_and_nothing_typed_is_lost(
    client: FlaskClient, write: Write, bob: User, address: str, field: str, typed: str
) -> None:
    write(by=bob)
    other = {"since": "until", "until": "since"}[field]
    asked = {"person": str(bob.id), field: typed, other: "2026-03-02"}
    answer = client.get(address, query_string=asked)
    assert answer.status_code == 422
    assert re.findall(r'id="(\w+)-error".*?<span>(.*?)</span>', answer.text, re.DOTALL) == [
        (field, WRONG_DATE)
    ]
    # A date field would show nothing for it.
    assert f'name="{field}" type="text" value="{typed}"' in answer.text
    assert f'name="{other}" type="date" value="2026-03-02"' in answer.text
    assert f'<option value="{bob.id}" selected>' in answer.text
    assert rows(answer.text) == []


def test_the_last_day_is_not_before_the_first(client: FlaskClient) -> None:
    asked = {"since": "2026-03-02", "until": "2026-03-01"}
    answer = client.get(LOG, query_string=asked)
    assert answer.status_code == 422
    assert 'id="until-error"' in answer.text
    assert "This is before the first day. Choose a later one." in answer.text
    assert 'name="until" type="date" value="2026-03-01"' in answer.text
    assert client.get(LOG, query_string=asked | {"until": "2026-03-02"}).status_code == 200


@pytest.mark.parametrize(
    "asked", [{"person": "77"}, {"person": "name:Nobody"}, {"service": "77"}, {"service": "x"}]
)
def test_a_choice_that_is_not_there_is_refused(
    client: FlaskClient, write: Write, asked: dict[str, str]
) -> None:
    answer = client.get(LOG, query_string=asked)
    assert answer.status_code == 422
    assert f'id="{next(iter(asked))}-error"' in answer.text
    assert "This choice is not there any more. Choose another." in answer.text


def test_rows_are_not_answered_with_a_page_where_a_filter_is_wrong(client: FlaskClient) -> None:
    answer = client.get(LOG, query_string={"since": "now"}, headers=FRAGMENT)
    assert answer.status_code == 422
    assert "<html" not in answer.text
    assert answer.headers["HX-Reswap"] == "none"


def test_the_file_holds_a_line_for_each_field(
    client: FlaskClient, write: Write, alice: User
) -> None:
    write(by=alice, changes={"name": ("Firm", "Firm mail"), "ca": ("", FINGERPRINT)})
    write("services.hide", "gmail.com", at=NOW - HOUR)
    answer = client.get(f"{FILE}?until=2026-03-02")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="postroom-changes-[0-9-]{10}\.csv"',
        answer.headers["Content-Disposition"],
    )
    assert answer.data.startswith(b"\xef\xbb\xbftime (UTC),person,action,")
    edit = ["2026-03-02T09:00:00+00:00", "Alice", "changed Firm mail", "Firm mail"]
    assert table(answer.text) == [
        ["time (UTC)", "person", "action", "subject", "field", "old value", "new value"],
        [*edit, "Name", "Firm", "Firm mail"],
        [*edit, "Trusted CA certificate", "", FINGERPRINT],
        ["2026-03-02T08:00:00+00:00", "console", "hid gmail.com", "gmail.com", "", "", ""],
    ]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_begins_a_formula(client: FlaskClient, write: Write, first: str) -> None:
    formula = f"{first}cmd|' /C calc'!A0"
    write(formula, formula, by=formula, changes={formula: (formula, [formula, "x"])})
    (line,) = table(client.get(f"{FILE}?until=2026-03-02").text)[1:]
    harmless = f"'{formula}"
    assert line[1:] == [
        harmless, f"{harmless} {formula}", harmless, harmless, harmless, f"{harmless}, x",
    ]  # fmt: skip


def test_the_file_is_read_in_batches_and_nothing_is_held_open_between_them(
    client: FlaskClient, write: Write, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "BATCH", 2)
    written = [write(name=f"Service {number}") for number in range(5)]
    answer = client.get(f"{FILE}?until=2026-03-02")
    pieces = iter(answer.response)
    found = [next(pieces), next(pieces)]
    # A transaction that is still open would keep what it reads in the write-ahead log.
    write(at=NOW - HOUR)
    assert session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0] == 0
    found += pieces
    answer.close()
    lines = table(b"".join(piece for piece in found if isinstance(piece, bytes)).decode())
    assert len(found) == 4
    assert [line[3] for line in lines[1:-1]] == [f"Service {n}" for n in range(4, -1, -1)]
    assert len(lines) == len(written) + 2  # the head, and what was written meanwhile


def test_an_employee_finds_no_log(bob: User, signed_in: SignIn, write: Write) -> None:
    write("services.hide", "gmail.com")
    client = signed_in(bob)
    for address in (LOG, FILE):
        for headers in ({}, FRAGMENT):
            answer = client.get(address, headers=headers)
            assert answer.status_code == 404
            assert "gmail.com" not in answer.text


@pytest.mark.parametrize(
    "written",
    [
        "changes = '[1]'",
        "changes = '{\"name\": [3]}'",
        "changes = '{bad'",
        "changes = '{\"name\": 3}'",
        "at = 'xx'",
    ],
)
def test_an_entry_that_was_altered_past_the_product_is_shown_as_unreadable(
    client: FlaskClient, write: Write, session: Session, written: str
) -> None:
    altered, other = write("services.hide"), write("services.show")
    unguarded(session)
    session.execute(
        text(f"UPDATE change_log_entry SET {written} WHERE id = {altered}")  # noqa: S608
    )
    sentence = f"Entry {altered} cannot be read: it was altered in the database."
    for headers in ({}, FRAGMENT):
        page = client.get(LOG, headers=headers).text
        assert words(page, altered) == sentence
        assert "showed Firm mail again" in words(page, other)
    file = table(client.get(FILE).text)
    assert ["", "", sentence, "", "", "", ""] in file
    assert any("showed Firm mail again" in line for line in file)
