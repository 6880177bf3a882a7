"""A canary password goes every way that passwords go, and is then looked for everywhere.

What it must never reach: a file of the data folder or a copy of one, a log record, a page, a
header, what a process prints.
"""

import base64
import html
import json
import logging
import sqlite3
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask, flash
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from commands.worker import job_of
from domain import services
from domain.mailboxes import PASSWORD as FIELD
from domain.secrets import KeyRing
from jobs.connecting import run_test
from jobs.context import Job
from jobs.outbox import send
from jobs.parsers import DirectParser
from jobs.runner import Runner
from jobs.sync import sync_mailbox
from keys import load_keys
from models import (
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    MailboxState,
    MailService,
    OutgoingMessage,
    OutgoingState,
    User,
    db,
)
from scripts.house import running
from tests.conftest import FRAGMENT, SignIn, author, settings_in
from tests.conftest import PASSWORD as OWN_PASSWORD
from tests.jobs.canary import CANARY, Witness, disguises
from tests.jobs.office import mailbox_of, queue, settings_of
from tests.plain_browser import PlainBrowser
from tests.servers.mail_system import PASSWORD, USUAL, MailSystem
from tests.waiting import until
from web.access import anyone

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

CONNECT = "/profile/mail/connect"
SERVICES = "/administration/mail/services/"
LOUD = ("sqlalchemy", "imapclient", "huey", "werkzeug", "flask", "app", "jobs", "web", "mail")
PLAIN: dict[str, str] = {}
WITH_AND_WITHOUT_HTMX = pytest.mark.parametrize("headers", [PLAIN, FRAGMENT])


@pytest.fixture
def firm(mail_system: MailSystem) -> MailSystem:
    """Who can sign in is for each test to say, and stays as it is where the next says the same."""
    mail_system.remove_mail()
    return mail_system


@pytest.fixture
def app(data_folder: Path, firm: MailSystem) -> Iterator[Flask]:
    """As it runs for real: a fault is answered with a page and written to the log."""
    application = create_app(replace(settings_in(data_folder, firm.hosts), testing=False))
    application.config["WTF_CSRF_ENABLED"] = False
    application.extensions["postroom_worker_runs"] = (float("inf"), True)
    yield application
    with application.app_context():
        db.engine.dispose()


@pytest.fixture
def job(app: Flask) -> Job:
    with app.app_context():
        return job_of(DirectParser())


@pytest.fixture(autouse=True)
def witness(app: Flask, data_folder: Path, tmp_path: Path) -> Iterator[Witness]:
    found = Witness(app, data_folder, tmp_path / "copies")
    loggers = [logging.getLogger(name) for name in ("", *LOUD)]
    levels = [logger.level for logger in loggers]
    logging.getLogger().addHandler(found)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield found
    logging.getLogger().removeHandler(found)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def service(session: Session, firm: MailSystem, witness: Witness) -> MailService:
    return services.add(session, settings_of(firm), author())


@pytest.fixture
def bobs(bob: User, signed_in: SignIn, service: MailService) -> FlaskClient:
    return signed_in(bob)


@pytest.fixture
def takes_canary(firm: MailSystem) -> None:
    """Bob's password at the firm's servers."""
    firm.set_passwords({"bob": CANARY})


def connect(
    client: FlaskClient, service: MailService, headers: dict[str, str] = PLAIN, /, **typed: str
) -> TestResponse:
    usual = {"address": "bob@firm.test", "service": str(service.id), "login": "bob"}
    data = {**usual, "password": CANARY, **typed}
    return client.post(CONNECT, data=data, headers=headers)


def window(firm: MailSystem, **typed: str) -> dict[str, str]:
    """*Mail service settings* as an administrator fills it in, with a login to try."""
    return {
        "name": "Another",
        "smtp_server": f"smtp.firm.test:{firm.smtps_port}",
        "smtp_security": "TLS",
        "imap_server": f"imap.firm.test:{firm.imaps_port}",
        "imap_security": "TLS",
        "imap_login_form": "ADDRESS",
        "smtp_login_form": "ADDRESS",
        "process_default": "yes",
        "ca_pem": firm.ca_pem,
        "test_login": "bob",
        "test_password": CANARY,
        **typed,
    }


