"""``flask run-all``: the product, web and worker together."""

import os
import sys
from datetime import UTC, datetime

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from flask_migrate import upgrade

from commands.keys import explanation
from commands.processes import Command, Processes
from domain import key_rotation, people
from domain.secrets import KeyRing
from models import db
from models.base import session_factory
from settings import Settings


def install(app: Flask) -> None:
    app.cli.add_command(run_all)


@click.command("run-all")
@with_appcontext
def run_all() -> None:
    """Prepares the data folder and runs web and worker until Ctrl+C."""
    settings: Settings = current_app.extensions["postroom_settings"]
    prepare()
    code = setup_code()
    click.echo(f"Postroom runs at http://{settings.listen} (Ctrl+C ends it)")
    if code is not None:
        click.echo(f"Nobody is here yet. Open that address; the one-time code is  {code}")
    # Absolute: the web runs in the folder of the program, wherever this command was given.
    folders = {
        "POSTROOM_DATA": str(settings.data_folder),
        "POSTROOM_KEYS": str(settings.keys_folder),
    }
    Processes(product_commands(settings), {**os.environ, **folders}).run()


def prepare() -> None:
    """Brings the database to the present schema, and says so when keys are lost."""
    upgrade(directory=f"{current_app.root_path}/migrations")
    look_at_keys()


def look_at_keys() -> None:
    """Who stopped for want of a key that is back goes on; what is still lost is no reason to stop:
    most of the product works without.
    """
    settings: Settings = current_app.extensions["postroom_settings"]
    ring: KeyRing = current_app.extensions["postroom_keys"].ring
    with session_factory(db.engine).begin() as session:
        key_rotation.heal(session, ring, datetime.now(UTC))
        lost = key_rotation.presence(session, ring).lost
    if lost:
        click.echo(explanation(lost, settings.keys_folder), err=True)


def setup_code() -> str | None:
    """A new one-time code while there are no people; None afterwards."""
    db.session().info["writing"] = True
    nobody = people.nobody_yet(db.session())
    code = people.new_setup_code(db.session(), datetime.now(UTC)) if nobody else None
    # In either case: a transaction left open would keep everybody else from writing.
    db.session.commit()
    return code


def product_commands(settings: Settings) -> dict[str, Command]:
    flask = [sys.executable, "-m", "flask", "--app", f"{current_app.root_path}/app.py"]
    web = [sys.executable, "-m", "gunicorn", "--chdir", current_app.root_path]
    web += ["--bind", settings.listen, "--worker-class", "gthread", "--workers", "1"]
    web += ["--threads", str(settings.web_threads), "--no-control-socket"]
    web += ["--graceful-timeout", "5", "--log-level", "warning", "app:create_app()"]
    return {"The web": Command(web), "The worker": Command([*flask, "worker"])}
