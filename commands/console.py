"""Whoever types a command: nobody who signed in."""

from datetime import UTC, datetime

from flask import current_app

from domain.changelog import Author


def console() -> Author:
    """Stands in the change log without a name."""
    key = current_app.extensions["postroom_keys"].change_log
    return Author(name="", user_id=None, now=datetime.now(UTC), key=key)
