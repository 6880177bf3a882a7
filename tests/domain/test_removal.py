"""Removing a mailbox: a batch at a time, until nothing of it is left and everything else is."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, insert, select
from sqlalchemy.orm import Session, sessionmaker

from domain import mailboxes, notices, outbox, people, removal
from domain.changelog import Author
from domain.errors import RefusedError
from domain.sync import changes
from models import (
    ChangeLogEntry,
    ConnectionPurpose,
    ConnectionTest,
    ConnectionTestState,
    Folder,
    Mailbox,
    MailboxState,
    Message,
    Notice,
    OutgoingMessage,
    OutgoingState,
    OwnServers,
    PendingChange,
    User,
)
from tests.mailroom import (
    NOW,
    RING,
    arrive_many,
    dump,
    inbox_of,
    mailbox_of,
    many_letters,
    own_servers,
    queued,
    service_of,
)

BY = Author(name="Alice", user_id=None, now=NOW, key=b"k" * 32)
NOBODYS = ("change_log_entry", "user")


@pytest.fixture
def rows(sessions: sessionmaker[Session], alice: User, bob: User, carol: User) -> Iterator[Session]:
    with sessions() as opened:
        yield opened


@pytest.fixture
def carols(app: Flask, rows: Session, carol: User) -> Mailbox:
    """What must stay as it is."""
    mailbox = mailbox_of(rows, carol)
    fill(app, rows, mailbox)
    return mailbox


@pytest.fixture
def bobs(app: Flask, rows: Session, bob: User) -> Mailbox:
    mailbox = mailbox_of(rows, bob)
    fill(app, rows, mailbox)
    return mailbox


def fill(app: Flask, rows: Session, mailbox: Mailbox, count: int = 7) -> None:
    """Some of everything that can belong to a mailbox."""
    raws, times = many_letters(count)
    received = arrive_many(app, rows, inbox_of(rows, mailbox), raws, received_at=times)
    for message in received[:2]:
        changes.set_seen(rows, message, seen=True)
    queued(rows, mailbox)
    change: dict[str, tuple[object, object]] = {"imap_server": ("imap.old.test:993", "new")}
    notices.servers_changed(rows, service_of(rows), change, NOW)
    failed_test(rows, mailbox.user_id, mailbox.address.upper())


def failed_test(
    rows: Session, user_id: int, address: str, own: OwnServers | None = None
) -> ConnectionTest:
    """A try whose password is kept, for its owner may want to correct it."""
    test = ConnectionTest(
        user_id=user_id,
        purpose=ConnectionPurpose.CONNECT,
        service=None if own else service_of(rows),
        own_servers=own,
        address=address,
        login=address,
        sealed_password=b"sealed",
        state=ConnectionTestState.FAILED,
        created_at=NOW,
    )
    rows.add(test)
    rows.flush()
    return test


def refused(rows: Session, person: User, login: str) -> tuple[str, str]:
    before = dump(rows)
    with pytest.raises(RefusedError) as caught:
        removal.delete_mail(rows, person, login=login, by=BY)
    assert dump(rows) == before
    return caught.value.field, caught.value.code


def removed(rows: Session, mailbox: Mailbox) -> None:
    removal.begin_removal(rows, mailbox, BY.now)
    mailbox_id = mailbox.id
    while removal.remove_some(rows, mailbox_id):
        rows.expire_all()
    assert removal.finish(rows, mailbox_id)
    rows.expire_all()


def test_from_the_beginning_nothing_is_fetched_or_sent_and_the_password_is_gone(
    rows: Session, bobs: Mailbox
) -> None:
    later = replace(BY, now=NOW + timedelta(hours=1))
    version = bobs.version
    removal.begin_removal(rows, bobs, later.now)
    rows.refresh(bobs)
    assert (bobs.state, bobs.state_since) == (MailboxState.REMOVING, later.now)
    assert (bobs.sealed_password, bobs.version) == (b"", version + 1)
    assert mailboxes.due(rows, later.now) == []
    assert mailboxes.target(rows, bobs.id, RING) is None
    outbox.hold_and_release(rows)
    assert rows.scalars(select(OutgoingMessage.state)).all() == [OutgoingState.HELD]


def test_what_is_removed_is_waiting_until_it_is_gone(
    rows: Session, carols: Mailbox, bobs: Mailbox
) -> None:
    assert removal.waiting(rows) == []
    assert removal.being_removed(rows, bobs.id) is None
    removal.begin_removal(rows, bobs, BY.now)
    assert removal.waiting(rows) == [bobs.id]
    assert removal.being_removed(rows, bobs.id) == bobs.uuid
    removed(rows, bobs)
    assert removal.waiting(rows) == []


def test_messages_go_a_batch_at_a_time_and_the_counters_tell_how_many_are_left(
    rows: Session, bobs: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "BATCH", 3)
    removal.begin_removal(rows, bobs, BY.now)
    counted = [removal.progress(rows, bobs)]
    while removal.remove_some(rows, bobs.id):
        rows.expire_all()
        inbox = inbox_of(rows, bobs)
        left = rows.scalars(select(Message)).all()
        assert (inbox.total, inbox.unread) == (len(left), sum(not one.seen for one in left))
        counted.append(removal.progress(rows, bobs))
    # The last time, it is the message that waits to be sent.
    assert counted == [7, 4, 1, 0, 0]
    assert rows.scalars(select(OutgoingMessage)).all() == []


def test_a_batch_has_five_hundred_messages_of_any_kind(rows: Session, bobs: Mailbox) -> None:
    inbox = inbox_of(rows, bobs)
    values = {"mailbox_id": bobs.id, "folder_id": inbox.id, "received_at": NOW}
    rows.execute(insert(Message), [{**values, "uid": 100 + number} for number in range(600)])
    for _ in range(501):
        queued(rows, bobs)
    removal.begin_removal(rows, bobs, BY.now)
    left = []
    while removal.remove_some(rows, bobs.id):
        received, outgoing = rows.query(Message).count(), rows.query(OutgoingMessage).count()
        left.append((received, outgoing))
    assert left == [(107, 502), (0, 502), (0, 2), (0, 0)]


def test_afterwards_no_table_knows_that_it_was_there(
    app: Flask, rows: Session, carols: Mailbox, bob: User
) -> None:
    service_of(rows)
    before = dump(rows, but=NOBODYS)
    mailbox = mailbox_of(rows, bob)
    mailbox.service, mailbox.own_servers = None, own_servers()
    fill(app, rows, mailbox)
    failed_test(rows, bob.id, "bob@firm.test", own_servers())
    present = dump(rows)
    kinds: tuple[Any, ...] = (Message, PendingChange, OutgoingMessage, Folder, ConnectionTest)
    for kind in (*kinds, OwnServers):
        assert len(present[kind.__tablename__]) > len(before[kind.__tablename__])
    notices.servers_changed(rows, service_of(rows), {"smtp_server": ("a", "b")}, NOW)
    rows.add(Notice(user_id=bob.id, mailbox_id=mailbox.id, kind=told(rows), created_at=NOW))
    rows.flush()
    before["notice"] = [row for row in dump(rows)["notice"] if row[2] != mailbox.id]
    removed(rows, mailbox)
    assert dump(rows, but=NOBODYS) == before


def told(rows: Session) -> Any:
    return rows.scalars(select(Notice.kind)).first()


def test_servers_that_another_row_needs_stay(
    rows: Session, bobs: Mailbox, bob: User, carol: User
) -> None:
    shared = own_servers()
    bobs.service, bobs.own_servers = None, shared
    other = failed_test(rows, bob.id, "info@firm.test", shared)
    removed(rows, bobs)
    assert rows.scalars(select(OwnServers)).all() == [shared]
    assert rows.get(ConnectionTest, other.id) is not None


def test_a_try_that_led_to_it_goes_with_it_under_whatever_address(
    rows: Session, bobs: Mailbox, bob: User
) -> None:
    other = failed_test(rows, bob.id, "robert@firm.test")
    other.mailbox_id = bobs.id
    removed(rows, bobs)
    assert rows.get(ConnectionTest, other.id) is None


def test_a_mailbox_that_is_not_being_removed_stays_whoever_asks(
    rows: Session, carols: Mailbox, bobs: Mailbox
) -> None:
    before = dump(rows)
    for mailbox_id in (carols.id, bobs.id, 99999):
        assert not removal.remove_some(rows, mailbox_id)
        assert removal.finish(rows, mailbox_id)
    assert dump(rows) == before


def test_what_came_in_late_is_removed_before_the_mailbox_is(rows: Session, bobs: Mailbox) -> None:
    removal.begin_removal(rows, bobs, BY.now)
    while removal.remove_some(rows, bobs.id):
        pass
    queued(rows, bobs)
    assert not removal.finish(rows, bobs.id)
    assert removal.being_removed(rows, bobs.id) is not None
    assert removal.finish(rows, bobs.id)
    assert removal.being_removed(rows, bobs.id) is None


def test_what_bob_has_is_told_from_counters_alone(rows: Session, bobs: Mailbox, bob: User) -> None:
    mailbox_of(rows, bob, "info@firm.test")
    asked: list[str] = []

    def note(_c: object, _k: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    engine = rows.connection().engine
    event.listen(engine, "before_cursor_execute", note)
    filled = removal.of_person(rows, bob)
    event.remove(engine, "before_cursor_execute", note)
    found = [(one.mailbox.address, one.messages, one.is_going) for one in filled]
    assert found == [("bob@firm.test", 7, False), ("info@firm.test", 0, False)]
    assert [one for one in asked if "FROM message" in one] == []
    removal.begin_removal(rows, bobs, BY.now)
    assert [one.is_going for one in removal.of_person(rows, bob)] == [True, False]


def test_only_the_mail_of_a_disabled_person_is_deleted_and_only_with_the_login(
    rows: Session, bobs: Mailbox, bob: User
) -> None:
    person = rows.get_one(User, bob.id)
    assert refused(rows, person, "bob") == ("login", "person_active")
    people.disable(rows, person, BY)
    for typed in ("", "alice", "bo", "bob@firm.test"):
        assert refused(rows, person, typed) == ("login", "login_differs")
    assert [one.id for one in removal.delete_mail(rows, person, login=" BOB ", by=BY)] == [bobs.id]
    assert refused(rows, person, "bob") == ("login", "no_mail_kept")


def test_every_mailbox_of_the_person_goes_at_once_and_the_log_tells_the_numbers(
    rows: Session, bobs: Mailbox, carols: Mailbox, bob: User
) -> None:
    info = mailbox_of(rows, bob, "info@firm.test")
    going = mailbox_of(rows, bob, "old@firm.test")
    removal.begin_removal(rows, going, BY.now)
    since = going.state_since
    person = rows.get_one(User, bob.id)
    people.disable(rows, person, BY)
    later = replace(BY, now=datetime(2026, 3, 3, tzinfo=UTC))
    begun = removal.delete_mail(rows, person, login="bob", by=later)
    assert {one.id for one in begun} == {bobs.id, info.id}
    assert removal.waiting(rows) == [bobs.id, info.id, going.id]
    rows.refresh(going)
    assert going.state_since == since
    entry = rows.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.subject) == ("people.delete_mail", f"person:{bob.id}")
    assert (entry.subject_name, entry.at) == ("Bob", later.now)
    assert entry.changes == {"mailboxes": [2, 0], "messages": [7, 0]}
