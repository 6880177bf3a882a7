"""What views reach of the rest: settings, keys, the store, and a word to the worker."""

from time import monotonic

from flask import current_app

from domain.secrets import KeyRing
from jobs.tasks import Tasks
from jobs.worker import worker_is_running
from models.source_store import SourceStore
from settings import Settings

WORKER_ANSWER_SECONDS = 2.0


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


def worker_runs() -> bool:
    """Whether anybody connects, receives and sends; each process looks every two seconds."""
    now = monotonic()
    looked, answer = current_app.extensions.get("postroom_worker_runs", (None, False))
    if looked is None or now - looked >= WORKER_ANSWER_SECONDS:
        answer = worker_is_running(settings().data_folder)
        current_app.extensions["postroom_worker_runs"] = (now, answer)
    return bool(answer)
