"""What a person is told once, whatever happens later."""

import enum
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, by_name
from models.mailboxes import Mailbox


class NoticeKind(enum.Enum):
    """``SERVERS_CHANGED``: the administrator named other servers for the mailbox's service."""

    SERVERS_CHANGED = "servers_changed"


class Notice(Base):
    """Shown above *Mail* until the person has read it; then the row goes."""

    __tablename__ = "notice"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"), index=True)
    mailbox_id: Mapped[int] = mapped_column(
        sa.ForeignKey("mailbox.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[NoticeKind] = mapped_column(by_name(NoticeKind))
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    mailbox: Mapped[Mailbox] = relationship(lazy="joined", innerjoin=True)
