"""``/healthz``: whether all is well, for monitoring; the state of things and nothing of people."""

from pathlib import Path

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from domain import health
from domain.health import Check, Status, Surroundings
from jobs import vital_signs
from models import db
from web.access import anyone
from web.house import ring, settings, worker_runs
from web.viewer import now

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@anyone
def healthz() -> ResponseReturnValue:
    return _answer()


@blueprint.errorhandler(503)
@blueprint.errorhandler(SQLAlchemyError)
def database_refused(_error: Exception) -> ResponseReturnValue:
    """Other pages are refused before their views when the tables do not fit; here it is told."""
    return _answer()


def _answer() -> ResponseReturnValue:
    # The settings were read, or nobody would answer.
    checks = [Check("settings"), *health.examine(db.session(), _surroundings())]
    status = health.worst(check.status for check in checks)
    short = {check.name: check.status.word for check in checks}
    return (
        jsonify(status=status.word, checks=short),
        503 if status is Status.FAILED else 200,
    )


def _surroundings() -> Surroundings:
    house = settings()
    return Surroundings(
        now=now(),
        newest_migration=vital_signs.newest_migration(Path(current_app.root_path) / "migrations"),
        keys=vital_signs.key_files(house.keys_folder),
        ring=ring(),
        free_bytes=vital_signs.free_bytes(house.data_folder),
        worker_runs=worker_runs(),
        tasks_waiting=vital_signs.tasks_waiting(house.data_folder),
    )
