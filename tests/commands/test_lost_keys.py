"""Lost keys: what a rotation leaves, how they come back, and what a start says of them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from commands.run import look_at_keys
from domain import mailboxes
from domain.secrets import KeyRing
from keys import load_keys, load_ring
from models import Mailbox, MailboxState, User
from scripts.house import free_port
from tests import mailroom
from tests.commands.test_doctor import doctor
from tests.commands.test_keys import (
    boxes,
    files,
    folder,
    in_no_time,
    opened,
    rotate,
    running,
)
from tests.conftest import ROOT
from tests.mailroom import mailbox_of

__all__ = ["boxes", "folder", "in_no_time", "running"]


def lose(folder: Path) -> bytes:
    """The key file is gone and, as at any start, another one is made under its name."""
    lost = (folder / "secrets-1").read_bytes()
    (folder / "secrets-1").unlink()
    load_keys(folder)
    return lost


def test_what_cannot_be_opened_is_left_counted_and_named(
    app: Flask, session: Session, folder: Path, running: KeyRing, bob: User, carol: User
) -> None:
    bobs = mailbox_of(session, bob)
    before = bobs.sealed_password
    lose(folder)
    carols = mailbox_of(session, carol)
    done = rotate(app)
    assert done.exit_code == 1
    assert "Passwords sealed anew: 1 of mailboxes" in done.output
    assert "1 could not be opened and were left as they are: bob@firm.test. Bring" in done.output
    assert "carol@firm.test" not in done.output
    session.refresh(bobs)
    assert bobs.sealed_password == before
    assert opened(session, load_ring(folder), carols) == "secret"


def test_of_many_that_cannot_be_opened_the_first_are_named_and_steer_no_terminal(
    app: Flask, session: Session, folder: Path, running: KeyRing, bob: User
) -> None:
    for number in range(22):
        mailbox_of(session, bob, f"b{number:02}@firm.test")
    session.get_one(Mailbox, 1).address = "b\x1b[2J@firm.test"
    session.flush()
    lose(folder)
    said = rotate(app).output
    assert "22 could not be opened and were left as they are: b?[2J@firm.test, b01" in said
    assert "b19@firm.test and 2 more. Bring" in said
    assert "\x1b" not in said


def test_lost_rows_do_not_keep_a_later_rotation_from_making_a_key(
    app: Flask, session: Session, folder: Path, boxes: list[Mailbox]
) -> None:
    lose(folder)
    rotate(app)
    rotate(app)
    assert files(folder) == ["secrets-1", "secrets-2", "secrets-3"]


def test_no_new_key_takes_the_name_of_a_lost_one(
    app: Flask, session: Session, folder: Path, boxes: list[Mailbox]
) -> None:
    """It may be brought back, and must not overwrite a key that is in use then."""
    rotate(app)
    (folder / "secrets-2").unlink()
    rotate(app)
    assert files(folder) == ["secrets-1", "secrets-3"]


def test_rotating_before_and_after_a_key_is_brought_back_brings_everybody_back(
    app: Flask, session: Session, folder: Path, running: KeyRing, bob: User, carol: User
) -> None:
    bobs = mailbox_of(session, bob)
    lost = lose(folder)
    carols = mailbox_of(session, carol)
    mailboxes.note_secret_lost(session, bobs.id, mailroom.NOW)
    rotate(app)
    (folder / "secrets-1").write_bytes(lost)
    done = rotate(app)
    assert done.exit_code == 0
    assert files(folder) == ["secrets-1", "secrets-2"]
    only_new = KeyRing("2", {"2": load_ring(folder).keys["2"]})
    assert [opened(session, only_new, box) for box in (bobs, carols)] == ["secret", "secret"]
    assert bobs.state is MailboxState.CONNECTING


@pytest.fixture
def looks(app: Flask, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What a start says on stderr."""

    def look() -> str:
        with app.app_context():
            look_at_keys()
        printed = capsys.readouterr()
        assert printed.out == ""
        return printed.err

    return look


def test_a_start_with_the_right_keys_says_nothing(
    boxes: list[Mailbox], looks: Callable[[], str]
) -> None:
    assert looks() == ""


def test_a_start_with_a_wrong_key_says_which_for_how_many_and_what_still_works(
    folder: Path, boxes: list[Mailbox], looks: Callable[[], str]
) -> None:
    lose(folder)
    said = looks()
    assert said.count("\n") == 1
    for part in (
        f"This concerns 2 mailboxes: {folder}/secrets-1 is not the key that sealed them (2).",
        "Signing in, the mail already received and its search, and the service settings work",
        "nothing is received or sent for these mailboxes",
        "Bring the file back from a backup and start again, or have the owners type",
    ):
        assert part in said


def test_a_start_without_a_key_says_which_is_missing(
    app: Flask, folder: Path, boxes: list[Mailbox], looks: Callable[[], str]
) -> None:
    rotate(app)
    (folder / "secrets-2").unlink()
    assert f"{folder}/secrets-2 is missing (2)." in looks()


def test_a_key_that_is_back_at_the_next_start_is_all_it_needs(
    session: Session, folder: Path, boxes: list[Mailbox], looks: Callable[[], str]
) -> None:
    lost = lose(folder)
    for box in boxes:
        mailboxes.note_secret_lost(session, box.id, mailroom.NOW)
    assert "2 mailboxes" in looks()
    (folder / "secrets-1").write_bytes(lost)
    assert looks() == ""
    session.expire_all()
    assert {box.state for box in boxes} == {MailboxState.CONNECTING}


def test_run_all_says_it_on_stderr_and_runs(
    folder: Path, boxes: list[Mailbox], tmp_path: Path
) -> None:
    lose(folder)
    errors = tmp_path / "stderr"
    with errors.open("w") as file:
        house = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "app.py", "run-all"],
            cwd=ROOT,
            env={
                **os.environ,
                "POSTROOM_DATA": str(folder.parent),
                "POSTROOM_LISTEN": f"127.0.0.1:{free_port()}",
            },
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
        assert house.stdout is not None
        with house.stdout as output:
            assert "Postroom runs at" in output.readline()
            house.terminate()
        house.wait(30)
    assert "The keys do not open the passwords in the database." in errors.read_text()


def test_the_doctor_says_it_in_the_same_words(
    session: Session, folder: Path, running: KeyRing, bob: User, carol: User
) -> None:
    mailbox_of(session, bob)
    lose(folder)
    _, printed = doctor(folder.parent)
    assert "failed  keys       passwords opened: none, not opened: 1 of mailboxes\n" in printed
    assert f"This concerns 1 mailbox: {folder}/secrets-1 is not the key" in printed
    mailbox_of(session, carol)
    _, printed = doctor(folder.parent)
    assert "warning  keys       passwords opened: 1 of mailboxes, not opened: 1\n" in printed
    assert "nothing is received or sent for this mailbox" in printed
