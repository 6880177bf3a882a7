"""A rotation of keys reaches everything that is sealed."""

import sqlalchemy as sa

from domain.key_rotation import SEALED
from models import Base

Column = tuple[str, str]


def sealed_columns(metadata: sa.MetaData) -> set[Column]:
    return {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if column.name.startswith("sealed_") and isinstance(column.type, sa.LargeBinary)
    }


def test_every_sealed_column_is_in_the_list_of_the_rotation() -> None:
    listed = [(one.model.__tablename__, one.column.key) for one in SEALED]
    assert len(listed) == len(set(listed))
    assert set(listed) == sealed_columns(Base.metadata)


def test_every_binary_column_says_by_its_name_that_it_is_sealed() -> None:
    """Whoever keeps other bytes in a row writes here why they are none of the rotation's."""
    binary = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    assert binary - sealed_columns(Base.metadata) == set()


def test_a_sealed_column_that_nobody_listed_is_noticed() -> None:
    metadata = sa.MetaData()
    sa.Table("token", metadata, sa.Column("sealed_refresh", sa.LargeBinary))
    assert sealed_columns(metadata) == {("token", "sealed_refresh")}
