"""``flask keys rotate``: from one key to the next, whatever comes between."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from commands import keys as commands_keys
from domain import mailboxes
from domain.changelog import ends_as_written, first_broken
from domain.key_rotation import BATCH
from domain.secrets import KeyRing, SecretLostError
from keys import KeysError, load_keys, load_ring
from models import ChangeLogEntry, Mailbox, User, db
from tests import mailroom
from tests.commands.test_doctor import doctor
from tests.conftest import ROOT
from tests.mailroom import mailbox_of

PASSWORD = mailboxes.PASSWORD


class Interrupted(BaseException):
    """As a power cut: nothing of the program may catch it."""


@pytest.fixture
def folder(app: Flask, data_folder: Path) -> Path:
    return data_folder / "keys"


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_keys, "PAUSE_SECONDS", 0)


@pytest.fixture
def running(app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    """The ring as a process has it that started before anything else happened."""
    ring = load_keys(folder).ring
    monkeypatch.setattr(mailroom, "RING", ring)
    return ring


@pytest.fixture
def boxes(session: Session, running: KeyRing, bob: User, carol: User) -> list[Mailbox]:
    return [mailbox_of(session, bob), mailbox_of(session, carol)]


def rotate(app: Flask) -> Result:
    return app.test_cli_runner().invoke(args=["keys", "rotate"], catch_exceptions=False)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "secrets" in path.name)


def opened(session: Session, ring: KeyRing, box: Mailbox) -> str:
    session.refresh(box)
    return ring.open(box.sealed_password, box.uuid, PASSWORD)


def sealed_under(session: Session, boxes: list[Mailbox]) -> set[bytes]:
    session.expire_all()
    return {box.sealed_password.partition(b":")[0] for box in boxes}


def entries(session: Session) -> list[ChangeLogEntry]:
    return list(
        session.scalars(select(ChangeLogEntry).where(ChangeLogEntry.action == "keys.rotate"))
    )


def test_every_password_is_sealed_anew_and_what_follows_is_said(
    app: Flask, session: Session, folder: Path, boxes: list[Mailbox]
) -> None:
    done = rotate(app)
    assert done.exit_code == 0
    assert sealed_under(session, boxes) == {b"2"}
    only_new = KeyRing("2", {"2": load_ring(folder).keys["2"]})
    assert [opened(session, only_new, box) for box in boxes] == ["secret", "secret"]
    first, second, third = done.output.splitlines()
    assert first.startswith(f"{folder}/secrets-2 was made. Keep a copy of it")
    assert second == "Passwords sealed anew: 2 of mailboxes, 0 of connection tests."
    assert re.fullmatch(
        rf"{folder}/secrets-1 opens nothing in this database any more\. Backups of it from before"
        r" \d{4}-\d\d-\d\d \d\d:\d\d still need it: delete it when the last of them is gone\.",
        third,
    )


def test_the_new_key_is_its_owners_alone_and_another_one(app: Flask, folder: Path) -> None:
    rotate(app)
    assert files(folder) == ["secrets-1", "secrets-2"]
    assert (folder / "secrets-2").stat().st_mode & 0o777 == 0o600
    assert (folder / "secrets-1").read_bytes() != (folder / "secrets-2").read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_a_key_that_root_makes_belongs_to_whom_the_product_runs_as(
    app: Flask, folder: Path
) -> None:
    os.chown(folder / "secrets-1", 12345, 54321)
    rotate(app)
    made = (folder / "secrets-2").stat()
    assert (made.st_uid, made.st_gid) == (12345, 54321)


def test_the_change_log_has_one_entry_and_is_whole(
    app: Flask, session: Session, boxes: list[Mailbox]
) -> None:
    rotate(app)
    (entry,) = entries(session)
    assert (entry.author_name, entry.subject_name) == ("", "secrets-2")
    assert entry.changes == {"key": ["secrets-1", "secrets-2"]}
    # The entries before were written by tests, under another key: this one follows from them.
    key = app.extensions["postroom_keys"].change_log
    assert ends_as_written(session, key)
    assert first_broken(session, key) != entry.id


def test_each_rotation_makes_one_more_key(
    app: Flask, session: Session, folder: Path, boxes: list[Mailbox]
) -> None:
    for number in range(2, 12):
        assert rotate(app).exit_code == 0
        assert sealed_under(session, boxes) == {str(number).encode()}
    done = rotate(app)
    assert "secrets-10 and " in done.output
    assert "open nothing in this database any more" in done.output
    assert opened(session, load_ring(folder), boxes[0]) == "secret"


def test_a_house_without_a_mailbox_has_its_key_changed_too(
    app: Flask, session: Session, folder: Path
) -> None:
    done = rotate(app)
    assert done.exit_code == 0
    assert files(folder) == ["secrets-1", "secrets-2"]
    assert entries(session)[0].changes == {"key": ["secrets-1", "secrets-2"]}


def test_where_there_are_no_tables_no_key_is_made(app: Flask, folder: Path) -> None:
    with app.app_context():
        db.engine.dispose()
    for path in folder.parent.glob("postroom.sqlite*"):
        path.unlink()
    done = rotate(app)
    assert done.exit_code == 1
    assert "There is no database of this version here." in done.output
    assert files(folder) == ["secrets-1"]


def test_a_database_that_somebody_else_writes_to_for_long_is_said(
    app: Flask, session: Session, boxes: list[Mailbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        event.listen(
            db.engine, "connect", lambda raw, _record: raw.execute("PRAGMA busy_timeout=1")
        )
    session.connection().exec_driver_sql("BEGIN IMMEDIATE")
    done = rotate(app)
    session.connection().exec_driver_sql("ROLLBACK")
    assert done.exit_code == 1
    assert "database is locked" in done.output
    assert "Run this again: it goes on where it was." in done.output
    assert rotate(app).exit_code == 0
    assert sealed_under(session, boxes) == {b"2"}


def test_a_folder_that_takes_no_new_file_is_said(
    app: Flask, session: Session, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("keys.os.open", refused)
    done = rotate(app)
    assert done.exit_code == 2
    assert f"{folder}/secrets-2 cannot be made (Permission denied)." in done.output
    assert entries(session) == []


# --- Cut off ------------------------------------------------------------------------------------


def test_cut_off_at_any_statement_it_is_finished_by_the_next_run(
    app: Flask, session: Session, folder: Path, boxes: list[Mailbox], bob: User
) -> None:
    """Before every single statement and commit, one after another, until none is left."""
    boxes += [mailbox_of(session, bob, f"bob{number}@firm.test") for number in range(BATCH)]
    step, cut_off = 0, True
    while cut_off:
        step += 1
        keys_before = len(files(folder))
        cut_off = cut_at(app, step)
        done = rotate(app)
        assert done.exit_code == 0
        newest = str(max(int(name.removeprefix("secrets-")) for name in files(folder)))
        assert sealed_under(session, boxes) == {newest.encode()}, step
        assert opened(session, load_ring(folder), boxes[-1]) == "secret"
        # At most one more where all had been sealed anew already when it was cut off.
        assert len(files(folder)) - keys_before in {1, 2}
        (folder / "secrets-1").unlink(missing_ok=True)
    assert step > 20


def cut_at(app: Flask, step: int) -> bool:
    """Whether it came so far."""
    left = step

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Interrupted

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", count)
    try:
        rotate(app)
    except Interrupted:
        return True
    finally:
        event.remove(engine, "before_cursor_execute", count)
        event.remove(engine, "commit", count)
    return False


KILLED = """
import os, signal
from app import create_app
from commands import keys

