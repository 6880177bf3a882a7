"""The web's transactions: a request that may change something says so before its first query."""

from typing import Any

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, current_app, request
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.routing import IntegerConverter, Map

from models import db
from models.base import prepare_engine
from web.access import SAFE_METHODS


class RowId(IntegerConverter):
    """An id in an address: no larger than a database's integer can be."""

    def __init__(self, map: Map, *args: Any, **kwargs: Any) -> None:  # noqa: A002 - its name there
        super().__init__(map, *args, **{"max": 2**63 - 1, **kwargs})


def install(app: Flask) -> None:
    app.url_map.converters["int"] = RowId
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
    app.before_request(_require_schema)
    app.before_request(_begin)


def _require_schema() -> None:
    """503 while the tables are not yet, or no longer, those of this version."""
    if request.endpoint == "static" or current_app.extensions.get("postroom_schema_fits"):
        return
    wanted = ScriptDirectory(f"{current_app.root_path}/migrations").get_current_head()
    with db.engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    if present != wanted:
        raise ServiceUnavailable(retry_after=10)
    current_app.extensions["postroom_schema_fits"] = True


def _begin() -> None:
    if request.method not in SAFE_METHODS:
        db.session().info["writing"] = True
