"""Folders and messages as the server last showed them, and what it does not know yet."""

import enum
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, by_name
from models.mailboxes import Mailbox


class FolderRole(enum.Enum):
    """RFC 6154 special uses, and INBOX, in the order in which people look for them."""

    INBOX = "inbox"
    DRAFTS = "drafts"
    SENT = "sent"
    ARCHIVE = "archive"
    JUNK = "junk"
    TRASH = "trash"


class Folder(Base):
    """``total`` and ``unread`` are kept by the transactions that change them, never counted.

    ``uid_validity``, ``uid_next`` and ``highest_modseq`` are those of the last visit that ended
    (RFC 9051, RFC 7162); ``remote_total`` is what the server announced, for the progress bar.
    """

    __tablename__ = "folder"
    __table_args__ = (sa.UniqueConstraint("mailbox_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    mailbox_id: Mapped[int] = mapped_column(sa.ForeignKey("mailbox.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(500))
    delimiter: Mapped[str] = mapped_column(sa.String(5), default="")
    role: Mapped[FolderRole | None] = mapped_column(by_name(FolderRole))
    selectable: Mapped[bool] = mapped_column(default=True)
    uid_validity: Mapped[int | None] = mapped_column(sa.BigInteger)
    uid_next: Mapped[int | None] = mapped_column(sa.BigInteger)
    highest_modseq: Mapped[int | None] = mapped_column(sa.BigInteger)
    remote_total: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    unread: Mapped[int] = mapped_column(default=0)
    mailbox: Mapped[Mailbox] = relationship()

    @property
    def last_name(self) -> str:
        return self.name.rsplit(self.delimiter, 1)[-1] if self.delimiter else self.name

    @property
    def depth(self) -> int:
        return self.name.count(self.delimiter) if self.delimiter else 0


class Message(Base):
    """The thin row of a list. ``uid`` is empty while a renumbered folder is being matched again."""

    __tablename__ = "message"
    __table_args__ = (
        sa.UniqueConstraint("folder_id", "uid"),
        sa.Index("ix_message_list", "folder_id", "received_at", "id"),
        sa.Index("ix_message_source", "mailbox_id", "source_hash"),
        sa.Index("ix_message_message_id", "mailbox_id", "message_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    mailbox_id: Mapped[int] = mapped_column(sa.ForeignKey("mailbox.id", ondelete="CASCADE"))
    folder_id: Mapped[int] = mapped_column(sa.ForeignKey("folder.id", ondelete="CASCADE"))
    uid: Mapped[int | None] = mapped_column(sa.BigInteger)
    received_at: Mapped[datetime]
    message_id: Mapped[str] = mapped_column(sa.String(998), default="")
    sender_name: Mapped[str] = mapped_column(sa.String(300), default="")
    sender_address: Mapped[str] = mapped_column(sa.String(320), default="")
    recipients: Mapped[str] = mapped_column(sa.String(300), default="")
    subject: Mapped[str] = mapped_column(sa.String(998), default="")
    preview: Mapped[str] = mapped_column(sa.String(200), default="")
    size: Mapped[int] = mapped_column(default=0)
    seen: Mapped[bool] = mapped_column(default=False)
    flagged: Mapped[bool] = mapped_column(default=False)
    answered: Mapped[bool] = mapped_column(default=False)
    has_attachments: Mapped[bool] = mapped_column(default=False)
    readable: Mapped[bool] = mapped_column(default=True)
    source_hash: Mapped[str | None] = mapped_column(sa.String(64))
    folder: Mapped[Folder] = relationship()


class MessageContent(Base):
    """What an opened message shows; ``safe_html`` is kept with the sanitiser's version."""

    __tablename__ = "message_content"

    message_id: Mapped[int] = mapped_column(
        sa.ForeignKey("message.id", ondelete="CASCADE"), primary_key=True
    )
    text: Mapped[str] = mapped_column(sa.Text, default="")
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    parts: Mapped[list[Any]] = mapped_column(default=list)
    safe_html: Mapped[str | None] = mapped_column(sa.Text)
    safe_html_version: Mapped[int | None]


class FlagChange(enum.Enum):
    SEEN = "seen"
    UNSEEN = "unseen"


class PendingChange(Base):
    """What the employee did and the server does not know yet; replayed in the order of ids."""

    __tablename__ = "pending_change"
    __table_args__ = (sa.UniqueConstraint("message_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    mailbox_id: Mapped[int] = mapped_column(
        sa.ForeignKey("mailbox.id", ondelete="CASCADE"), index=True
    )
    message_id: Mapped[int] = mapped_column(sa.ForeignKey("message.id", ondelete="CASCADE"))
    change: Mapped[FlagChange] = mapped_column(by_name(FlagChange))
    message: Mapped[Message] = relationship()
