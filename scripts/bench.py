"""How long pages take on a large mailbox: ``make bench``, with 50,000 and 500,000 messages.

Two gunicorn workers with four threads each, keep-alive, signed in, nothing compressed. Each figure
is the median and the 95th percentile of 200 requests after 20 that do not count, at the client,
over loopback; both mailboxes are measured in turn, so that a noisy machine is noisy for both. No
mail server is needed: the messages are generated with a fixed seed and stored through the verbs.

The generated mailboxes are kept in BENCH_DATA (``bench-data``) and used again.
"""

import cProfile
import os
import pstats
import random
import re
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from flask_migrate import upgrade
from sqlalchemy.orm import Session, sessionmaker

from app import create_app
from domain import connecting, people, services
from domain.changelog import Author
from domain.services import ServerSettings, ServiceSettings
from domain.sync import folder as folders
from domain.sync.folder import Arrived
from domain.sync.plan import Announced, Flags
from mail.mime.parse import ParsedMessage, parse
from mail.security import Security
from mail.server_string import ServerAddress
from models import (
    ConnectionTest,
    Folder,
    FolderRole,
    Mailbox,
    Message,
    MessageContent,
    Role,
    User,
    db,
)
from models.base import session_factory
from models.source_store import SourceStore
from scripts.house import ROOT, free_port, until_listening
from settings import read_settings

SIZES = (50_000, 500_000)
REQUESTS = 200
WARM_UP = 20
CLIENTS = 8
CLIENT_SECONDS = 4.0
PAGE_BYTES = 30 * 1024
LARGE_MESSAGES = 400  # with HTML of 30 KB: enough to open each only once
PASSWORD = "a password for the bench"  # noqa: S105 - of nobody
GOALS_MS = {"fragment": 4.0, "page": 6.0, "first view": 8.0, "again": 2.0}
GOAL_PER_SECOND = 400
GOAL_RSS_MB = 220
FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}


# ---- The mailbox -------------------------------------------------------------------------------


def letter(chance: random.Random, number: int) -> bytes:
    """A short message between people who do not exist."""
    words = [chance.choice(WORDS) for _ in range(60)]
    name = chance.choice(NAMES)
    head = f"From: {name} <{name.lower()}@elsewhere.test>\r\nTo: Bob <bob@firm.test>\r\n"
    head += f"Subject: {' '.join(words[:5])}\r\nMessage-ID: <{number}@elsewhere.test>\r\n"
    return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{' '.join(words)}\r\n".encode()


def newsletter(number: int) -> bytes:
    """A message whose HTML has 30 KB, with tables and styles as newsletters have them."""
    row = (
        '<tr><td style="padding:8px 12px;color:#334155;font-family:Arial,sans-serif">Item {0}</td>'
        '<td align="right" style="padding:8px;border-bottom:1px solid #e2e8f0"><b>{0}.50</b></td>'
        '<td><a href="https://shop.example/item/{0}" style="color:#2563eb">More</a></td></tr>'
    )
    rows, at = "", 0
    while len(rows) < PAGE_BYTES:
        at += 1
        rows += row.format(number + at)
    html = f"<html><body><h1>Letter {number}</h1><table width='600'>{rows}</table></body></html>"
    head = f"From: Shop <shop@shop.example>\r\nTo: bob@firm.test\r\nSubject: Letter {number}\r\n"
    return f"{head}Content-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n".encode()


WORDS = """order invoice delivery market spring winter report meeting table window paper printer
    склад счёт доставка встреча отчёт весна договор please thanks tomorrow again number""".split()
NAMES = "Anna Boris Clara Denis Emma Fedor Greta Hugo Irina Jonas Kira Leon".split()


def prepare(data: Path, size: int) -> None:
    """Bob's inbox with so many messages, made once."""
    os.environ["POSTROOM_DATA"] = str(data)
    app = create_app(read_settings())
    with app.app_context():
        upgrade(directory=str(ROOT / "migrations"))
        sessions = session_factory(db.engine)
        ring = app.extensions["postroom_keys"].ring
        with sessions() as session, session.begin():
            inbox = _inbox(session, ring)
        _fill(sessions, app.extensions["postroom_store"], inbox, size)
        db.engine.dispose()


