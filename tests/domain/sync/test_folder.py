"""A folder's rows follow the server's, whatever happens between two visits."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from domain.sync import changes, folder
from domain.sync.plan import Announced, Flags, Visit, visit
from models import Folder, Message, MessageContent, PendingChange, User
from models.source_store import hash_of
from tests.mailroom import SEEN, UNSEEN, dump, fetched, inbox_of, letter, mailbox_of, unreadable

FIRST = Announced(uid_validity=7, uid_next=4, exists=3, highest_modseq=90)
RAWS = [letter(f"Number {number}") for number in range(1, 4)]


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User) -> Iterator[Session]:
    with sessions() as opened:
        yield opened


@pytest.fixture
def inbox(rows: Session, bob: User) -> Folder:
    return inbox_of(rows, mailbox_of(rows, bob))


@pytest.fixture
def filled(rows: Session, inbox: Folder) -> Folder:
    """Three messages, of which the first is read."""
    folder.begin(rows, inbox, FIRST)
    flags = (SEEN, UNSEEN, UNSEEN)
    batch = [fetched(raw, uid, flags=flags[uid - 1]) for uid, raw in enumerate(RAWS, 1)]
    folder.store(rows, inbox, batch)
    folder.finish(rows, inbox, FIRST)
    return inbox


def counted(rows: Session, own: Folder) -> tuple[int, int]:
    """How many rows there are, and how many of them are unread: what the counters have to say."""
    total, unread = rows.execute(
        select(func.count(), func.count().filter(Message.seen.is_(False))).where(
            Message.folder_id == own.id
        )
    ).one()
    return total, unread


def kept(rows: Session, own: Folder) -> tuple[int, int]:
    rows.refresh(own)
    return own.total, own.unread


def message(rows: Session, own: Folder, uid: int) -> Message:
    return rows.scalars(
        select(Message)
        .where(Message.folder_id == own.id, Message.uid == uid)
        .execution_options(populate_existing=True)
    ).one()


def test_what_arrives_is_listed_and_counted(rows: Session, filled: Folder) -> None:
    assert folder.ours(rows, filled.id) == {1: SEEN, 2: UNSEEN, 3: UNSEEN}
    assert kept(rows, filled) == counted(rows, filled) == (3, 2)
    first = message(rows, filled, 1)
    assert (first.subject, first.sender_name, first.sender_address) == (
        "Number 1",
        "Carol",
        "carol@firm.test",
    )
    assert (first.recipients, first.preview, first.readable) == ("Bob", "At noon?", True)
    content = rows.get_one(MessageContent, first.id)
    assert content.text == "At noon?"
    assert content.headers["to"] == [{"name": "Bob", "address": "bob@firm.test"}]


def test_a_batch_that_arrives_twice_is_there_once(rows: Session, filled: Folder) -> None:
    before = dump(rows)
    folder.store(rows, filled, [fetched(raw, uid) for uid, raw in enumerate(RAWS, 1)])
    assert dump(rows) == before


def test_of_a_batch_that_is_there_in_part_only_the_rest_is_put_in(
    rows: Session, filled: Folder
) -> None:
    fresh = letter("Number 4")
    folder.store(rows, filled, [fetched(fresh, 4), fetched(RAWS[2], 3)])
    assert kept(rows, filled) == counted(rows, filled) == (4, 3)
    assert message(rows, filled, 4).subject == "Number 4"


def test_a_message_nobody_can_parse_does_not_stop_the_others(rows: Session, inbox: Folder) -> None:
    broken = fetched(unreadable(), 2)
    assert broken.parsed is None
    folder.store(rows, inbox, [fetched(RAWS[0], 1), broken, fetched(RAWS[2], 3)])
    assert kept(rows, inbox) == counted(rows, inbox) == (3, 3)
    damaged = message(rows, inbox, 2)
    assert (damaged.readable, damaged.source_hash) == (False, hash_of(unreadable()))
    assert rows.get_one(MessageContent, damaged.id).text == ""
    assert [message(rows, inbox, uid).readable for uid in (1, 3)] == [True, True]


def test_a_message_too_large_to_fetch_is_listed_without_a_source(
    rows: Session, inbox: Folder
) -> None:
    folder.store(rows, inbox, [replace(fetched(b"", 1), source_hash=None, parsed=None)])
    assert message(rows, inbox, 1).source_hash is None
    assert not message(rows, inbox, 1).readable


def test_what_is_longer_than_a_column_is_cut_and_never_stops_a_batch(
    rows: Session, inbox: Folder
) -> None:
    long = letter("s" * 3000, sender=f"{'n' * 900} <carol@firm.test>", body="p" * 900)
    folder.store(rows, inbox, [fetched(long, 1)])
    found = message(rows, inbox, 1)
    assert (len(found.subject), len(found.sender_name), len(found.preview)) == (998, 300, 200)


def test_what_the_server_removed_goes_with_its_content_and_its_counters(
    rows: Session, filled: Folder
) -> None:
    changes.set_seen(rows, message(rows, filled, 2), seen=True)
    folder.forget(rows, filled, [1, 2, 99])
    assert folder.ours(rows, filled.id) == {3: UNSEEN}
    assert kept(rows, filled) == counted(rows, filled) == (1, 1)
    assert rows.scalar(select(func.count()).select_from(MessageContent)) == 1
    assert rows.scalar(select(PendingChange)) is None


def test_more_than_one_chunk_can_be_removed_at_once(rows: Session, inbox: Folder) -> None:
    raw = letter()
    folder.store(rows, inbox, [fetched(raw, uid) for uid in range(1, 602)])
    folder.forget(rows, inbox, range(1, 601))
    assert folder.ours(rows, inbox.id) == {601: UNSEEN}
    assert kept(rows, inbox) == (1, 1)


def test_the_servers_flags_are_taken_over_and_counted(rows: Session, filled: Folder) -> None:
    starred = Flags(seen=False, flagged=True, answered=True)
    folder.reflag(rows, filled, {1: starred, 2: SEEN, 99: SEEN})
    assert folder.ours(rows, filled.id) == {1: starred, 2: SEEN, 3: UNSEEN}
    assert kept(rows, filled) == counted(rows, filled) == (3, 2)
    folder.reflag(rows, filled, {1: SEEN, 3: SEEN})
    assert kept(rows, filled) == counted(rows, filled) == (3, 0)


def test_what_bob_read_stays_read_until_the_server_has_been_told(
    rows: Session, filled: Folder
) -> None:
    changes.set_seen(rows, message(rows, filled, 2), seen=True)
    assert folder.pending_uids(rows, filled.id) == frozenset({2})
    folder.reflag(rows, filled, {2: UNSEEN})
    assert folder.ours(rows, filled.id)[2] == SEEN
    assert kept(rows, filled) == counted(rows, filled) == (3, 1)


def test_what_was_passed_over_because_of_a_change_is_asked_for_again(
    rows: Session, filled: Folder
) -> None:
    changes.set_seen(rows, message(rows, filled, 2), seen=True)
    later = replace(FIRST, highest_modseq=95)
    folder.reflag(rows, filled, {2: Flags(flagged=True)})
    folder.finish(rows, filled, later)
    assert filled.highest_modseq == FIRST.highest_modseq
    assert visit(folder.known(filled), later) is Visit.LOOK
    (replay,) = changes.to_replay(rows, filled.mailbox_id)
    changes.done(rows, replay.ids)
    folder.finish(rows, filled, later)
    assert visit(folder.known(filled), later) is Visit.NOTHING


def test_a_change_that_the_server_refused_lets_all_flags_be_asked_for(
    rows: Session, filled: Folder
) -> None:
    changes.set_seen(rows, message(rows, filled, 2), seen=True)
    (replay,) = changes.to_replay(rows, filled.mailbox_id)
    changes.refused(rows, replay)
    rows.refresh(filled)
    assert changes.to_replay(rows, filled.mailbox_id) == []
    assert filled.highest_modseq is None


def test_one_changed_flag_costs_the_same_in_a_large_folder(rows: Session, inbox: Folder) -> None:
    def steps_of_one_change(flags: Flags) -> int:
        """How much SQLite does, in tens of its own steps."""
        connection = rows.connection().connection.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        connection.set_progress_handler(count, 10)
        folder.reflag(rows, inbox, {1: flags})
        connection.set_progress_handler(None, 0)
        return steps

    folder.store(rows, inbox, [fetched(letter(), uid) for uid in range(1, 11)])
    small = steps_of_one_change(SEEN)
    folder.store(rows, inbox, [fetched(RAWS[0], uid) for uid in range(11, 1_011)])
    assert steps_of_one_change(UNSEEN) < 2 * small


def test_the_flags_of_more_than_one_chunk_are_taken_over(rows: Session, inbox: Folder) -> None:
    folder.store(rows, inbox, [fetched(RAWS[0], uid) for uid in range(1, 602)])
    folder.reflag(rows, inbox, dict.fromkeys(range(1, 602), SEEN))
    assert kept(rows, inbox) == counted(rows, inbox) == (601, 0)


def test_only_a_visit_that_came_to_its_end_is_believed(rows: Session, inbox: Folder) -> None:
    folder.begin(rows, inbox, FIRST)
    assert (inbox.uid_next, inbox.highest_modseq, inbox.remote_total) == (None, None, 3)
    folder.store(rows, inbox, [fetched(raw, uid) for uid, raw in enumerate(RAWS, 1)])
    assert visit(folder.known(inbox), FIRST) is Visit.LOOK
    folder.finish(rows, inbox, FIRST)
    assert visit(folder.known(inbox), FIRST) is Visit.NOTHING


def test_the_progress_bar_ends_where_the_folder_ends(rows: Session, inbox: Folder) -> None:
    folder.begin(rows, inbox, replace(FIRST, exists=5))
    folder.store(rows, inbox, [fetched(raw, uid) for uid, raw in enumerate(RAWS, 1)])
    assert (inbox.remote_total, inbox.total) == (5, 3)
    folder.finish(rows, inbox, FIRST)
    assert inbox.remote_total == inbox.total == 3


RENUMBERED = replace(FIRST, uid_validity=8)


def test_a_renumbered_folder_is_matched_by_hash_and_keeps_what_was_read(
    rows: Session, filled: Folder
) -> None:
    before = {uid: message(rows, filled, uid).id for uid in (1, 2, 3)}
    folder.renumber(rows, filled, RENUMBERED)
    assert folder.ours(rows, filled.id) == {}
    assert kept(rows, filled) == (3, 2)
    batch = [fetched(RAWS[2], 10), fetched(RAWS[1], 11), fetched(RAWS[0], 12, flags=SEEN)]
    folder.store(rows, filled, batch)
    folder.finish(rows, filled, RENUMBERED)
    assert folder.ours(rows, filled.id) == {10: UNSEEN, 11: UNSEEN, 12: SEEN}
    after = {uid: message(rows, filled, uid).id for uid in (10, 11, 12)}
    assert after == {10: before[3], 11: before[2], 12: before[1]}
    assert kept(rows, filled) == counted(rows, filled) == (3, 2)
    assert filled.uid_validity == 8
    assert rows.scalar(select(func.count()).select_from(MessageContent)) == 3


def test_what_bob_read_before_the_server_knew_survives_a_renumbering(
    rows: Session, filled: Folder
) -> None:
    changes.set_seen(rows, message(rows, filled, 2), seen=True)
    folder.renumber(rows, filled, RENUMBERED)
    folder.store(rows, filled, [fetched(RAWS[1], 20)])
    folder.finish(rows, filled, RENUMBERED)
    assert folder.ours(rows, filled.id) == {20: SEEN}
    assert kept(rows, filled) == counted(rows, filled) == (1, 0)
    (replay,) = changes.to_replay(rows, filled.mailbox_id)
    assert (replay.uids, replay.uid_validity) == ((20,), 8)


def test_flags_that_the_server_changed_with_the_numbers_are_taken_over(
    rows: Session, filled: Folder
) -> None:
    folder.renumber(rows, filled, RENUMBERED)
    starred = Flags(seen=True, flagged=True)
    folder.store(rows, filled, [fetched(RAWS[0], 5), fetched(RAWS[1], 6, flags=starred)])
    folder.finish(rows, filled, RENUMBERED)
    assert folder.ours(rows, filled.id) == {5: UNSEEN, 6: starred}
    assert kept(rows, filled) == counted(rows, filled) == (2, 1)


def test_two_equal_messages_stay_two_after_a_renumbering(rows: Session, inbox: Folder) -> None:
    twin = letter("Twice")
    folder.begin(rows, inbox, FIRST)
    folder.store(rows, inbox, [fetched(twin, 1), fetched(twin, 2)])
    folder.finish(rows, inbox, FIRST)
    folder.renumber(rows, inbox, RENUMBERED)
    folder.store(rows, inbox, [fetched(twin, 8), fetched(twin, 9)])
    folder.finish(rows, inbox, RENUMBERED)
    assert sorted(folder.ours(rows, inbox.id)) == [8, 9]
    assert kept(rows, inbox) == counted(rows, inbox) == (2, 2)


def test_what_is_not_found_again_goes_when_the_visit_ends_and_not_before(
    rows: Session, filled: Folder
) -> None:
    folder.renumber(rows, filled, RENUMBERED)
    folder.store(rows, filled, [fetched(RAWS[0], 5, flags=SEEN), fetched(letter("New"), 6)])
    assert kept(rows, filled) == counted(rows, filled) == (4, 3)
    folder.finish(rows, filled, RENUMBERED)
    assert sorted(folder.ours(rows, filled.id)) == [5, 6]
    assert kept(rows, filled) == counted(rows, filled) == (2, 1)


def test_a_renumbering_that_is_cut_off_is_begun_again(rows: Session, filled: Folder) -> None:
    folder.renumber(rows, filled, RENUMBERED)
    folder.store(rows, filled, [fetched(RAWS[2], 12)])
    assert visit(folder.known(filled), RENUMBERED) is Visit.LOOK


def test_a_message_of_another_folder_is_not_matched(rows: Session, filled: Folder) -> None:
    elsewhere = rows.scalars(
        select(Folder).where(Folder.mailbox_id == filled.mailbox_id, Folder.name == "Projects")
    ).one()
    folder.renumber(rows, filled, RENUMBERED)
    folder.store(rows, elsewhere, [fetched(RAWS[0], 1)])
    assert kept(rows, elsewhere) == (1, 1)
    assert kept(rows, filled) == (3, 2)
