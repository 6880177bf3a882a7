"""What Bob did here and the server does not know yet."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import messages
from domain.sync import changes, folder
from domain.sync.plan import Announced
from models import FlagChange, Folder, Message, PendingChange, User
from tests.mailroom import SEEN, dump, fetched, inbox_of, letter, mailbox_of

HERE = Announced(uid_validity=7, uid_next=4, exists=3, highest_modseq=None)


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    """Asks for the people first: this session keeps others from writing."""
    with sessions() as opened:
        yield opened


@pytest.fixture
def inbox(rows: Session, bob: User) -> Folder:
    """Three messages, of which the third is read."""
    own = inbox_of(rows, mailbox_of(rows, bob))
    folder.begin(rows, own, HERE)
    batch = [fetched(letter(f"Number {uid}"), uid) for uid in (1, 2)]
    folder.store(rows, own, [*batch, fetched(letter("Number 3"), 3, flags=SEEN)])
    return own


def message(rows: Session, inbox: Folder, uid: int) -> Message:
    return rows.scalars(
        select(Message).where(Message.folder_id == inbox.id, Message.uid == uid)
    ).one()


def unread(rows: Session, inbox: Folder) -> int:
    rows.refresh(inbox)
    return inbox.unread


def test_a_message_that_bob_reads_is_read_and_counted_at_once(
    rows: Session, inbox: Folder, bob: User
) -> None:
    before = messages.version(rows, bob)
    first = message(rows, inbox, 1)
    assert changes.set_seen(rows, first, seen=True)
    rows.refresh(first)
    assert first.seen
    assert unread(rows, inbox) == 1
    assert messages.version(rows, bob) == before + 1
    assert changes.set_seen(rows, first, seen=False)
    assert unread(rows, inbox) == 2


def test_a_message_that_is_read_already_changes_nothing(rows: Session, inbox: Folder) -> None:
    before = dump(rows)
    assert not changes.set_seen(rows, message(rows, inbox, 3), seen=True)
    assert dump(rows) == before


def test_only_the_last_change_of_a_message_waits_for_the_server(
    rows: Session, inbox: Folder
) -> None:
    first = message(rows, inbox, 1)
    changes.set_seen(rows, first, seen=True)
    changes.set_seen(rows, first, seen=False)
    waiting = rows.scalars(select(PendingChange)).all()
    assert [one.change for one in waiting] == [FlagChange.UNSEEN]


def test_changes_are_told_by_folder_and_kind(rows: Session, inbox: Folder) -> None:
    for uid, seen in ((1, True), (2, True), (3, False)):
        changes.set_seen(rows, message(rows, inbox, uid), seen=seen)
    read, unread_again = changes.to_replay(rows, inbox.mailbox_id)
    assert (read.change, read.uids) == (FlagChange.SEEN, (1, 2))
    assert (unread_again.change, unread_again.uids) == (FlagChange.UNSEEN, (3,))
    assert (read.folder_name, read.folder_id, read.uid_validity) == ("INBOX", inbox.id, 7)


def test_what_the_server_was_told_is_told_once(rows: Session, inbox: Folder) -> None:
    for uid in (1, 2):
        changes.set_seen(rows, message(rows, inbox, uid), seen=True)
    changes.set_seen(rows, message(rows, inbox, 3), seen=False)
    read, _ = changes.to_replay(rows, inbox.mailbox_id)
    changes.done(rows, read.ids)
    (left,) = changes.to_replay(rows, inbox.mailbox_id)
    assert (left.change, left.uids) == (FlagChange.UNSEEN, (3,))


def test_what_bob_changes_while_the_server_is_told_is_told_next(
    rows: Session, inbox: Folder
) -> None:
    first = message(rows, inbox, 1)
    changes.set_seen(rows, first, seen=True)
    (replay,) = changes.to_replay(rows, inbox.mailbox_id)
    changes.set_seen(rows, first, seen=False)
    changes.done(rows, replay.ids)
    (left,) = changes.to_replay(rows, inbox.mailbox_id)
    assert (left.change, left.uids) == (FlagChange.UNSEEN, (1,))


def test_a_change_waits_while_its_message_has_no_number(rows: Session, inbox: Folder) -> None:
    changes.set_seen(rows, message(rows, inbox, 1), seen=True)
    folder.renumber(rows, inbox, HERE)
    assert changes.to_replay(rows, inbox.mailbox_id) == []
    assert rows.scalars(select(PendingChange)).one().change is FlagChange.SEEN


def test_carols_changes_are_not_told_to_bobs_server(
    rows: Session, inbox: Folder, carol: User
) -> None:
    carols = inbox_of(rows, mailbox_of(rows, carol))
    folder.store(rows, carols, [fetched(letter(), 1)])
    changes.set_seen(rows, message(rows, carols, 1), seen=True)
    assert changes.to_replay(rows, inbox.mailbox_id) == []