def _inbox(session: Session, ring: Any) -> int:
    found = session.query(Folder).filter_by(role=FolderRole.INBOX).first()
    if found is not None:
        return found.id
    now = datetime.now(UTC)
    author = Author(name="Bench", user_id=None, now=now, key=b"k" * 32)
    bob, token = people.add_person(session, name="Bob", login="bob", role=Role.EMPLOYEE, by=author)
    people.accept_invitation(session, token, PASSWORD, now)
    address = ServerAddress("imap.firm.test", 993)
    service = services.add(
        session,
        ServiceSettings(
            name="Firm mail",
            imap=ServerSettings(address, Security.TLS),
            smtp=ServerSettings(ServerAddress("smtp.firm.test", 465), Security.TLS),
        ),
        author,
    )
    test = _test(session, bob, service.id, ring, now)
    mailbox = connecting.connect(session, test.id, ring, now)
    inbox = Folder(mailbox_id=mailbox.id, name="INBOX", delimiter="/", role=FolderRole.INBOX)
    session.add(inbox)
    session.flush()
    return inbox.id


def _test(session: Session, bob: User, service: int, ring: Any, now: datetime) -> ConnectionTest:
    return connecting.begin_test(
        session,
        bob,
        servers=service,
        address="bob@firm.test",
        login="bob",
        password=PASSWORD,
        tried=None,
        ring=ring,
        now=now,
    )


def _fill(sessions: sessionmaker[Session], store: SourceStore, inbox: int, size: int) -> None:
    chance = random.Random(7)  # noqa: S311 - the same mailbox every time
    begun = datetime(2020, 1, 1, tzinfo=UTC)
    large_from = size - LARGE_MESSAGES
    with sessions() as session, session.begin():
        folder = session.get_one(Folder, inbox)
        have, mailbox = folder.total, session.get_one(Mailbox, folder.mailbox_id).uuid
    short = [parse(letter(chance, number)) for number in range(2_000)]
    for start in range(have, size, 1_000):
        numbers = range(start, min(start + 1_000, size))
        sources = [newsletter(number) for number in numbers if number >= large_from]
        hashes = iter(store.put(mailbox, sources) if sources else [])
        arrived = [
            Arrived(
                uid=number + 1,
                flags=Flags(seen=chance.random() < 0.9, flagged=False, answered=False),
                received_at=begun + timedelta(minutes=number * 5),
                size=2_000,
                source_hash=next(hashes) if number >= large_from else None,
                parsed=_parsed(short, number, large=number >= large_from),
            )
            for number in numbers
        ]
        with sessions() as session, session.begin():
            folders.store(session, session.get_one(Folder, inbox), arrived)
    with sessions() as session, session.begin():
        announced = Announced(uid_validity=1, uid_next=size + 1, exists=size, highest_modseq=1)
        folder = session.get_one(Folder, inbox)
        folders.begin(session, folder, announced)
        folders.finish(session, folder, announced)


def _parsed(short: Sequence[ParsedMessage], number: int, *, large: bool) -> ParsedMessage:
    if large:
        return parse(newsletter(number))
    return replace(short[number % len(short)], message_id=f"<{number}@elsewhere.test>")


# ---- The web and its clients -------------------------------------------------------------------


