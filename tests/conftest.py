"""The house in a temporary folder, and the three people who live in every test."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from app import create_app
from domain import people
from domain.changelog import Author
from mail.connection import Network
from models import Role, User, db
from models.base import prepare_engine, session_factory
from settings import Settings

pytest_plugins = ["tests.fixtures_servers"]

# The public suites are data from elsewhere: `make corpus` says where they lie.
collect_ignore = [] if "POSTROOM_CORPUS" in os.environ else ["corpus"]

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery"
SignIn = Callable[[User], FlaskClient]


def settings_in(folder: Path, hosts: str = "") -> Settings:
    return Settings(
        data_folder=folder,
        keys_folder=folder / "keys",
        database_url=f"sqlite:///{folder / 'postroom.sqlite'}",
        listen_host="127.0.0.1",
        listen_port=5000,
        network=Network(hosts=Network.parse_hosts(hosts)),
        testing=True,
    )


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that the migrations made, once for all tests to copy."""
    folder = tmp_path_factory.mktemp("template")
    app = create_app(settings_in(folder))
    with app.app_context():
        upgrade(directory=str(ROOT / "migrations"))
        db.engine.dispose()
    return folder / "postroom.sqlite"


@pytest.fixture
def data_folder(tmp_path: Path, empty_database: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(empty_database, folder / "postroom.sqlite")
    return folder


@pytest.fixture
def app(data_folder: Path) -> Iterator[Flask]:
    application = create_app(settings_in(data_folder))
    application.config["WTF_CSRF_ENABLED"] = False
    # Pages are looked at as if a worker ran beside them, until a test says otherwise.
    application.extensions["postroom_worker_runs"] = (float("inf"), True)
    yield application
    with application.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def sessions(data_folder: Path) -> Iterator[sessionmaker[Session]]:
    """Sessions as runners have them, on the same file as the application's."""
    engine = create_engine(f"sqlite:///{data_folder / 'postroom.sqlite'}")
    prepare_engine(engine)
    yield session_factory(engine)
    engine.dispose()


@pytest.fixture
def session(data_folder: Path) -> Iterator[Session]:
    """To arrange and to look. Each statement stands alone, so that it never blocks the house."""
    engine = create_engine(
        f"sqlite:///{data_folder / 'postroom.sqlite'}", isolation_level="AUTOCOMMIT"
    )
    with Session(engine, expire_on_commit=True) as opened:
        yield opened
    engine.dispose()


def author() -> Author:
    return Author(name="Alice", user_id=None, now=datetime.now(UTC), key=b"k" * 32)


def add(session: Session, name: str, role: Role) -> User:
    person, token = people.add_person(
        session, name=name, login=name.lower(), role=role, by=author()
    )
    people.accept_invitation(session, token, PASSWORD, datetime.now(UTC))
    session.commit()
    return person


@pytest.fixture
def alice(session: Session) -> User:
    """The administrator."""
    return add(session, "Alice", Role.ADMINISTRATOR)


@pytest.fixture
def bob(session: Session) -> User:
    return add(session, "Bob", Role.EMPLOYEE)


@pytest.fixture
def carol(session: Session) -> User:
    return add(session, "Carol", Role.EMPLOYEE)


@pytest.fixture
def signed_in(app: Flask) -> SignIn:
    def sign_in(person: User) -> FlaskClient:
        client = app.test_client()
        answer = client.post("/sign-in", data={"login": person.login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    return sign_in


FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}