left = {after}
def die(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

keys.key_rotation.BATCH = 1
{place} = die
create_app().test_cli_runner().invoke(args=["keys", "rotate"])
"""


@pytest.mark.parametrize(
    ("place", "after", "still_old"),
    [("keys._reseal_all", 0, 3), ("keys.sleep", 0, 2), ("keys.sleep", 1, 1)],
)
def test_killed_it_goes_on_with_the_key_that_was_made(
    app: Flask,
    session: Session,
    folder: Path,
    boxes: list[Mailbox],
    bob: User,
    place: str,
    after: int,
    still_old: int,
) -> None:
    boxes.append(mailbox_of(session, bob, "bob2@firm.test"))
    script = KILLED.format(place=place, after=after)
    killed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "POSTROOM_DATA": str(folder.parent)},
    )
    assert killed.returncode == -signal.SIGKILL
    session.expire_all()
    under = [box.sealed_password[:2] for box in boxes]
    assert (under.count(b"1:"), under.count(b"2:")) == (still_old, 3 - still_old)
    done = rotate(app)
    assert done.exit_code == 0
    assert "There were passwords under an older key" in done.output
    assert f"They went to {folder}/secrets-2, and no key was made" in done.output
    assert f"sealed anew: {still_old} of mailboxes" in done.output
    assert sealed_under(session, boxes) == {b"2"}
    assert files(folder) == ["secrets-1", "secrets-2"]
    assert [entry.changes for entry in entries(session)] == [
        {"key": ["secrets-1", "secrets-2"]}
    ] * (1 if place == "keys._reseal_all" else 2)


# --- While the house is running -----------------------------------------------------------------


def test_who_started_before_opens_and_seals_under_the_new_key(
    app: Flask, session: Session, running: KeyRing, boxes: list[Mailbox]
) -> None:
    rotate(app)
    assert opened(session, running, boxes[0]) == "secret"
    sealed = running.seal("later", boxes[0].uuid, PASSWORD)
    assert sealed.startswith(b"2:")


def test_what_is_sealed_under_the_old_key_behind_its_back_is_caught_by_the_last_pass(
    app: Flask,
    session: Session,
    running: KeyRing,
    boxes: list[Mailbox],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page sealed just before the new key was there, and commits after its row was passed."""
    old = running.as_of_now()
    late = [old.seal(text, boxes[0].uuid, PASSWORD) for text in ("late", "later")]

    def meanwhile(_seconds: float) -> None:
        if late:
            boxes[0].sealed_password = late.pop(0)
            session.flush()

    monkeypatch.setattr(commands_keys, "sleep", meanwhile)
    done = rotate(app)
    assert done.exit_code == 0
    assert late == []
    assert sealed_under(session, boxes) == {b"2"}
    assert opened(session, running, boxes[0]) == "later"


def test_others_write_between_two_batches(
    app: Flask, boxes: list[Mailbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction is open in the pauses."""
    pauses: list[int] = []
    with app.app_context():
        pool = db.engine.pool

    def look(_seconds: float) -> None:
        pauses.append(pool.checkedout())  # type: ignore[attr-defined]

    monkeypatch.setattr(commands_keys, "sleep", look)
    rotate(app)
    assert pauses
    assert set(pauses) == {0}


def test_a_key_file_that_cannot_be_used_is_passed_over(folder: Path, running: KeyRing) -> None:
    (folder / "secrets-2").touch(0o600)
    box = uuid4()
    sealed = running.seal("x", box, PASSWORD)
    assert sealed.startswith(b"1:")
    with pytest.raises(SecretLostError):
        running.open(b"2:" + b"z" * 40, box, PASSWORD)


@pytest.mark.parametrize(
    "name", ["secrets-1.old", "secrets-02", "secrets-", "secrets-x", "secrets-2~"]
)
def test_copies_of_key_files_are_no_keys(folder: Path, running: KeyRing, name: str) -> None:
    (folder / name).write_bytes((folder / "cookie").read_bytes())
    (folder / name).chmod(0o600)
    assert load_keys(folder).ring.keys.keys() == {"1"}
    assert running.seal("x", uuid4(), PASSWORD).startswith(b"1:")


def test_nothing_is_sealed_under_a_key_that_is_left_in_memory_only(
    folder: Path, running: KeyRing
) -> None:
    (folder / "secrets-1").unlink()
    with pytest.raises(SecretLostError):
        running.seal("x", uuid4(), PASSWORD)
    with pytest.raises(KeysError, match="no key for passwords"):
        load_ring(folder)


def test_a_folder_that_is_away_for_a_moment_is_not_taken_for_a_loss(
    folder: Path, running: KeyRing
) -> None:
    folder.rename(folder.with_name("away"))
    with pytest.raises(FileNotFoundError):
        running.open(b"2:" + b"z" * 40, uuid4(), PASSWORD)


def test_a_first_key_that_was_deleted_after_a_rotation_is_not_made_again(
    app: Flask, session: Session, folder: Path, boxes: list[Mailbox]
) -> None:
    rotate(app)
    (folder / "secrets-1").unlink()
    assert opened(session, load_keys(folder).ring, boxes[0]) == "secret"
    assert files(folder) == ["secrets-2"]
    _, printed = doctor(folder.parent)
    assert "ok      keys       as they should be\n" in printed
