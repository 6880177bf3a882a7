"""The web's transactions: a request that may change something says so before its first query."""

from flask import Flask, request

from models import db
from models.base import prepare_engine
from web.access import SAFE_METHODS


def install(app: Flask) -> None:
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
    app.before_request(_begin)


def _begin() -> None:
    if request.method not in SAFE_METHODS:
        db.session().info["writing"] = True
