"""The change log: append-only, each entry chained to the one before."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class ChangeLogEntry(Base):
    """Who, when, what, and ``changes`` = ``{"field": [old, new]}``; never a secret.

    ``mac`` is an HMAC-SHA-256 over this entry and the previous one's ``mac``. Triggers of the
    migrations refuse to change or remove a row, but for an author who is removed.
    """

    __tablename__ = "change_log_entry"
    # One for each filter of the page, in the page's order. Whoever is no person any more is found
    # by the name; were both of those indexes whole, SQLite would take the wrong one.
    __table_args__ = (
        sa.Index("ix_change_log_entry_at_id", "at", "id"),
        sa.Index("ix_change_log_entry_subject_at_id", "subject", "at", "id"),
        sa.Index(
            "ix_change_log_entry_author_id_at_id",
            "author_id",
            "at",
            "id",
            sqlite_where=sa.text("author_id IS NOT NULL"),
            postgresql_where=sa.text("author_id IS NOT NULL"),
        ),
        sa.Index(
            "ix_change_log_entry_author_name_at_id",
            "author_name",
            "at",
            "id",
            sqlite_where=sa.text("author_id IS NULL"),
            postgresql_where=sa.text("author_id IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    author_id: Mapped[int | None] = mapped_column(sa.ForeignKey("user.id", ondelete="SET NULL"))
    author_name: Mapped[str] = mapped_column(sa.String(100))
    action: Mapped[str] = mapped_column(sa.String(60))
    subject: Mapped[str] = mapped_column(sa.String(60))
    subject_name: Mapped[str] = mapped_column(sa.String(320))
    changes: Mapped[dict[str, Any]]
    mac: Mapped[str] = mapped_column(sa.String(64))


class ChangeLogHead(Base):
    """How many entries there are, so that the newest ones cannot be cut off unnoticed.

    ``mac`` is an HMAC-SHA-256 over that number and the newest entry's ``mac``. One row, which a
    migration made and every entry brings up to date in its own transaction.
    """

    __tablename__ = "change_log_head"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    entries: Mapped[int]
    mac: Mapped[str] = mapped_column(sa.String(64))