def newest(session: Session) -> ConnectionTest:
    session.expire_all()
    found = session.scalars(select(ConnectionTest).order_by(ConnectionTest.id.desc())).first()
    assert found is not None, "no connection test was begun"
    return found


def connected_before(
    job: Job, session: Session, client: FlaskClient, service: MailService, firm: MailSystem
) -> int:
    """Bob's mailbox, with the usual password."""
    firm.set_passwords(USUAL)
    connect(client, service, password=PASSWORD)
    mailbox_id = run_test(job, newest(session).id)
    assert mailbox_id is not None
    return mailbox_id


def look_around(client: FlaskClient, *addresses: str) -> None:
    for address in ("/", "/mail/", "/profile/", "/profile/mail", CONNECT, *addresses):
        client.get(address)
        client.get(address, headers=FRAGMENT)


# --- Every way that it goes ---------------------------------------------------------------------


@pytest.mark.usefixtures("takes_canary")
@WITH_AND_WITHOUT_HTMX
def test_of_a_mailbox_that_is_connected_receives_and_sends(
    witness: Witness,
    job: Job,
    session: Session,
    bob: User,
    bobs: FlaskClient,
    service: MailService,
    firm: MailSystem,
    headers: dict[str, str],
) -> None:
    connect(bobs, service, headers)
    test = newest(session)
    assert test.sealed_password
    watch = f"{CONNECT}/{test.uuid}"
    look_around(bobs, watch)
    assert witness.finds() == []
    mailbox_id = run_test(job, test.id)
    assert mailbox_id is not None
    assert sync_mailbox(job, mailbox_id)
    message = queue(job, mailbox_of(job, bob), "bob@firm.test")
    send(job, message)
    with job.step() as opened:
        assert opened.get_one(OutgoingMessage, message).state is OutgoingState.SENT
    look_around(bobs, watch, f"/mail/{mailbox_id}")
    assert witness.finds() == []
    # It was really there, and was really looked for.
    box = mailbox_of(job, bob)
    assert job.ring.open(box.sealed_password, box.uuid, FIELD) == CANARY
    assert any("sqlalchemy.engine" in record for record in witness.records)
    assert len(witness.answers) > 10


@WITH_AND_WITHOUT_HTMX
def test_of_a_login_that_is_refused(
    witness: Witness,
    job: Job,
    session: Session,
    bobs: FlaskClient,
    service: MailService,
    firm: MailSystem,
    headers: dict[str, str],
) -> None:
    firm.set_passwords(USUAL)
    connect(bobs, service, headers)
    assert run_test(job, newest(session).id) is None
    test = newest(session)
    assert (test.state, test.cause) == (ConnectionTestState.FAILED, "login_refused")
    look_around(bobs, f"{CONNECT}/{test.uuid}", f"{CONNECT}?tried={test.uuid}")
    # Kept for whoever only mistyped the login, and used without being typed again.
    connect(bobs, service, headers, login="bobby", password="", tried=str(test.uuid))
    run_test(job, newest(session).id)
    look_around(bobs, f"{CONNECT}/{newest(session).uuid}")
    assert newest(session).id != test.id
    assert witness.finds() == []


@WITH_AND_WITHOUT_HTMX
@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "bob"},
        {"login": "bob\nbob"},
        {"service": "999999"},
        {"password": f"{CANARY}\n"},
        {"address": "", "service": "other", "imap_server": "x", "smtp_server": "x"},
    ],
)
def test_of_a_form_that_is_refused(
    witness: Witness,
    bobs: FlaskClient,
    service: MailService,
    headers: dict[str, str],
    wrong: dict[str, str],
) -> None:
    assert connect(bobs, service, headers, **wrong).status_code == 422
    look_around(bobs)
    assert witness.finds() == []


