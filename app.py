"""The application factory."""

from datetime import timedelta

from flask import Flask
from flask_migrate import Migrate
from flask_wtf.csrf import CSRFProtect
from whitenoise import WhiteNoise

import blueprints
import commands
from domain.sessions import IDLE_LASTS
from jobs.huey_app import make_huey
from jobs.tasks import Tasks
from keys import load_keys
from models import db
from models.source_store import SourceStore
from settings import Settings, read_settings
from web import access, csp, database, errors, filters, language, templating, viewer

# A million letters of text, each as long in a form as it can be ("%D0%96"), and what goes with it.
LARGEST_REQUEST = 16 * 1024 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """Raises SettingsError or KeysError when the operator has to do something first."""
    settings = settings or read_settings()
    settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = load_keys(settings.keys_folder)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=keys.cookie,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS={"hide_parameters": True},  # logs never hold the text of mail
        TESTING=settings.testing,
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        MAX_FORM_MEMORY_SIZE=LARGEST_REQUEST,
        PERMANENT_SESSION_LIFETIME=timedelta(days=IDLE_LASTS.days),
        # A browser takes a cookie with that prefix from this host alone (ASVS 5.0, 3.3.3).
        SESSION_COOKIE_NAME="__Host-postroom" if settings.https else "postroom",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.https,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.extensions["postroom_settings"] = settings
    app.extensions["postroom_keys"] = keys
    app.extensions["postroom_store"] = SourceStore(settings.data_folder / "messages")
    app.extensions["postroom_tasks"] = Tasks(make_huey(settings.data_folder, keys.cookie))
    database.install(app)
    Migrate(app, db)
    CSRFProtect(app)
    for part in (viewer, access, language, csp, errors, filters, templating):
        part.install(app)
    blueprints.install(app)
    commands.install(app)
    app.wsgi_app = WhiteNoise(  # type: ignore[method-assign]
        app.wsgi_app,
        root=app.static_folder,
        prefix="static/",
        max_age=3600,
        allow_all_origins=False,
        add_headers_function=csp.of_files(app),
    )
    return app
