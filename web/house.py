"""What views reach of the rest: settings, keys, the store, and a word to the worker."""

from flask import current_app

from domain.secrets import KeyRing
from jobs.tasks import Tasks
from models.source_store import SourceStore
from settings import Settings


def tasks() -> Tasks:
    found: Tasks = current_app.extensions["postroom_tasks"]
    return found


def ring() -> KeyRing:
    found: KeyRing = current_app.extensions["postroom_keys"].ring
    return found


def store() -> SourceStore:
    found: SourceStore = current_app.extensions["postroom_store"]
    return found


def settings() -> Settings:
    found: Settings = current_app.extensions["postroom_settings"]
    return found
