"""*Other*, from the page to the worker and back: it shows what mail servers there are, no ports.

Loopback stands for both sides here: 127.0.0.1 is where employees may go, 127.0.0.2 is not.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import company, connecting, services
from domain.services import ServerSettings
from jobs import tasks
from jobs.connecting import run_test
from jobs.context import Job
from jobs.outbox import send
from jobs.parsers import DirectParser
from jobs.sync import sync_mailbox
from jobs.worker import Worker
from mail.connection import Network
from mail.security import Security
from mail.server_string import Protocol, ServerAddress
from models import (
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    MailboxState,
    OutgoingMessage,
    OwnServers,
    User,
)
from tests.conftest import FRAGMENT, SignIn, author
from tests.mail.test_connection import stuck_port
from tests.mail.test_diagnosis import open_house, saying, silence
from tests.mail.test_diagnosis import smtp as greeting_smtp
from tests.mail.test_discretion import ALLOWED, FORBIDDEN, Trap
from tests.mailroom import mailbox_of, queued
from tests.servers.scripted import Script, Talk, closed_port, greet_imap, serving
from tests.waiting import until

CONNECT = "/profile/mail/connect"
TABLE = {
    f"{protocol}.{where}.test": address
    for protocol in Protocol
    for where, address in (("firm", ALLOWED), ("inside", FORBIDDEN))
}
LASTS = 1.5  # seconds that a test lasts where no mail server answers
LATE = 1.0  # that it may be late, on a machine that does much else
CLOSED = 1  # a port on which nobody listens


@dataclass(frozen=True)
class Place:
    """Where a server is typed to be."""

    where: str
    port: int


@contextmanager
def refused() -> Iterator[Place]:
    with closed_port() as port:
        yield Place("firm", port)


@contextmanager
def filtered() -> Iterator[Place]:
    with stuck_port() as port:
        yield Place("firm", port)


@contextmanager
def forbidden() -> Iterator[Place]:
    with Trap(FORBIDDEN) as trap:
        yield Place("inside", trap.port)
        assert trap.callers == 0


@contextmanager
def answering(script: Script) -> Iterator[Place]:
    with open_house(script) as house:
        yield Place("firm", house.port)
        assert house.talks


PLACES: dict[str, Callable[[], AbstractContextManager[Place]]] = {
    "refused": refused,
    "filtered": filtered,
    "forbidden": forbidden,
    "closed": partial(answering, Talk.cut),
    "silent": partial(answering, silence),
    "SSH": partial(answering, saying("SSH-2.0-OpenSSH_9.2")),
    "web server": partial(answering, saying("HTTP/1.1 400 Bad Request", "")),
}


@pytest.fixture
def job(app: Flask, sessions: sessionmaker[Session]) -> Job:
    with sessions() as session, session.begin():
        company.set_other(
            session,
            allowed=True,
            process_default=True,
            networks=f"{ALLOWED}/32",
            version=company.settings(session).version,
            by=author(),
        )
    return Job(
        sessions=sessions,
        ring=app.extensions["postroom_keys"].ring,
        store=app.extensions["postroom_store"],
        network=Network(hosts=TABLE, connect_seconds=5, command_seconds=5, typed_seconds=LASTS),
        parser=DirectParser(),
        clock=lambda: datetime.now(UTC),
    )


@pytest.fixture
def worker(job: Job) -> Iterator[Worker]:
    worker = Worker(job, sync_threads=1)
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def client(job: Job, bob: User, signed_in: SignIn) -> FlaskClient:
    return signed_in(bob)


def now_is(job: Job, test: ConnectionTest) -> ConnectionTest:
    with job.step() as session:
        return session.get_one(ConnectionTest, test.id)


def newest(job: Job) -> ConnectionTest:
    with job.step() as session:
        found = session.scalars(select(ConnectionTest).order_by(ConnectionTest.id.desc())).first()
    assert found is not None
    return found


def comparable(page: str) -> str:
    """Without what differs between any two tests: names, ports, ids, tokens, times."""
    for what in (
        r"(?:imap|smtp)\.(?:firm|inside)\.test:\d+",
        r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        r'(?<=name="csrf_token")[^>]+',
        r'(?<="X-CSRFToken": ")[^"]+',
        r'(?<=name="version" value=")\d+',
        r"\b\d+ ms\b",
        r'(?<=datetime=")[^"]+',
        r"\b\d\d:\d\d\b",
    ):
        page = re.sub(what, "…", page)
    return page


@dataclass(frozen=True)
class Seen:
    """What Bob saw of a test: its page while the worker was at it, its page at the end, and after
    how many seconds that came."""

    running: str
    ended: str
    seconds: float


@dataclass(frozen=True)
class Bob:
    """Types servers, and watches what becomes of them."""

    client: FlaskClient
    job: Job
    worker: Worker

    def connects(self, imap: Place, smtp: Place, security: Security, done: list[str]) -> Seen:
        typed = {"address": "bob@firm.test", "service": "other", "login": "bob", "password": "x"}
        for protocol, place in (("imap", imap), ("smtp", smtp)):
            typed[f"{protocol}_server"] = f"{protocol}.{place.where}.test:{place.port}"
            typed[f"{protocol}_security"] = security.name
            typed[f"{protocol}_non_standard"] = "y"
        answer = self.client.post(CONNECT, data=typed)
        assert answer.status_code == 303, answer.text
        test, began = newest(self.job), time.monotonic()
        self.worker.wake[tasks.CONNECTION_TEST](test.id)
        until(lambda: self.has_come_to(test, done))
        running = self.client.get(answer.location).text
        until(lambda: now_is(self.job, test).state is not ConnectionTestState.RUNNING)
        seconds = time.monotonic() - began
        fragment = self.client.get(answer.location, headers=FRAGMENT).text
        page = self.client.get(answer.location).text
        return Seen(comparable(running), comparable(page + fragment), seconds)

    def has_come_to(self, test: ConnectionTest, done: list[str]) -> bool:
        test = now_is(self.job, test)
        assert test.state in (ConnectionTestState.WAITING, ConnectionTestState.RUNNING)
        return [f"{one['protocol']} {one['step']}" for one in test.steps] == done


@pytest.fixture
def bobs(client: FlaskClient, job: Job, worker: Worker) -> Bob:
    return Bob(client, job, worker)


def all_alike(seen: dict[str, Seen]) -> Seen:
    """One of them, if there is no telling them apart."""
    one = seen["refused"]
    assert {name for name, other in seen.items() if other.running != one.running} == set()
    assert {name for name, other in seen.items() if other.ended != one.ended} == set()
    lasted = {name: other.seconds for name, other in seen.items()}
    assert min(lasted.values()) >= LASTS, lasted
    assert max(lasted.values()) < LASTS + LATE, lasted
    return one


def steps(page: str) -> list[str]:
    """What the page shows of the first steps of IMAP and SMTP."""
    found = re.findall(r'<li class="step step-(\w+)">.*?<span>([^<]+)</span>', page, re.DOTALL)
    return [f"{title}: {state}" for state, title in found]


# --- Test and Save --------------------------------------------------------------------------------


@pytest.mark.parametrize("security", [Security.NONE, Security.TLS])
def test_the_page_of_whatever_is_no_mail_server_is_the_same_to_the_letter_and_the_second(
    bobs: Bob, security: Security
) -> None:
    seen = {}
    for name, place in PLACES.items():
        with place() as imap:
            smtp = Place(imap.where, CLOSED)
            seen[name] = bobs.connects(imap, smtp, security, ["imap name"])
    one = all_alike(seen)
    assert steps(one.running)[:2] == ["Name found: done", "Port open: running"]
    after = "Greeting: waiting" if security is Security.NONE else "Encryption: waiting"
    assert steps(one.ended)[:3] == ["Name found: done", "Port open: failed", after]
    assert "No mail server answered at …." in one.ended
    assert "The server said" not in one.ended


def greets(talk: Talk) -> None:
    """As much of IMAP as a test needs."""
    greet_imap(talk)
    talk.answer("AUTHENTICATE")
    talk.answer("CAPABILITY", "* CAPABILITY IMAP4rev1")
    talk.answer("EXAMINE", "* 0 EXISTS", "* OK [UIDVALIDITY 1] valid", end="OK [READ-ONLY] done")
    talk.answer("LOGOUT", "* BYE")


def test_behind_a_good_imap_server_smtp_tells_no_more(bobs: Bob) -> None:
    done = [f"imap {step}" for step in ("name", "port", "greeting", "login", "inbox")]
    seen = {}
    for name, place in PLACES.items():
        with place() as smtp, serving(greets) as imap:
            inside = Place("firm", imap.port)
            seen[name] = bobs.connects(inside, smtp, Security.NONE, [*done, "smtp name"])
    one = all_alike(seen)
    assert steps(one.ended)[5:8] == ["Name found: done", "Port open: failed", "Greeting: waiting"]


def test_a_mail_server_is_told_with_the_steps_up_to_it_and_at_once(bobs: Bob, job: Job) -> None:
    with open_house(greeting_smtp) as house:
        place = Place("firm", house.port)
        test = begun(bobs, place)
        run_test(job, test.id)
    test = now_is(job, test)
    assert (test.failed_step, test.cause) == ("greeting", "smtp_answers")
    assert [one["step"] for one in test.steps] == ["name", "port"]


def test_steps_that_were_kept_back_have_the_times_they_took(bobs: Bob, job: Job) -> None:
    def slow(talk: Talk) -> None:
        if not talk._stop.wait(0.3):
            greet_imap(talk)
            talk.hear("AUTHENTICATE")
            talk.cut()

    with serving(slow) as server:
        test = begun(bobs, Place("firm", server.port))
        run_test(job, test.id)
    found = {one["step"]: one["ms"] for one in now_is(job, test).steps}
    assert list(found) == ["name", "port", "greeting"]
    assert found["port"] < 200 <= found["greeting"]


def begun(bobs: Bob, place: Place) -> ConnectionTest:
    """A test that no worker was told of."""
    with bobs.job.step() as session:
        bob = session.scalars(select(User).where(User.login == "bob")).one()
        return connecting.begin_test(
            session,
            bob,
            servers=own(place),
            address="bob@firm.test",
            login="bob",
            password="secret",
            tried=None,
            ring=bobs.job.ring,
            now=bobs.job.clock(),
        )


def own(place: Place) -> OwnServers:
    imap, smtp = (
        ServerSettings(
            ServerAddress(f"{protocol}.{place.where}.test", place.port),
            Security.NONE,
            non_standard=True,
        )
        for protocol in (Protocol.IMAP, Protocol.SMTP)
    )
    return services.own_servers(imap, smtp)


# --- A mailbox that is connected ------------------------------------------------------------------


def told(app: Flask, job: Job, bob: User, place: Place, signed_in: SignIn) -> tuple[object, ...]:
    """All that Bob's mailbox and a message in his outbox say, once neither server answered."""
    with job.step() as session:
        mailbox = session.scalars(select(Mailbox)).one()
        mailbox.own_servers, mailbox.service = own(place), None
        mailbox.state, mailbox.failures = MailboxState.WORKING, 0
        message = session.scalars(select(OutgoingMessage)).one()
        message.attempts, message.next_attempt_at = 0, job.clock()
        message.cause = message.server_words = ""
    assert not sync_mailbox(job, mailbox.id)
    assert send(job, message.id) is None
    with job.step() as session:
        mailbox = session.get_one(Mailbox, mailbox.id)
        message = session.get_one(OutgoingMessage, message.id)
        rows = (mailbox.state, mailbox.last_error_cause, mailbox.last_error_words)
        sent = (message.state, message.cause, message.server_words, mailbox.smtp_failures)
    client = signed_in(bob)
    pages = [comparable(client.get(path).text) for path in ("/mail/outbox", "/profile/mail")]
    return (*rows, *sent, *pages)


def test_a_mailbox_and_its_outbox_say_the_same_of_whatever_is_no_mail_server(
    app: Flask, job: Job, session: Session, bob: User, signed_in: SignIn
) -> None:
    box = mailbox_of(session, bob)
    box.sealed_password = job.ring.seal("secret", box.uuid, "password")
    queued(session, box)
    session.commit()
    found = {}
    for name in ("refused", "forbidden", "closed", "SSH", "web server"):
        with PLACES[name]() as place:
            found[name] = told(app, job, bob, place, signed_in)
    assert {name for name, one in found.items() if one != found["refused"]} == set()
    state, cause, words = found["refused"][:3]
    assert (state, cause, words) == (MailboxState.UNREACHABLE, "no_mail_server", "")
    assert found["refused"][4:6] == ("no_mail_server", "")
    assert "No mail server answered at …." in str(found["refused"][-2])
