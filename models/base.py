"""The declarative base, the column types, and how SQLite is opened."""

import enum
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import event
from sqlalchemy.orm import DeclarativeBase, Session, registry, sessionmaker

BUSY_TIMEOUT_MS = 10_000


class UTCDateTime(sa.TypeDecorator[datetime]):
    """An aware time, stored as UTC without its zone (SQLite has no zones)."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone must not reach the database")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


def by_name(kind: type[enum.Enum], check: str | None = None) -> sa.Enum:
    """A column that stores a member by its name and refuses any other word.

    ``check`` names the constraint where a table has two columns of one kind.
    """
    name = check or _snake(kind)
    return sa.Enum(kind, native_enum=False, create_constraint=True, length=40, name=name)


def _snake(kind: type[enum.Enum]) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in kind.__name__).lstrip("_")


class Base(DeclarativeBase):
    registry = registry(
        metadata=sa.MetaData(
            naming_convention={
                "ix": "ix_%(table_name)s_%(column_0_N_name)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={
            datetime: UTCDateTime(),
            dict[str, Any]: sa.JSON(),
            list[Any]: sa.JSON(),
        },
    )


class WritingSession(FlaskSession):
    """The web's session: a request that changes something begins IMMEDIATE.

    A transaction that first reads and then writes fails at once with SQLITE_BUSY_SNAPSHOT when
    another writer came between, whatever the timeout; one that begins IMMEDIATE waits its turn.
    ``session.info["writing"]`` is set by the request hook before the first statement.
    """

    def get_bind(self, *args: Any, **kwargs: Any) -> sa.Engine | sa.Connection:
        bind = super().get_bind(*args, **kwargs)
        if self.info.get("writing") and isinstance(bind, sa.Engine):
            return immediate(bind)
        return bind


@event.listens_for(WritingSession, "after_commit")
def _read_only_again(session: Session) -> None:
    """What is read after the commit, to show it, keeps nobody else from writing."""
    session.info.pop("writing", None)


db = SQLAlchemy(
    model_class=Base, session_options={"class_": WritingSession, "expire_on_commit": False}
)


@lru_cache(maxsize=16)
def immediate(engine: sa.Engine) -> sa.Engine:
    """The same engine and pool, beginning IMMEDIATE (one object per engine: sessions key on it)."""
    return engine.execution_options(begin_immediate=True)


def session_factory(engine: sa.Engine) -> sessionmaker[Session]:
    """Sessions for runners and commands: every transaction of theirs may write."""
    return sessionmaker(immediate(engine), expire_on_commit=False)


def prepare_engine(engine: sa.Engine) -> None:
    """Sets the SQLite pragmas and takes the BEGIN out of the driver's hands; elsewhere nothing."""
    if engine.dialect.name != "sqlite":
        return
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)


def _on_connect(connection: Any, _record: object) -> None:
    # The driver would begin by itself, late and deferred, and not before SELECT or DDL.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # What was deleted is overwritten: it may have been somebody's mail, or a sealed password.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _on_begin(connection: sa.Connection) -> None:
    is_immediate = connection.get_execution_options().get("begin_immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_immediate else "BEGIN")
