"""``flask demo``: the product with mail servers of its own, three people and some mail.

Everything in it is made as people would make it: through the verbs, the connection test of the
worker, and messages sent by SMTP.
"""

import json
import os
import secrets as random
import smtplib
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import formatdate, make_msgid
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import select

from commands.processes import Command, Processes
from commands.run import prepare, product_commands
from demo.letters import LETTERS, message_of
from domain import mailboxes, people, services
from domain.changelog import Author
from domain.services import ServerSettings, ServiceSettings
from mail.security import Security
from mail.server_string import Protocol, ServerAddress
from models import ConnectionTest, ConnectionTestState, MailService, Role, User, db
from settings import Settings

DOMAIN = "firm.test"
PASSWORD = "postroom-demo"
SERVICE = "Firm mail"
HOSTS = f"imap.{DOMAIN}=127.0.0.1,smtp.{DOMAIN}=127.0.0.1"
PEOPLE = {"alice": "Alice Winter", "bob": "Bob Summers", "carol": "Carol Spring"}
ADMINISTRATOR = "alice"
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class State:
    """What has to be the same at the next start; kept in the demo's folder, mode 0600."""

    imap_port: int
    smtp_port: int
    mail_password: str
    letters_sent: int = 0


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
    folder.mkdir(mode=0o700, exist_ok=True)
    prepare()
    state = _state(folder)
    people_file = folder / "people.json"
    people_file.write_text(json.dumps(_shown_people(), ensure_ascii=False), encoding="utf-8")
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

    Processes(commands, environment).run(started)


def _mail_servers(folder: Path, state: State) -> Command:
    passwords = {f"{login}@{DOMAIN}": state.mail_password for login in PEOPLE}
    arguments = [sys.executable, "-m", "demo.mail_servers", "--folder", str(folder)]
    arguments += ["--imap-port", str(state.imap_port), "--smtp-port", str(state.smtp_port)]
    return Command(arguments, first_line=json.dumps(passwords), quiet=True)


def _fill(folder: Path, state: State, wait: Callable[[], None]) -> None:
    """Each step looks whether it is done already: a demo that was cut off goes on."""
    _wait_for_ports(state, wait)
    _add_people()
    service = _add_service(folder, state)
    for login in PEOPLE:
        _connect(login, service, state, wait)
    for number in range(state.letters_sent, len(LETTERS)):
        _send(folder, state, number)
        state = replace(state, letters_sent=number + 1)
        _keep(folder, state)
        wait()


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
    settings = ServiceSettings(
        name=SERVICE,
        imap=ServerSettings(ServerAddress(f"imap.{DOMAIN}", state.imap_port), Security.TLS),
        smtp=ServerSettings(ServerAddress(f"smtp.{DOMAIN}", state.smtp_port), Security.TLS),
        ca_pem=ca,
    )
    service = session.scalar(
        select(MailService).where(
            MailService.name == SERVICE,
            MailService.standard.is_(False),
            MailService.deleted_at.is_(None),
        )
    )
    if service is None:
        service = services.add(session, settings, _author())
    elif service.address(Protocol.IMAP).port != state.imap_port:
        services.edit(session, service, settings, _author())
    db.session.commit()
    return service.id


def _connect(login: str, service_id: int, state: State, wait: Callable[[], None]) -> None:
    """As the page does: begins a connection test, and waits for the worker to end it."""
    session = db.session()
    session.info["writing"] = True
    person = session.scalars(select(User).where(User.login == login)).one()
    if mailboxes.connected(session, person):
        db.session.rollback()
        return
    test = mailboxes.begin_test(
        session,
        person,
        service_id=service_id,
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


def _send(folder: Path, state: State, number: int) -> None:
    letter = LETTERS[number]
    message = message_of(letter, PEOPLE, DOMAIN)
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=DOMAIN)
    context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem"))
    context.check_hostname = False  # the name is in our own host table only
    with smtplib.SMTP_SSL("127.0.0.1", state.smtp_port, context=context, timeout=20) as smtp:
        smtp.login(f"{letter.sender}@{DOMAIN}", state.mail_password)
        smtp.send_message(message)


def _state(folder: Path) -> State:
    file = folder / "state.json"
    if file.exists():
        state = State(**json.loads(file.read_text(encoding="utf-8")))
        if _is_free(state.imap_port) and _is_free(state.smtp_port):
            return state
        state = replace(state, imap_port=_free_port(), smtp_port=_free_port())
    else:
        state = State(_free_port(), _free_port(), random.token_urlsafe(12))
    _keep(folder, state)
    return state


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
