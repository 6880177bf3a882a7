"""``flask demo``: the product with mail servers of its own, three people and a year of mail.

Everything in it is made as people would make it: mail lies on the mail server before a mailbox is
connected, through the verbs and the connection test of the worker; new mail is sent by SMTP.
"""

import json
import os
import secrets as random
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import select

from commands.processes import Command, Processes
from commands.run import prepare, product_commands
from demo.arrivals import Postman, arrival, deliver
from demo.letters import Letter
from demo.people import COLLEAGUES, DOMAIN
from demo.year import letters
from domain import connecting, mailboxes, people, services
from domain.changelog import Author
from domain.services import ServerSettings, ServiceSettings
from mail.connection import Credentials, MailServerError, Network, Server
from mail.imap.client import ImapSession, open_session
from mail.mime.parse import parse
from mail.security import Security
from mail.server_string import Protocol, ServerAddress
from models import ConnectionTest, ConnectionTestState, MailService, Role, User, db
from settings import Settings

PASSWORD = "postroom-demo"
SERVICE = "Firm mail"
HOSTS = f"imap.{DOMAIN}=127.0.0.1,smtp.{DOMAIN}=127.0.0.1"
PEOPLE = {login: person.name for login, person in COLLEAGUES.items()}
ADMINISTRATOR = "alice"
WAITING = f"office@{DOMAIN}"  # a mailbox that is there to be connected
WAIT_SECONDS = 60.0
LETTERS_AT_A_TIME = 50  # before the processes are looked after again


@dataclass(frozen=True)
class State:
    """What has to be the same at the next start; kept in the demo's folder, mode 0600."""

    imap_port: int
    smtp_port: int
    mail_password: str
    begun_at: str = ""  # the moment that the year of mail ends at
    letters_put: int = 0
    is_filled: bool = False
    arrivals: int = 0


def install(app: Flask) -> None:
    app.cli.add_command(demo)


@click.command("demo")
@with_appcontext
def demo() -> None:
    """Runs the demo until Ctrl+C."""
    settings: Settings = current_app.extensions["postroom_settings"]
    if settings.listen_host not in {"127.0.0.1", "::1"}:
        raise click.ClickException("The demo shows its passwords: it listens on loopback only.")
    folder = settings.data_folder / "demo"
    postman = Postman(lambda: _bring(folder), _interval())
    folder.mkdir(mode=0o700, exist_ok=True)
    prepare()
    state = _state(folder)
    people_file = folder / "people.json"
    shown = {"people": _shown_people(), "mailbox": _shown_mailbox()}
    people_file.write_text(json.dumps(shown, ensure_ascii=False), encoding="utf-8")
    environment = {
        **os.environ,
        "POSTROOM_HOSTS": HOSTS,
        "POSTROOM_DEMO_PEOPLE": str(people_file),
        "POSTROOM_LISTEN": settings.listen,
        "POSTROOM_DATA": str(settings.data_folder),
    }
    commands = {"The mail servers": _mail_servers(folder, state), **product_commands(settings)}

    def started(wait: Callable[[], None]) -> None:
        _fill(folder, state, wait)
        click.echo(f"The demo runs at http://{settings.listen} (Ctrl+C ends it)")
        for one in _shown_people():
            click.echo(f"  {one['login']:8} {one['password']}")

    Processes(commands, environment).run(started, postman)


def _mail_servers(folder: Path, state: State) -> Command:
    passwords = {f"{login}@{DOMAIN}": state.mail_password for login in PEOPLE}
    passwords[WAITING] = PASSWORD
    arguments = [sys.executable, "-m", "demo.mail_servers", "--folder", str(folder)]
    arguments += ["--imap-port", str(state.imap_port), "--smtp-port", str(state.smtp_port)]
    return Command(arguments, first_line=json.dumps(passwords), quiet=True)


