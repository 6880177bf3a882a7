"""The change log: a change that nobody admits is noticed, and what is asked for is found."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import delete, event, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from domain import changelog
from domain.changelog import (
    Author,
    Filters,
    Key,
    LoggedService,
    Writer,
    ends_as_written,
    first_broken,
    record,
)
from models import ChangeLogEntry, ChangeLogHead, User
from tests.mailroom import NOW, service_of

KEY = b"k" * 32
MINUTE = timedelta(minutes=1)
REPLACED = """INSERT OR REPLACE INTO change_log_entry
    SELECT id, at, author_id, author_name, action, subject, 'Other mail', changes, mac
    FROM change_log_entry WHERE id = 2"""


def write(
    session: Session,
    action: str = "services.edit",
    *,
    name: str = "Alice",
    person: User | None = None,
    subject: str = "service:1",
    at: datetime = NOW,
    changes: dict[str, tuple[object, object]] | None = None,
) -> int:
    """The id of a new entry."""
    by = Author(person.name if person else name, person.id if person else None, at, KEY)
    entry = record(
        session, by, action, subject=subject, subject_name="Firm mail", changes=changes or {}
    )
    session.commit()
    return entry.id


def three_entries(session: Session) -> None:
    for port in (465, 587, 25):
        write(session, changes={"smtp_port": (None, port)})
    session.expire_all()


def unguarded(session: Session) -> None:
    """As for whoever has the database in a program of their own."""
    triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for name in session.scalars(triggers).all():
        session.execute(text(f"DROP TRIGGER {name}"))


def ids(rows: Sequence[Any]) -> list[int]:
    return [row.id for row in rows]


def pages(session: Session, filters: Filters, most: int) -> list[list[int]]:
    """The ids on each page, from the newest to the oldest."""
    found, after, more = [], None, True
    while more:
        page = changelog.page(session, filters, after=after, most=most)
        found.append(ids(page.rows))
        after, more = page.last, page.more
    return found


# --- the chain ----------------------------------------------------------------------------------


def test_entries_as_they_were_written_follow_from_each_other(session: Session) -> None:
    three_entries(session)
    assert first_broken(session, KEY) is None


def test_an_empty_log_is_whole(session: Session) -> None:
    assert first_broken(session, KEY) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2026-03-02 09:00:01.000000"),
        ("author_name", "Bob"),
        ("action", "services.hide"),
        ("subject", "service:2"),
        ("subject_name", "Other mail"),
        ("changes", '{"smtp_port": [null, 588]}'),
        ("mac", "0" * 64),
        ("mac", "é" * 64),
        ("mac", b"\x00"),
        ("at", "yesterday"),
        ("author_name", b"\xff"),
        ("author_name", 7),
        ("changes", "no JSON"),
        ("changes", 7),
    ],
)
def test_an_altered_entry_is_found_whatever_was_written_into_it(
    session: Session, column: str, value: object
) -> None:
    three_entries(session)
    unguarded(session)
    session.execute(
        text(f"UPDATE change_log_entry SET {column} = :value WHERE id = 2"),  # noqa: S608 - ours
        {"value": value},
    )
    assert first_broken(session, KEY) == 2


def test_text_that_is_none_is_found(session: Session) -> None:
    three_entries(session)
    unguarded(session)
    broken = "UPDATE change_log_entry SET author_name = CAST(x'ff' AS TEXT) WHERE id = 2"
    session.execute(text(broken))
    assert first_broken(session, KEY) == 2


@pytest.mark.parametrize(("gone", "missed_at"), [(1, 2), (2, 3)])
def test_an_entry_that_was_taken_out_is_missed(session: Session, gone: int, missed_at: int) -> None:
    three_entries(session)
    unguarded(session)
    session.execute(delete(ChangeLogEntry).where(ChangeLogEntry.id == gone))
    assert first_broken(session, KEY) == missed_at


@pytest.mark.parametrize("place", [-5, 0, 4])
def test_an_entry_that_was_put_in_is_found(session: Session, place: int) -> None:
    three_entries(session)
    unguarded(session)
    newest = session.get_one(ChangeLogEntry, 3)
    copy = {column.key: getattr(newest, column.key) for column in ChangeLogEntry.__table__.c}
    session.execute(insert(ChangeLogEntry).values(copy | {"id": place}))
    assert first_broken(session, KEY) == place


def test_entries_that_changed_places_are_found(session: Session) -> None:
    three_entries(session)
    unguarded(session)
    for old, new in ((2, 9), (3, 2), (9, 3)):
        session.execute(update(ChangeLogEntry).where(ChangeLogEntry.id == old).values(id=new))
    assert first_broken(session, KEY) == 2


def test_without_the_key_nobody_can_write_a_fitting_entry(session: Session) -> None:
    three_entries(session)
    assert first_broken(session, b"x" * 32) == 1


@pytest.mark.parametrize("place", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("value", ["{}", "no JSON"])
def test_a_long_log_is_read_in_batches_and_every_entry_is_looked_at(
    session: Session, monkeypatch: pytest.MonkeyPatch, place: int, value: str
) -> None:
    monkeypatch.setattr(changelog, "BATCH", 2)
    for port in range(1, 6):
        write(session, changes={"smtp_port": (None, port)})
    assert first_broken(session, KEY) is None
    unguarded(session)
    altered = text("UPDATE change_log_entry SET changes = :value WHERE id = :place")
    session.execute(altered, {"value": value, "place": place})
    assert first_broken(session, KEY) == place


def test_no_batch_is_larger_than_it_may_be(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelog, "BATCH", 2)
    three_entries(session)
    asked: list[str] = []
    event.listen(
        session.get_bind(), "before_cursor_execute", lambda *context: asked.append(context[2])
    )
    first_broken(session, KEY)
    assert len(asked) == 3
    assert all("LIMIT" in statement for statement in asked)


def test_a_time_in_another_zone_stays_the_same_moment(session: Session) -> None:
    write(session, at=NOW.astimezone(timezone(timedelta(hours=3))))
    session.expire_all()
    assert first_broken(session, KEY) is None
    assert session.scalars(select(ChangeLogEntry.at)).one() == NOW


def test_the_newest_entries_cannot_be_cut_off(session: Session) -> None:
    assert not ends_as_written(session, KEY)  # begun under the house's own key
    three_entries(session)
    assert ends_as_written(session, KEY)
    unguarded(session)
    session.execute(delete(ChangeLogEntry).where(ChangeLogEntry.id == 3))
    assert first_broken(session, KEY) is None
    assert not ends_as_written(session, KEY)
    for entries, mac in ((2, "0" * 64), (2, "\u00e9"), (3, "0" * 64)):
        session.execute(update(ChangeLogHead).values(entries=entries, mac=mac))
        assert not ends_as_written(session, KEY)
    session.execute(delete(ChangeLogHead))
    assert not ends_as_written(session, KEY)


# --- only ever added to -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forged",
    [
        "DELETE FROM change_log_entry",
        "DELETE FROM change_log_entry WHERE id = 3",
        "UPDATE change_log_entry SET subject_name = 'Other mail'",
        "UPDATE change_log_entry SET action = 'services.hide', author_id = NULL WHERE id = 1",
        "UPDATE change_log_entry SET rowid = 9 WHERE id = 1",
        "UPDATE change_log_entry SET at = '2026-01-01 00:00:00.000000'",
        "UPDATE change_log_entry SET author_name = 'Bob'",
        "UPDATE change_log_entry SET subject = 'service:2'",
        "UPDATE change_log_entry SET changes = '{}'",
        "UPDATE change_log_entry SET mac = ''",
        "UPDATE change_log_entry SET author_id = 1",
        REPLACED,
    ],
)
def test_the_database_refuses_to_change_what_is_written(
    session: Session, bob: User, forged: str
) -> None:
    for _ in range(3):
        write(session, changes={"smtp_port": (None, 465)})
    before = session.execute(text("SELECT * FROM change_log_entry")).all()
    with pytest.raises(IntegrityError, match="append-only"):
        session.execute(text(forged))
    assert session.execute(text("SELECT * FROM change_log_entry")).all() == before


def test_a_person_may_be_removed_and_the_name_stays(
    sessions: sessionmaker[Session], session: Session, bob: User
) -> None:
    entry_id = write(session, person=bob)
    with sessions() as own, own.begin():
        own.execute(delete(User).where(User.id == bob.id))
    session.expire_all()
    entry = session.get_one(ChangeLogEntry, entry_id)
    assert (entry.author_id, entry.author_name) == (None, "Bob")
    assert first_broken(session, KEY) is None


# --- what is asked for --------------------------------------------------------------------------


def test_the_newest_stand_first_and_no_page_repeats_or_leaves_out_one(session: Session) -> None:
    # Several at the same moment, and one by a clock that went back.
    for minutes in (0, 1, 1, 1, 2, 2, -5, 3):
        write(session, at=NOW + minutes * MINUTE)
    assert pages(session, Filters(), 3) == [[8, 6, 5], [4, 3, 2], [1, 7]]
    assert pages(session, Filters(), 4) == [[8, 6, 5, 4], [3, 2, 1, 7]]
    assert pages(session, Filters(), 8) == [[8, 6, 5, 4, 3, 2, 1, 7]]


def test_fifty_are_a_page(session: Session) -> None:
    for _ in range(51):
        write(session)
    page = changelog.page(session, Filters())
    assert (len(page.rows), page.more) == (50, True)
    page = changelog.page(session, Filters(), after=page.last)
    assert (ids(page.rows), page.more) == ([1], False)


def test_a_page_of_an_empty_log_has_no_end_to_go_on_from(session: Session) -> None:
    page = changelog.page(session, Filters())
    assert (list(page.rows), page.more, page.last) == ([], False, None)


def test_a_period_has_its_beginning_but_not_its_end(session: Session) -> None:
    for minutes in range(5):
        write(session, at=NOW + minutes * MINUTE)
    period = Filters(since=NOW + MINUTE, before=NOW + 3 * MINUTE)
    assert pages(session, period, 1) == [[3], [2]]
    assert pages(session, Filters(since=NOW + 3 * MINUTE), 9) == [[5, 4]]
    assert pages(session, Filters(before=NOW + MINUTE), 9) == [[1]]


def test_a_key_beyond_the_period_does_not_widen_it(session: Session) -> None:
    for minutes in range(5):
        write(session, at=NOW + minutes * MINUTE)
    later = Key(NOW + 4 * MINUTE, 9)
    page = changelog.page(session, Filters(before=NOW + 2 * MINUTE), after=later)
    assert ids(page.rows) == [2, 1]


def test_writers_are_told_apart_by_who_they_are_not_by_their_name(
    session: Session, alice: User, bob: User
) -> None:
    known = session.scalars(select(ChangeLogEntry.id)).all()
    of_bob = write(session, person=bob)
    other_bob = write(session, name="Bob")
    console = write(session, name="")
    writers = changelog.writers(session)
    assert writers == [Writer(None, ""), Writer(None, "Alice"), Writer(None, "Bob"),
                       Writer(bob.id, "Bob")]  # fmt: skip
    found = [pages(session, Filters(writer=one), 9) for one in writers]
    assert found == [[[console]], [sorted(known, reverse=True)], [[other_bob]], [[of_bob]]]


def test_services_are_offered_once_something_of_them_was_changed(session: Session) -> None:
    firm = service_of(session)
    assert changelog.logged_services(session) == [LoggedService(firm.id, "Firm mail", None)]
    firm.deleted_at = NOW
    session.flush()
    assert changelog.logged_services(session) == [LoggedService(firm.id, "Firm mail", NOW)]
    write(session, subject=f"service:{firm.id}1")
    found = changelog.page(session, Filters(subject=f"service:{firm.id}"))
    assert [row.action for row in found.rows] == ["services.add"]


def test_filters_are_all_kept_at_once(session: Session, bob: User) -> None:
    wanted = write(session, person=bob, subject="service:7", at=NOW)
    write(session, person=bob, subject="service:8", at=NOW)
    write(session, person=bob, subject="service:7", at=NOW - MINUTE)
    write(session, subject="service:7", at=NOW)
    filters = Filters(Writer(bob.id, "Bob"), "service:7", NOW, NOW + MINUTE)
    assert pages(session, filters, 9) == [[wanted]]


@pytest.mark.parametrize("after", [None, Key(NOW, 7)])
@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (Filters(), "at_id"),
        (Filters(since=NOW - MINUTE, before=NOW + MINUTE), "at_id"),
        (Filters(writer=Writer(1, "Alice")), "author_id_at_id"),
        (Filters(writer=Writer(None, "Alice")), "author_name_at_id"),
        (Filters(subject="service:7"), "subject_at_id"),
        (Filters(subject="service:7", since=NOW, before=NOW + MINUTE), "subject_at_id"),
    ],
)
def test_a_page_is_read_along_an_index_and_nothing_is_counted_or_sorted(
    session: Session, filters: Filters, index: str, after: Key | None
) -> None:
    (plan,) = plans(session, lambda: changelog.page(session, filters, after=after))
    assert len(plan) == 1
    assert f"change_log_entry USING INDEX ix_change_log_entry_{index}" in plan[0]


def test_the_choices_of_the_filters_do_not_read_the_log(session: Session, bob: User) -> None:
    write(session, person=bob)
    write(session, name="")
    of_writers = plans(session, lambda: changelog.writers(session))
    of_services = plans(session, lambda: changelog.logged_services(session))
    steps = [step for plan in of_writers + of_services for step in plan]
    assert not any(step == "SCAN change_log_entry" for step in steps), steps
    assert not any("TEMP B-TREE" in step for plan in of_writers for step in plan), steps
    # The first name is found at the end of its index, each other one from there.
    assert sum("SCAN change_log_entry" in step for step in steps) == 1


def plans(session: Session, ask: Any) -> list[list[str]]:
    """How SQLite answers each statement, step by step."""
    asked: list[tuple[str, Any]] = []

    def note(*context: Any) -> None:
        asked.append((context[2], context[3]))

    event.listen(session.get_bind(), "before_cursor_execute", note)
    ask()
    event.remove(session.get_bind(), "before_cursor_execute", note)
    driver = session.connection().connection
    return [
        [step[3] for step in driver.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        for statement, values in asked
    ]


# --- what somebody wrote into it past the product -------------------------------------------------


def test_an_entry_that_was_put_to_somebody_elses_account_is_found(
    session: Session, alice: User, bob: User
) -> None:
    for _ in range(2):
        entry_id = write(session, person=alice)
    assert first_broken(session, KEY) is None
    unguarded(session)
    session.execute(
        update(ChangeLogEntry).where(ChangeLogEntry.id == entry_id).values(author_id=bob.id)
    )
    assert first_broken(session, KEY) == entry_id


def test_an_entry_of_the_console_that_was_put_to_an_account_is_found(
    session: Session, bob: User
) -> None:
    entry_id = write(session, name="")
    unguarded(session)
    session.execute(
        update(ChangeLogEntry).where(ChangeLogEntry.id == entry_id).values(author_id=bob.id)
    )
    assert first_broken(session, KEY) == entry_id


@pytest.mark.parametrize("written", ["changes = '{bad'", "at = 'xx'", "at = '', changes = 'x'"])
def test_rows_that_cannot_be_read_are_met_once_and_hide_no_other(
    session: Session, written: str
) -> None:
    three_entries(session)
    three_entries(session)
    newest = session.scalars(select(ChangeLogEntry.id).order_by(ChangeLogEntry.id.desc())).all()
    unguarded(session)
    for entry_id in (newest[1], newest[2]):
        session.execute(
            text(f"UPDATE change_log_entry SET {written} WHERE id = {entry_id}")  # noqa: S608
        )
    whole = changelog.page(session, Filters())
    assert whole.unreadable == {newest[1], newest[2]}
    for most in (1, 2, 3, 5):
        met = [one for page in pages(session, Filters(), most) for one in page]
        if most > 2 or "at = " not in written:  # a whole page without a moment has no next one
            assert sorted(met, reverse=True) == list(newest)
