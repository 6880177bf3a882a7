"""Raw messages come back to the byte."""

import sqlite3
import uuid
from pathlib import Path

import pytest

from models.source_store import SourceMissingError, SourceStore, hash_of

BOX = uuid.uuid4()


@pytest.fixture
def store(tmp_path: Path) -> SourceStore:
    return SourceStore(tmp_path / "messages")


def test_what_was_put_comes_back_to_the_byte(store: SourceStore) -> None:
    raw = b"Subject: x\r\n\r\n\x00\xff body"
    (name,) = store.put(BOX, [raw])
    assert name == hash_of(raw)
    assert store.get(BOX, name) == raw


def test_the_same_message_is_kept_once(store: SourceStore, tmp_path: Path) -> None:
    names = store.put(BOX, [b"same", b"same", b"other"])
    assert names[0] == names[1] != names[2]
    with sqlite3.connect(tmp_path / "messages" / f"{BOX}.sqlite") as file:
        assert file.execute("SELECT count(*) FROM source").fetchone() == (2,)
    file.close()


def test_another_mailbox_does_not_see_it(store: SourceStore) -> None:
    (name,) = store.put(BOX, [b"mine"])
    for box in (uuid.uuid4(), BOX):
        if box != BOX:
            with pytest.raises(SourceMissingError):
                store.get(box, name)
    with pytest.raises(SourceMissingError):
        store.get(BOX, hash_of(b"never put"))


def test_a_dropped_mailbox_leaves_no_file(store: SourceStore, tmp_path: Path) -> None:
    store.put(BOX, [b"x"])
    store.drop_mailbox(BOX)
    assert list((tmp_path / "messages").iterdir()) == []
    store.drop_mailbox(BOX)


def test_what_was_damaged_is_named(store: SourceStore, tmp_path: Path) -> None:
    good, bad = store.put(BOX, [b"good", b"bad"])
    assert store.verify(BOX) == []
    with sqlite3.connect(tmp_path / "messages" / f"{BOX}.sqlite") as file:
        file.execute("UPDATE source SET body = x'00' WHERE hash = ?", (bad,))
    file.close()
    assert store.verify(BOX) == [bad]
    assert store.get(BOX, good) == b"good"


def test_only_the_owner_of_the_process_may_look_into_the_folder(
    store: SourceStore, tmp_path: Path
) -> None:
    assert (tmp_path / "messages").stat().st_mode & 0o077 == 0