def _fill(folder: Path, state: State, wait: Callable[[], None]) -> None:
    """Each step looks whether it is done already: a demo that was cut off goes on."""
    _wait_for_ports(state, wait)
    if not state.is_filled:
        _put_letters(folder, state, wait)
    _add_people()
    service = _add_service(folder, state)
    for login in PEOPLE:
        _connect(login, service, state, wait)


def _put_letters(folder: Path, state: State, wait: Callable[[], None]) -> None:
    """A year of mail, by IMAP, counted: after a cut the rest of the same year is put."""
    if not state.begun_at:
        state = replace(state, begun_at=_here_and_now().isoformat(timespec="seconds"))
        _keep(folder, state)
    first = state.letters_put
    try:
        with ExitStack() as stack:
            sessions = {login: stack.enter_context(_imap(folder, state, login)) for login in PEOPLE}
            all_letters = letters(datetime.fromisoformat(state.begun_at))
            for number, letter in enumerate(all_letters[first:], first):
                session = sessions[letter.owner]
                # The last start may have been cut off between putting and counting.
                if number != first or not _is_there(session, letter):
                    session.append(letter.folder, letter.raw, letter.flags, letter.received_at)
                state = replace(state, letters_put=number + 1)
                _keep(folder, state)
                if number % LETTERS_AT_A_TIME == 0:
                    wait()
    except MailServerError as error:
        raise click.ClickException(f"The demo's mail could not be put in: {error}") from error
    _keep(folder, replace(state, is_filled=True))


def _imap(folder: Path, state: State, login: str) -> ImapSession:
    ca = (folder / "tls" / "ca.pem").read_text(encoding="ascii")
    return open_session(
        Server(Protocol.IMAP, f"imap.{DOMAIN}", state.imap_port, Security.TLS, ca),
        Credentials(f"{login}@{DOMAIN}", state.mail_password),
        Network(hosts=Network.parse_hosts(HOSTS)),
    )


def _is_there(session: ImapSession, letter: Letter) -> bool:
    session.select(letter.folder, readonly=True)
    return bool(session.search_message_id(parse(letter.raw).message_id))


def _bring(folder: Path) -> None:
    """One new message. Raises OSError."""
    state = _kept(folder)
    next_one = arrival(state.arrivals, _here_and_now())
    deliver(next_one, state.smtp_port, state.mail_password, folder / "tls" / "ca.pem")
    _keep(folder, replace(state, arrivals=state.arrivals + 1))