@WITH_AND_WITHOUT_HTMX
def test_of_another_form_that_is_refused(
    witness: Witness,
    job: Job,
    session: Session,
    bobs: FlaskClient,
    service: MailService,
    firm: MailSystem,
    headers: dict[str, str],
) -> None:
    mailbox_id = connected_before(job, session, bobs, service, firm)
    session.get_one(Mailbox, mailbox_id).state = MailboxState.MOVED
    session.flush()
    address = f"/profile/mail/{mailbox_id}/password"
    assert bobs.post(address, data={"password": CANARY}, headers=headers).status_code == 422
    typed = {"old": CANARY, "password": CANARY}
    assert bobs.post("/profile/password", data=typed, headers=headers).status_code == 422
    assert witness.finds() == []


@pytest.mark.parametrize("headers", [PLAIN, FRAGMENT])
@pytest.mark.parametrize("takes_it", [True, False])
def test_of_a_new_password_for_a_mailbox(
    witness: Witness,
    job: Job,
    session: Session,
    bob: User,
    bobs: FlaskClient,
    service: MailService,
    firm: MailSystem,
    headers: dict[str, str],
    takes_it: bool,
) -> None:
    mailbox_id = connected_before(job, session, bobs, service, firm)
    if takes_it:
        firm.set_passwords({"bob": CANARY})
    address = f"/profile/mail/{mailbox_id}/password"
    bobs.post(address, data={"password": CANARY}, headers=headers)
    assert (run_test(job, newest(session).id) == mailbox_id) is takes_it
    assert sync_mailbox(job, mailbox_id)
    look_around(bobs, address, f"{CONNECT}/{newest(session).uuid}")
    box = mailbox_of(job, bob)
    assert (job.ring.open(box.sealed_password, box.uuid, FIELD) == CANARY) is takes_it
    assert witness.finds() == []


@WITH_AND_WITHOUT_HTMX
@pytest.mark.parametrize("takes_it", [True, False])
def test_of_what_an_administrator_tests(
    witness: Witness,
    job: Job,
    session: Session,
    alice: User,
    signed_in: SignIn,
    service: MailService,
    firm: MailSystem,
    headers: dict[str, str],
    takes_it: bool,
) -> None:
    firm.set_passwords({"bob": CANARY} if takes_it else USUAL)
    alices = signed_in(alice)
    typed = window(firm)
    answer = alices.post(f"{SERVICES}test", data=typed, headers=headers)
    assert answer.status_code == 200, answer.text
    test = newest(session)
    assert test.sealed_password
    assert witness.finds() == []
    run_test(job, test.id)
    ended = ConnectionTestState.SUCCEEDED if takes_it else ConnectionTestState.FAILED
    assert newest(session).state is ended
    look_around(alices, f"{SERVICES}tests/{test.uuid}", SERVICES)
    alices.post(f"{SERVICES}test", data={**typed, "look": str(test.uuid)}, headers=headers)
    wrong = window(firm, imap_server="imap.firm.test", name="")
    for address in (f"{SERVICES}test", f"{SERVICES}add"):
        assert alices.post(address, data=wrong, headers=headers).status_code == 422
    assert witness.finds() == []


# --- Faults while somebody holds it -------------------------------------------------------------


def break_smtp(patch: pytest.MonkeyPatch) -> None:
    def broken(*held: object) -> None:
        raise RuntimeError(f"broken with {held!r}")

    patch.setattr("jobs.connecting.diagnosis.try_smtp", broken)


def break_imap_wire(patch: pytest.MonkeyPatch) -> None:
    def broken(*held: object, **_more: object) -> None:
        raise RuntimeError(f"broken with {held!r}")

    patch.setattr("mail.imap.wire.Wire.sign_in", broken)


