"""The change log: append-only, each entry chained to the one before."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class ChangeLogEntry(Base):
    """Who, when, what, and ``changes`` = ``{"field": [old, new]}``; never a secret.

    ``mac`` is an HMAC-SHA-256 over this entry and the previous one's ``mac``.
    """

    __tablename__ = "change_log_entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    author_id: Mapped[int | None] = mapped_column(sa.ForeignKey("user.id", ondelete="SET NULL"))
    author_name: Mapped[str] = mapped_column(sa.String(100))
    action: Mapped[str] = mapped_column(sa.String(60))
    subject: Mapped[str] = mapped_column(sa.String(60))
    subject_name: Mapped[str] = mapped_column(sa.String(320))
    changes: Mapped[dict[str, Any]]
    mac: Mapped[str] = mapped_column(sa.String(64))