def _interval() -> float | None:
    """Seconds between two new messages; 0 for none, None for the usual times."""
    text = os.environ.get("POSTROOM_DEMO_INTERVAL", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise click.ClickException("POSTROOM_DEMO_INTERVAL is a number of seconds; 0 for no mail.")
    return float(text)


def _add_people() -> None:
    session = db.session()
    session.info["writing"] = True
    if people.nobody_yet(session):
        code = people.new_setup_code(session, _now())
        people.set_up(
            session,
            code=code,
            name=PEOPLE[ADMINISTRATOR],
            login=ADMINISTRATOR,
            password=PASSWORD,
            by=_author(),
        )
    for login, name in PEOPLE.items():
        if session.scalar(select(User.id).where(User.login == login)) is None:
            _, token = people.add_person(
                session, name=name, login=login, role=Role.EMPLOYEE, by=_author()
            )
            people.accept_invitation(session, token, PASSWORD, _now())
    db.session.commit()


def _add_service(folder: Path, state: State) -> int:
    session = db.session()
    session.info["writing"] = True
    ca = (folder / "tls" / "ca.pem").read_text(encoding="ascii")
    service = _present_service()
    imap = ServerSettings(ServerAddress(f"imap.{DOMAIN}", state.imap_port), Security.TLS)
    smtp = ServerSettings(ServerAddress(f"smtp.{DOMAIN}", state.smtp_port), Security.TLS)
    if service is None:
        settings = ServiceSettings(SERVICE, imap, smtp, ca_pem=ca, domains=(DOMAIN,))
        service = services.add(session, settings, _author())
    elif service.address(Protocol.IMAP).port != state.imap_port:
        settings = replace(services.settings_of(service), imap=imap, smtp=smtp, ca_pem=ca)
        services.edit(session, service, settings, _author())
    db.session.commit()
    return service.id


def _present_service() -> MailService | None:
    """The firm's own, whatever somebody has called it meanwhile."""
    return db.session().scalar(
        select(MailService).where(
            MailService.imap_host == f"imap.{DOMAIN}",
            MailService.standard.is_(False),
            MailService.deleted_at.is_(None),
        )
    )


def _connect(login: str, service_id: int, state: State, wait: Callable[[], None]) -> None:
    """As the page does: begins a connection test, and waits for the worker to end it."""
    session = db.session()
    session.info["writing"] = True
    person = session.scalars(select(User).where(User.login == login)).one()
    if mailboxes.connected(session, person):
        db.session.rollback()
        return
    test = connecting.begin_test(
        session,
        person,
        servers=service_id,
        address=f"{login}@{DOMAIN}",
        login=f"{login}@{DOMAIN}",
        password=state.mail_password,
        tried=None,
        ring=current_app.extensions["postroom_keys"].ring,
        now=_now(),
    )
    test_id = test.id
    db.session.commit()
    current_app.extensions["postroom_tasks"].connection_test(test_id)
    _until(lambda: _has_ended(test_id), wait, f"{login}'s mailbox was not connected")


def _has_ended(test_id: int) -> bool:
    db.session.remove()
    test = db.session().get_one(ConnectionTest, test_id)
    state, cause = test.state, test.cause
    db.session.remove()
    if state is ConnectionTestState.FAILED:
        raise click.ClickException(f"The demo's mailbox was not connected: {cause}")
    return state is ConnectionTestState.SUCCEEDED


def _state(folder: Path) -> State:
    file = folder / "state.json"
    if file.exists():
        state = _kept(folder)
        if _is_free(state.imap_port) and _is_free(state.smtp_port):
            return state
        state = replace(state, imap_port=_free_port(), smtp_port=_free_port())
    else:
        state = State(_free_port(), _free_port(), random.token_urlsafe(12))
    _keep(folder, state)
    return state


def _kept(folder: Path) -> State:
    """What an older demo kept besides is forgotten."""
    kept = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return State(**{one.name: kept[one.name] for one in fields(State) if one.name in kept})


def _keep(folder: Path, state: State) -> None:
    draft = folder / "state.json.new"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(state.__dict__), encoding="utf-8")
    draft.rename(folder / "state.json")


def _shown_people() -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "login": login,
            "password": PASSWORD,
            "administrator": login == ADMINISTRATOR,
        }
        for login, name in PEOPLE.items()
    ]


def _shown_mailbox() -> dict[str, str]:
    return {"address": WAITING, "password": PASSWORD, "service": SERVICE}


def _wait_for_ports(state: State, wait: Callable[[], None]) -> None:
    _until(
        lambda: not _is_free(state.imap_port) and not _is_free(state.smtp_port),
        wait,
        "The demo's mail servers did not start",
    )


def _until(condition: Callable[[], bool], wait: Callable[[], None], failure: str) -> None:
    deadline = datetime.now(UTC).timestamp() + WAIT_SECONDS
    while not condition():
        if datetime.now(UTC).timestamp() > deadline:
            raise click.ClickException(f"{failure}.")
        wait()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _author() -> Author:
    key = current_app.extensions["postroom_keys"].change_log
    return Author(name="Demo", user_id=None, now=_now(), key=key)


def _now() -> datetime:
    return datetime.now(UTC)


def _here_and_now() -> datetime:
    """By the clock on the wall: people in the story are at work when it says so."""
    settings: Settings = current_app.extensions["postroom_settings"]
    return _now().astimezone(settings.time_zone)