def break_sealing(patch: pytest.MonkeyPatch) -> None:
    def broken(*_held: object) -> None:
        raise RuntimeError("broken")

    patch.setattr(KeyRing, "seal", broken)


@pytest.mark.usefixtures("takes_canary")
@pytest.mark.parametrize("break_it", [break_smtp, break_imap_wire, break_sealing])
def test_of_a_fault_in_the_worker(
    witness: Witness,
    job: Job,
    session: Session,
    bobs: FlaskClient,
    service: MailService,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[pytest.MonkeyPatch], None],
) -> None:
    connect(bobs, service)
    break_it(monkeypatch)
    worked_through(lambda key: run_test(job, key), newest(session).id)
    assert newest(session).state is ConnectionTestState.FAILED
    assert_a_traceback_was_written(witness)
    look_around(bobs, f"{CONNECT}/{newest(session).uuid}")
    assert witness.finds() == []


@pytest.mark.usefixtures("takes_canary")
def test_of_a_fault_while_mail_is_received(
    witness: Witness,
    job: Job,
    session: Session,
    bobs: FlaskClient,
    service: MailService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(bobs, service)
    mailbox_id = run_test(job, newest(session).id)
    assert mailbox_id is not None
    break_imap_wire(monkeypatch)
    worked_through(lambda key: sync_mailbox(job, key), mailbox_id)
    assert_a_traceback_was_written(witness)
    assert witness.finds() == []


@pytest.mark.usefixtures("takes_canary")
@pytest.mark.parametrize("table", ["connection_test", "mailbox"])
def test_of_a_database_that_refuses_the_row(
    witness: Witness,
    job: Job,
    session: Session,
    bobs: FlaskClient,
    service: MailService,
    table: str,
) -> None:
    session.execute(
        text(
            f"CREATE TRIGGER refused BEFORE INSERT ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    )
    answer = connect(bobs, service)
    if table == "mailbox":
        worked_through(lambda key: run_test(job, key), newest(session).id)
    else:
        assert answer.status_code == 500
    assert_a_traceback_was_written(witness)
    assert witness.finds() == []


@WITH_AND_WITHOUT_HTMX
def test_of_a_fault_in_a_view(
    witness: Witness,
    job: Job,
    session: Session,
    alice: User,
    signed_in: SignIn,
    bobs: FlaskClient,
    service: MailService,
    firm: MailSystem,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
) -> None:
    mailbox_id = connected_before(job, session, bobs, service, firm)
    alices = signed_in(alice)
    break_sealing(monkeypatch)
    answers = [
        connect(bobs, service, headers, address="bob2@firm.test"),
        bobs.post(
            f"/profile/mail/{mailbox_id}/password", data={"password": CANARY}, headers=headers
        ),
        alices.post(f"{SERVICES}test", data=window(firm), headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [500, 500, 500]
    assert_a_traceback_was_written(witness)
    assert witness.finds() == []


def worked_through(work: Callable[[int], object], key: int) -> None:
    """In a thread of the worker, which writes to the log what went wrong."""

    begun = threading.Event()

    def once(given: int) -> None:
        begun.set()
        work(given)

    runner = Runner("canary", once, threads=1)
    runner.start()
    runner.wake(key)
    assert begun.wait(20)
    runner.stop(20)


def assert_a_traceback_was_written(witness: Witness) -> None:
    assert any("Traceback (most recent call last)" in record for record in witness.records)


# --- As processes -------------------------------------------------------------------------------


@pytest.mark.usefixtures("takes_canary")
def test_of_web_and_worker_as_processes(
    witness: Witness,
    session: Session,
    data_folder: Path,
    bob: User,
    service: MailService,
    firm: MailSystem,
) -> None:
    settings = {"POSTROOM_HOSTS": firm.hosts}
    with running("run-all", data_folder, settings, until="Postroom runs at") as house:
        browser = PlainBrowser(house.address)
        browser.post("/sign-in", login="bob", password=OWN_PASSWORD)
        typed = {"service": str(service.id), "login": "bob", "address": "bob@firm.test"}
        pages = [browser.post(CONNECT, **typed, password=CANARY)]
        until(lambda: newest(session).state is ConnectionTestState.SUCCEEDED)
        pages.append(browser.get("/profile/mail"))
        refused = {**typed, "login": "bobby", "address": "bob2@firm.test"}
        pages.append(browser.post(CONNECT, **refused, password=CANARY))
        until(lambda: newest(session).state is ConnectionTestState.FAILED)
        pages.append(browser.get(f"{CONNECT}?tried={newest(session).uuid}"))
        witness.others = {"the pages": "".join(pages), "what it prints": house.output}
        assert witness.finds() == []
    witness.others["what it printed"] = house.output
    assert "connection test" in house.output
    assert witness.finds() == []
    box = session.scalars(select(Mailbox)).one()
    ring = load_keys(data_folder / "keys").ring
    assert ring.open(box.sealed_password, box.uuid, FIELD) == CANARY


# --- Whoever looks, finds -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        CANARY.encode(),
        CANARY.encode("utf-16"),
        base64.b64encode(CANARY.encode()),
        *(base64.b64encode(f"\0{login}\0{CANARY}".encode()) for login in ("bo", "bob", "carol")),
        *(base64.urlsafe_b64encode(f"{'x' * n}{CANARY}tail".encode()) for n in range(3)),
        urllib.parse.urlencode({"password": CANARY}).encode(),
        urllib.parse.quote(CANARY).lower().encode(),
        html.escape(f'<input value="{CANARY}">').encode(),
        json.dumps({"password": CANARY}).encode(),
        repr({"password": CANARY.encode()}).encode(),
        CANARY.encode().hex().upper().encode(),
    ],
)
def test_it_is_recognised_in_whatever_it_is_wrapped(written: bytes) -> None:
    found = [one for one in disguises(CANARY).values() if one.lower() in written.lower()]
    assert found != []


def test_what_is_somebody_elses_is_not_taken_for_it(witness: Witness, bobs: FlaskClient) -> None:
    look_around(bobs)
    logging.getLogger("jobs.x").info("Kanarienvogel 4711, %s", base64.b64encode(b"Kanarien"))
    assert witness.finds() == []


def test_it_would_be_found_in_the_database_its_wal_and_its_copies(
    witness: Witness, job: Job, session: Session, bobs: FlaskClient, service: MailService
) -> None:
    connect(bobs, service)
    with job.step() as opened:
        opened.get_one(ConnectionTest, newest(session).id).sealed_password = CANARY.encode()
    places = {found.partition(":")[0] for found in witness.finds()}
    assert {
        "data/postroom.sqlite-wal",
        "copies/backup-postroom.sqlite",
        "copies/vacuumed-postroom.sqlite",
    } <= places
    with closing(sqlite3.connect(Path(witness._data) / "postroom.sqlite")) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert any(found.startswith("data/postroom.sqlite:") for found in witness.finds())


def test_it_would_be_found_in_a_log_a_traceback_a_page_and_a_cookie(
    witness: Witness, app: Flask
) -> None:
    log = logging.getLogger("jobs.x")
    log.debug("typed %s", CANARY)
    try:
        raise RuntimeError(CANARY)
    except RuntimeError:
        log.exception("failed")
    assert {found.partition(":")[0] for found in witness.finds()} >= {
        f"log record {len(witness.records) - 2}",
        f"log record {len(witness.records) - 1}",
    }
    witness.records.clear()
    app.add_url_rule("/page", "page", anyone(lambda: CANARY))
    app.add_url_rule("/cookie", "cookie", anyone(in_a_cookie))
    for address in ("/page", "/cookie"):
        assert witness.finds() == []
        app.test_client().get(address)
        assert witness.finds() != [], address
        witness.answers.clear()


def in_a_cookie() -> str:
    """Long enough to be compressed."""
    flash(CANARY + "x" * 1000)
    return "done"
