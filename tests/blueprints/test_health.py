"""``/healthz``: open, cheap, and without a word about people."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from domain.secrets import KeyRing
from jobs import vital_signs
from jobs.worker import only_worker
from models import Mailbox, MailboxState, User, db
from tests.conftest import PASSWORD
from tests.mailroom import RING, dump, mailbox_of, queued
from web import house

FINE = dict.fromkeys(
    ["settings", "keys", "database", "disk", "worker", "queue", "outbox", "mailboxes"], "ok"
)


@pytest.fixture(autouse=True)
def asked_anew(app: Flask) -> None:
    """Here the worker is really asked for."""
    del app.extensions["postroom_worker_runs"]


@pytest.fixture
def works(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[str]]:
    """A worker's lock, and a disk with room, wherever the tests run."""
    monkeypatch.setattr(vital_signs, "free_bytes", lambda _folder: 50_000_000_000)
    with only_worker(data_folder) as lock:
        yield lock


@pytest.fixture
def mailbox(app: Flask, session: Session, bob: User, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    monkeypatch.setattr("blueprints.health.views.ring", lambda: RING)
    return mailbox_of(session, bob)


def test_when_all_is_well_it_says_so_to_anyone(
    client: FlaskClient, works: IO[str], mailbox: Mailbox
) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "checks": FINE})
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_a_warning_is_answered_with_200(
    client: FlaskClient, works: IO[str], session: Session, mailbox: Mailbox
) -> None:
    mailbox.state = MailboxState.LOGIN_REFUSED
    session.flush()
    answer = client.get("/healthz")
    checks = {**FINE, "mailboxes": "warning"}
    assert (answer.status_code, answer.json) == (200, {"status": "warning", "checks": checks})


def test_without_a_worker_it_is_503(client: FlaskClient, works: IO[str]) -> None:
    works.close()
    answer = client.get("/healthz")
    checks = {**FINE, "worker": "failed"}
    assert (answer.status_code, answer.json) == (503, {"status": "failed", "checks": checks})


def test_keys_that_open_nothing_are_503(
    client: FlaskClient, works: IO[str], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = KeyRing(current="1", keys={"1": b"x" * 32})
    monkeypatch.setattr("blueprints.health.views.ring", lambda: other)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (
        503,
        {"status": "failed", "checks": {**FINE, "keys": "failed"}},
    )


@pytest.mark.parametrize("asked_before", [False, True])
def test_tables_of_another_version_are_503_and_still_json(
    client: FlaskClient, works: IO[str], session: Session, asked_before: bool
) -> None:
    if asked_before:
        client.get("/healthz")
    session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["status"] == "failed"
    assert answer.json["checks"]["database"] == "failed"
    assert answer.json["checks"]["worker"] == "ok"
    assert "outbox" not in answer.json["checks"]


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_database_that_cannot_be_read_is_503_and_still_json(
    app: Flask, client: FlaskClient, works: IO[str], data_folder: Path, asked_before: bool
) -> None:
    if asked_before:
        client.get("/healthz")
    with app.app_context():
        db.engine.dispose()
    for suffix in ("", "-wal", "-shm"):
        (data_folder / f"postroom.sqlite{suffix}").unlink(missing_ok=True)
    (data_folder / "postroom.sqlite").write_bytes(b"no database " * 1000)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["checks"] == {
        **dict.fromkeys(["settings", "keys", "disk", "worker"], "ok"),
        "database": "failed",
    }


def test_nothing_of_people_is_told(
    client: FlaskClient, works: IO[str], session: Session, mailbox: Mailbox, data_folder: Path
) -> None:
    queued(session, mailbox, subject="canary-subject")
    mailbox.state = MailboxState.UNREACHABLE
    session.flush()
    said = client.get("/healthz").text
    for word in ("canary", "bob", "Bob", "firm", PASSWORD, str(data_folder)):
        assert word not in said


def test_it_writes_nothing_and_asks_little(
    app: Flask, client: FlaskClient, works: IO[str], session: Session, mailbox: Mailbox
) -> None:
    queued(session, mailbox)
    client.get("/healthz")
    before = dump(session)
    said: list[str] = []
    with app.app_context():
        event.listen(
            db.engine,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, *_: said.append(statement),
        )
    assert client.get("/healthz").status_code == 200
    assert dump(session) == before
    assert 0 < len(said) <= 12
    asks = ("BEGIN", "SELECT", "PRAGMA main.table_info", "PRAGMA temp.table_info")
    assert [one for one in said if not one.lstrip().startswith(asks)] == []


def test_a_post_is_not_answered(client: FlaskClient) -> None:
    assert client.post("/healthz").status_code == 405


def test_whether_a_worker_runs_is_looked_up_every_two_seconds(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([100.0, 101.9, 102.0, 103.0])
    answers = iter([False, True])
    monkeypatch.setattr(house, "monotonic", lambda: next(times))
    monkeypatch.setattr(house, "worker_is_running", lambda _folder: next(answers))
    with app.app_context():
        assert [house.worker_runs() for _ in range(4)] == [False, False, True, True]
