"""``flask doctor`` on a data folder: what it prints, and what monitoring gets."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from jobs import vital_signs, worker
from jobs.huey_app import make_huey
from jobs.tasks import Tasks
from jobs.worker import WorkerRunsError, only_worker, worker_is_running
from keys import load_keys
from models import Mailbox, MailboxState, User
from tests import mailroom
from tests.conftest import ROOT
from tests.mailroom import NOW, mailbox_of, queued

HOUSE, ALONE = "app.py", "commands.doctor"


def doctor(data: Path, *options: str, app: str = ALONE, **settings: str) -> tuple[int, str]:
    """The exit status and what was printed."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", app, "doctor", *options],
        cwd=ROOT,
        env={**others, "POSTROOM_DATA": str(data), "POSTROOM_TIME_ZONE": "UTC", **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def programs(data: Path, *options: str) -> tuple[int, dict[str, Any]]:
    status, printed = doctor(data, "--json", *options)
    return status, json.loads(printed)


@pytest.fixture
def folder(data_folder: Path) -> Path:
    """A data folder as a first start leaves it."""
    load_keys(data_folder / "keys")
    return data_folder


@pytest.fixture
def works(folder: Path) -> Iterator[IO[str]]:
    """Where a worker runs. These tests need room on the disk, as all others do."""
    with only_worker(folder) as lock:
        yield lock


@pytest.fixture
def mailbox(folder: Path, session: Session, bob: User, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    monkeypatch.setattr(mailroom, "RING", load_keys(folder / "keys").ring)
    return mailbox_of(session, bob)


@pytest.mark.parametrize("app", [HOUSE, ALONE])
def test_when_all_is_well_it_says_so_line_by_line(
    folder: Path, works: IO[str], mailbox: Mailbox, app: str
) -> None:
    status, printed = doctor(folder, "--thorough", app=app)
    lines = [line.split() for line in printed.splitlines() if line]
    assert [line[:2] for line in lines] == [
        ["ok", name]
        for name in "settings keys database disk worker queue outbox mailboxes Bob".split()
    ], printed
    assert lines[-1][2:] == ["Firm", "mail", "bob@firm.test", "working", "2026-03-02", "09:00"]
    assert status == 0


def test_without_a_worker_it_says_how_to_start_one(folder: Path) -> None:
    status, printed = doctor(folder)
    assert status == 2
    assert "failed  worker     not running\n" in printed
    assert "Start the product with `make run`" in printed


def test_a_key_that_others_may_read_is_named_with_what_to_type(
    folder: Path, works: IO[str]
) -> None:
    key = folder / "keys" / "cookie"
    key.chmod(0o644)
    status, printed = doctor(folder)
    assert status == 2
    assert "failed  keys       not usable\n" in printed
    assert f"Set its mode to 0600: chmod 600 {key}\n" in printed
    assert "ok      mailboxes" in printed


def test_a_missing_key_is_told_and_not_made(folder: Path, works: IO[str]) -> None:
    key = folder / "keys" / "secrets-1"
    key.unlink()
    status, printed = doctor(folder)
    assert status == 2
    assert f"{key} is missing. Bring it back from a backup" in printed
    assert not key.exists()


def test_a_key_that_holds_something_else_is_told(folder: Path, works: IO[str]) -> None:
    (folder / "keys" / "cookie").write_text("no key")
    status, printed = doctor(folder)
    assert status == 2
    assert "does not hold a key" in printed


def test_keys_of_another_house_are_told(folder: Path, works: IO[str], mailbox: Mailbox) -> None:
    for key in (folder / "keys").iterdir():
        key.unlink()
    load_keys(folder / "keys")
    status, printed = doctor(folder)
    assert status == 2
    assert "The keys do not open the passwords in the database." in printed


@pytest.mark.parametrize("app", [HOUSE, ALONE])
def test_an_old_schema_is_told_with_how_to_bring_it_up_to_date(
    folder: Path, works: IO[str], session: Session, app: str
) -> None:
    session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    status, printed = doctor(folder, app=app)
    assert status == 2
    assert "failed  database  schema older, this version needs" in printed
    assert "`make run` brings older ones up to date" in printed
    assert "outbox" not in printed


def test_a_setting_that_cannot_be_used_is_told(folder: Path) -> None:
    status, printed = doctor(folder, POSTROOM_WEB_THREADS="many")
    assert status == 2
    assert "failed  settings  not readable\n" in printed
    assert "POSTROOM_WEB_THREADS ends in a number from 1 to 500" in printed


def test_where_nothing_is_nothing_is_made(tmp_path: Path) -> None:
    status, printed = doctor(tmp_path / "wrong")
    assert status == 2
    assert "The data folder cannot be reached." in printed
    assert "unable to open database file" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_mailbox_that_needs_a_person_is_a_warning_that_names_the_person(
    folder: Path, works: IO[str], session: Session, mailbox: Mailbox
) -> None:
    mailbox.state = MailboxState.LOGIN_REFUSED
    session.flush()
    status, printed = doctor(folder)
    assert status == 1
    assert "warning  Bob  Firm mail  bob@firm.test  login refused  2026-03-02 09:00\n" in printed
    assert "Its server refuses login or password. Bob has to give the present password." in printed


def test_a_name_does_not_steer_the_terminal(
    folder: Path, works: IO[str], session: Session, mailbox: Mailbox
) -> None:
    mailbox.user.name = "Bob\x1b[2J"
    session.flush()
    _, printed = doctor(folder)
    assert "\x1b" not in printed
    assert "Bob?[2J" in printed


def test_programs_get_the_same_as_json(
    folder: Path, works: IO[str], session: Session, mailbox: Mailbox
) -> None:
    queued(session, mailbox, subject="canary-subject", now=NOW)
    status, found = programs(folder)
    assert (status, found["status"]) == (1, "warning")
    outbox = found["checks"]["outbox"]
    assert (outbox["status"], outbox["queued"], outbox["held"]) == ("warning", 1, 0)
    assert outbox["oldest_seconds"] > 15 * 60
    assert outbox["advice"].startswith("A message has waited for over 15 minutes.")
    assert found["checks"]["worker"] == {"status": "ok", "found": "running", "advice": ""}
    assert found["mailboxes"] == [
        {
            "owner": "Bob",
            "service": "Firm mail",
            "address": "bob@firm.test",
            "state": "working",
            "last_contact": "2026-03-02T09:00:00+00:00",
            "status": "ok",
            "advice": "",
        }
    ]
    assert "canary" not in json.dumps(found)
    assert "secret" not in json.dumps(found)


def test_tasks_that_nobody_took_are_counted(folder: Path) -> None:
    assert vital_signs.tasks_waiting(folder) == 0
    tasks = Tasks(make_huey(folder, b"k" * 32))
    tasks.mailbox(1)
    tasks.outgoing(2)
    assert vital_signs.tasks_waiting(folder) == 2
    assert vital_signs.tasks_waiting(folder) == 2


def test_tasks_that_cannot_be_read_are_not_taken_for_none(folder: Path) -> None:
    (folder / "tasks.sqlite").write_bytes(b"no database " * 1000)
    assert vital_signs.tasks_waiting(folder) is None


def test_a_worker_is_seen_for_as_long_as_it_runs(folder: Path) -> None:
    assert not worker_is_running(folder)
    with only_worker(folder):
        assert worker_is_running(folder)
        assert worker_is_running(folder)
    assert not worker_is_running(folder)


def test_looking_makes_no_file_and_keeps_nobody_from_starting(folder: Path) -> None:
    assert not worker_is_running(folder)
    assert not (folder / "worker.lock").exists()
    only_worker(folder).close()
    assert not worker_is_running(folder)
    only_worker(folder).close()


def test_two_who_look_at_once_do_not_take_each_other_for_a_worker(folder: Path) -> None:
    only_worker(folder).close()
    with (folder / "worker.lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert not worker_is_running(folder)


def test_a_worker_that_starts_while_somebody_looks_starts_nevertheless(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_worker(folder).close()
    looking = (folder / "worker.lock").open()
    fcntl.flock(looking, fcntl.LOCK_SH | fcntl.LOCK_NB)
    monkeypatch.setattr(worker, "sleep", lambda _seconds: looking.close())
    with only_worker(folder):
        assert worker_is_running(folder)


def test_a_second_worker_is_still_refused(
    folder: Path, works: IO[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "sleep", lambda _seconds: None)
    with pytest.raises(WorkerRunsError):
        only_worker(folder)
