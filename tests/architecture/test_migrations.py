"""The migrations make the tables that the models describe, from any earlier state."""

from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask_migrate import downgrade, upgrade

from app import create_app
from models import Base, Role, User, db
from tests.conftest import ROOT, settings_in

MIGRATIONS = str(ROOT / "migrations")


def test_the_newest_migration_equals_the_models(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path))
    with app.app_context():
        upgrade(directory=MIGRATIONS)
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, Base.metadata) == []
            assert _checks(connection) == _wanted_checks()
        db.engine.dispose()


def test_every_migration_goes_up_down_and_up_again(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path))
    with app.app_context():
        upgrade(directory=MIGRATIONS)
        downgrade(directory=MIGRATIONS, revision="base")
        upgrade(directory=MIGRATIONS)
        db.engine.dispose()


def test_a_database_with_people_in_it_upgrades_from_the_first_migration(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path))
    with app.app_context():
        first = ScriptDirectory(MIGRATIONS).get_bases()[0]
        upgrade(directory=MIGRATIONS, revision=first)
        with db.engine.begin() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO user (name, login, role, active, theme, created_at) VALUES"
                    " ('Alice', 'alice', 'ADMINISTRATOR', 1, 'AUTO', '2026-01-01 00:00:00')"
                )
            )
        upgrade(directory=MIGRATIONS)
        person = db.session.scalars(sa.select(User)).one()
        assert (person.name, person.role) == ("Alice", Role.ADMINISTRATOR)
        db.session.remove()
        db.engine.dispose()


def _checks(connection: sa.Connection) -> set[tuple[str, str]]:
    inspector = sa.inspect(connection)
    return {
        (table, str(check["name"]))
        for table in Base.metadata.tables
        for check in inspector.get_check_constraints(table)
    }


def _wanted_checks() -> set[tuple[str, str]]:
    return {
        (table.name, str(constraint.name))
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }
