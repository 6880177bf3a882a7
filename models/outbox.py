"""Messages on their way out."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, by_name
from models.mailboxes import Mailbox

HELD_LONG = "held_long"  # the cause of what is too old to go out without a word of its sender


class OutgoingState(enum.Enum):
    """draft → queued ⇄ held → claimed → data_started → sent | failed | unconfirmed; cancelled."""

    DRAFT = "draft"
    QUEUED = "queued"
    HELD = "held"
    CLAIMED = "claimed"
    DATA_STARTED = "data_started"
    SENT = "sent"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    CANCELLED = "cancelled"

    @property
    def wants_decision(self) -> bool:
        return self in {OutgoingState.FAILED, OutgoingState.UNCONFIRMED}


class OutgoingMessage(Base):
    """Everything the message will say is fixed here before the person is told that it goes out.

    ``recipients`` holds a result for each: ``{"a@b": {"code": 250, "words": "…", "delivered":
    true}}``; one to whom it was delivered is never offered again. ``queued_at`` is when the two
    days began after which it has failed. ``copied_to_sent`` is a fact of its own, with a time of
    its own: ``next_copy_at`` is empty where no copy is to be made, or no longer.
    """

    __tablename__ = "outgoing_message"
    __table_args__ = (sa.Index("ix_outgoing_message_due", "state", "next_attempt_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    mailbox_id: Mapped[int] = mapped_column(
        sa.ForeignKey("mailbox.id", ondelete="CASCADE"), index=True
    )
    state: Mapped[OutgoingState] = mapped_column(by_name(OutgoingState))
    message_id: Mapped[str] = mapped_column(sa.String(998), unique=True)
    date: Mapped[datetime]
    sender_name: Mapped[str] = mapped_column(sa.String(100))
    sender_address: Mapped[str] = mapped_column(sa.String(320))
    to: Mapped[list[Any]]
    cc: Mapped[list[Any]]
    bcc: Mapped[list[Any]]
    subject: Mapped[str] = mapped_column(sa.String(998))
    text: Mapped[str] = mapped_column(sa.Text)
    in_reply_to: Mapped[str] = mapped_column(sa.String(998), default="")
    references: Mapped[list[Any]] = mapped_column(default=list)
    form_key: Mapped[UUID | None] = mapped_column(unique=True)
    recipients: Mapped[dict[str, Any]] = mapped_column(default=dict)
    claimed_by: Mapped[UUID | None]
    attempts: Mapped[int] = mapped_column(default=0)
    queued_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    cause: Mapped[str] = mapped_column(sa.String(40), default="")
    server_words: Mapped[str] = mapped_column(sa.String(500), default="")
    was_unconfirmed: Mapped[bool] = mapped_column(default=False)
    sent_at: Mapped[datetime | None]
    copied_to_sent: Mapped[bool] = mapped_column(default=False)
    copy_attempts: Mapped[int] = mapped_column(default=0)
    next_copy_at: Mapped[datetime | None] = mapped_column(index=True)
    mailbox: Mapped[Mailbox] = relationship()

    @property
    def held_long(self) -> bool:
        """Whether it waits for a word of its sender, who was away for days."""
        return self.state is OutgoingState.HELD and self.cause == HELD_LONG

    @property
    def may_be_sent_again(self) -> bool:
        """What SMTP holds may be tried once more; what IMAP holds waits for the mailbox."""
        held_by_smtp = self.state is OutgoingState.HELD and self.mailbox.smtp_refuses
        return self.state.wants_decision or held_by_smtp or self.held_long

    @property
    def may_be_discarded(self) -> bool:
        return self.state.wants_decision or self.state in {OutgoingState.QUEUED, OutgoingState.HELD}

    @property
    def refused(self) -> list[str]:
        """Who was refused for good."""
        return [
            address
            for address, result in self.recipients.items()
            if not result["delivered"] and result["code"] >= 500
        ]