class Client:
    """A keep-alive connection that is signed in."""

    def __init__(self, port: int, cookie: str = "") -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self.cookie = cookie

    def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        self._connection.request("GET", path, headers={"Cookie": self.cookie, **(headers or {})})
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status)
        self._keep(answer.getheader("Set-Cookie"))
        return body

    def sign_in(self) -> None:
        page = self.get("/sign-in").decode()
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token is not None
        fields = {"csrf_token": token[1], "login": "bob", "password": PASSWORD}
        headers = {
            "Cookie": self.cookie,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._connection.request("POST", "/sign-in", urllib.parse.urlencode(fields), headers)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 303, answer.status
        self._keep(answer.getheader("Set-Cookie"))

    def close(self) -> None:
        self._connection.close()

    def _keep(self, cookie: str | None) -> None:
        if cookie:
            self.cookie = cookie.partition(";")[0]


@contextmanager
def web(data: Path) -> Iterator[tuple[int, int]]:
    """The port and the process of a web on that folder."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--chdir", str(ROOT), "--no-control-socket"]
    command += ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--workers", "2"]
    command += ["--threads", "4", "--reuse-port", "--log-level", "warning", "app:create_app()"]
    process = subprocess.Popen(command, env={**os.environ, "POSTROOM_DATA": str(data)})  # noqa: S603
    try:
        until_listening(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def rss_mb(pid: int) -> float:
    """Memory of a process and its children: each page counted once per process that has it."""
    children = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
    pages = [_resident(one) for one in [str(pid), *children]]
    return sum(pages) / 1024


def _resident(pid: str) -> int:
    for line in (Path("/proc") / pid / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


@dataclass(frozen=True)
class Figure:
    median: float
    p95: float


def figure(times: Sequence[float]) -> Figure:
    ordered = sorted(times)
    return Figure(statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.95)] * 1000)


def timed(ask: Callable[[int], object], *, warm_up: int = WARM_UP) -> Figure:
    for number in range(warm_up):
        ask(number)
    times = []
    for number in range(REQUESTS):
        begun = time.perf_counter()
        ask(warm_up + number)
        times.append(time.perf_counter() - begun)
    return figure(times)


@dataclass(frozen=True)
class Result:
    """``shares`` says where the time of a list fragment goes, in per cent by library."""

    size: int
    figures: dict[str, Figure]
    per_second: float
    memory_mb: float
    shares: dict[str, float]


# The first that a path contains says whose time it is.
_OWNERS = {
    "/templates/": "templates",
    "jinja2": "templates",
    "markupsafe": "templates",
    "sqlalchemy": "SQLAlchemy",
    "sqlite3": "SQLite",
    "babel": "Babel",
    "/werkzeug/": "Flask, Werkzeug",
    "/flask": "Flask, Werkzeug",
    str(ROOT): "Postroom",
}


def shares(data: Path, path: str) -> dict[str, float]:
    """The same page in this process under a profiler, which makes small functions look large."""
    app = create_app(replace(read_settings(), data_folder=data))
    client = app.test_client()
    page = client.get("/sign-in").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    client.post("/sign-in", data={"csrf_token": token[1], "login": "bob", "password": PASSWORD})
    for _ in range(WARM_UP):
        client.get(path, headers=FRAGMENT)
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(REQUESTS):
        client.get(path, headers=FRAGMENT)
    profile.disable()
    spent: dict[str, float] = {}
    for (file, _line, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        where = f"{file} {name}"
        owner = next((owner for part, owner in _OWNERS.items() if part in where), "Python")
        spent[owner] = spent.get(owner, 0) + own
    whole = sum(spent.values())
    ordered = sorted(spent.items(), key=lambda one: -one[1])
    return {owner: seconds / whole * 100 for owner, seconds in ordered}


def measure(data: Path, size: int) -> Result:
    with web(data) as (port, pid):
        client = Client(port)
        client.sign_in()
        inbox = re.search(r"/mail/folders/(\d+)", client.get("/profile/mail").decode())
        folder = _folder(data)
        assert inbox is None or int(inbox[1]) == folder
        address = f"/mail/folders/{folder}"
        keys, large = _places(data, folder, size)
        figures = {
            "fragment": timed(lambda _: client.get(f"{address}/older?after={keys[0]}", FRAGMENT)),
            "page": timed(lambda _: client.get(address)),
            "random page": timed(
                lambda n: client.get(f"{address}/older?after={keys[n % len(keys)]}", FRAGMENT)
            ),
            "first view": timed(lambda n: _open(client, large[n])),
        }
        _keep_safe_html(data, large[0])
        figures["again"] = timed(lambda _: _open(client, large[0]))
        per_second = throughput(port, client.cookie, f"{address}/older?after={keys[0]}")
        memory = rss_mb(pid)
        client.close()
    return Result(
        size, figures, per_second, memory, shares(data, f"{address}/older?after={keys[0]}")
    )


def _open(client: Client, message: int) -> None:
    client.get(f"/mail/messages/{message}", FRAGMENT)
    client.get(f"/mail/messages/{message}/body")


def _folder(data: Path) -> int:
    return int(_ask(data, "SELECT id FROM folder WHERE role = 'INBOX'")[0][0])


def _places(data: Path, folder: int, size: int) -> tuple[list[str], list[int]]:
    """Keys of random pages, and messages of 30 KB."""
    chance = random.Random(11)  # noqa: S311 - the same pages every time
    keys = []
    for place in [60, *(chance.randrange(100, size - 100) for _ in range(120))]:
        row = _ask(
            data,
            "SELECT received_at, id FROM message WHERE folder_id = ? AND uid = ?",
            folder,
            size - place,
        )[0]
        moment = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
        keys.append(f"{round(moment.timestamp() * 1_000_000)}.{row[1]}")
    newest = "SELECT id FROM message WHERE folder_id = ? ORDER BY received_at DESC LIMIT ?"
    return keys, [int(row[0]) for row in _ask(data, newest, folder, LARGE_MESSAGES)]


def _keep_safe_html(data: Path, message: int) -> None:
    """As the worker does after a first view."""
    from domain import messages
    from mail import safe_html

    app = create_app(replace(read_settings(), data_folder=data))
    with app.app_context(), session_factory(db.engine)() as session, session.begin():
        row = session.get_one(Message, message)
        mailbox = session.get_one(Mailbox, row.mailbox_id)
        raw = app.extensions["postroom_store"].get(mailbox.uuid, str(row.source_hash))
        html = messages.safe_html_of(session.get_one(MessageContent, message), raw)
        messages.keep_safe_html(session, message, html, safe_html.VERSION)


def _ask(data: Path, statement: str, *values: object) -> list[Any]:
    import sqlite3

    connection = sqlite3.connect(data / "postroom.sqlite")
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def throughput(port: int, cookie: str, path: str) -> float:
    """Answers a second to eight clients at once."""

    def ask(_: int) -> int:
        client, count = Client(port, cookie), 0
        until = time.perf_counter() + CLIENT_SECONDS
        while time.perf_counter() < until:
            client.get(path, FRAGMENT)
            count += 1
        client.close()
        return count

    with ThreadPoolExecutor(CLIENTS) as clients:
        return sum(clients.map(ask, range(CLIENTS))) / CLIENT_SECONDS


def main() -> int:
    home = Path(os.environ.get("BENCH_DATA", "bench-data")).absolute()
    results = []
    for size in SIZES:
        data = home / str(size)
        begun = time.perf_counter()
        prepare(data, size)
        print(f"{size:,} messages are there after {time.perf_counter() - begun:.0f} s")
        os.environ["POSTROOM_DATA"] = str(data)
        results.append(measure(data, size))
    show(results)
    return 0


def show(results: Sequence[Result]) -> None:
    print(
        f"\n{'median / 95th percentile in ms':34}", *(f"{one.size:>18,}" for one in results), "goal"
    )
    for name in results[0].figures:
        shown = (
            f"{one.figures[name].median:8.1f} /{one.figures[name].p95:7.1f} " for one in results
        )
        print(f"{name:34}", *shown, GOALS_MS.get(name, ""))
    print(
        f"{'fragments a second, 8 clients':34}",
        *(f"{one.per_second:17.0f} " for one in results),
        GOAL_PER_SECOND,
    )
    print(
        f"{'memory of the web, MB':34}",
        *(f"{one.memory_mb:17.0f} " for one in results),
        GOAL_RSS_MB,
    )

    for one in results:
        parts = ", ".join(f"{owner} {share:.0f} %" for owner, share in one.shares.items())
        print(f"\nA fragment of {one.size:,} messages: {parts}")


if __name__ == "__main__":
    sys.exit(main())
