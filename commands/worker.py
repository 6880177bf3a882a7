"""``flask worker``: what runs beside the web."""

import logging
from datetime import UTC, datetime

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from jobs.context import Job
from jobs.huey_app import make_huey
from jobs.parsers import Parser, ParserPool
from jobs.worker import Worker, WorkerRunsError, only_worker, run
from models import db
from models.base import session_factory

PARSER_PROCESSES = 2
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def install(app: Flask) -> None:
    app.cli.add_command(worker)


@click.command("worker")
@with_appcontext
def worker() -> None:
    """Connects, receives and sends, until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    logging.getLogger("huey").setLevel(logging.WARNING)
    settings = current_app.extensions["postroom_settings"]
    try:
        lock = only_worker(settings.data_folder)
    except WorkerRunsError:
        raise click.ClickException(
            f"Another worker runs on {settings.data_folder}. One is enough."
        ) from None
    parser = ParserPool(PARSER_PROCESSES)
    keys = current_app.extensions["postroom_keys"]
    try:
        run(Worker(job_of(parser)), make_huey(settings.data_folder, keys.cookie))
    finally:
        parser.close()
        lock.close()


def job_of(parser: Parser) -> Job:
    """What runners need, from the application that is running."""
    extensions = current_app.extensions
    return Job(
        sessions=session_factory(db.engine),
        ring=extensions["postroom_keys"].ring,
        store=extensions["postroom_store"],
        network=extensions["postroom_settings"].network,
        dns=extensions["postroom_settings"].dns,
        parser=parser,
        clock=lambda: datetime.now(UTC),
    )
