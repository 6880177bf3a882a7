"""Connected mailboxes, and the tests that connect them."""

import enum
import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, by_name
from models.people import User
from models.services import MailService

SMTP_LOGIN_TRIES = 3


class MailboxState(enum.Enum):
    """``UNREACHABLE`` heals by itself; the ones after it need a person."""

    CONNECTING = "connecting"
    WORKING = "working"
    UNREACHABLE = "unreachable"
    LOGIN_REFUSED = "login_refused"
    APP_PASSWORD_WANTED = "app_password_wanted"  # noqa: S105 - the name of a state
    CERTIFICATE_REFUSED = "certificate_refused"
    OVER_QUOTA = "over_quota"
    SECRET_LOST = "secret_lost"  # noqa: S105 - the name of a state

    @property
    def may_heal(self) -> bool:
        """Whether what is wrong may end without anybody telling us."""
        return self in {MailboxState.CERTIFICATE_REFUSED, MailboxState.OVER_QUOTA}

    @property
    def needs_person(self) -> bool:
        return self not in {
            MailboxState.CONNECTING,
            MailboxState.WORKING,
            MailboxState.UNREACHABLE,
        }


class Mailbox(Base):
    """One connected address of one person.

    ``version`` grows with every change a page could show, so that an open page asks one number.
    ``state`` is that of IMAP. ``smtp_failures`` counts how often in a row SMTP refused the login
    that ``smtp_refused_with`` is the print of, ``smtp_error_cause`` is why.
    """

    __tablename__ = "mailbox"
    __table_args__ = (sa.UniqueConstraint("user_id", "address"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"))
    service_id: Mapped[int] = mapped_column(sa.ForeignKey("mail_service.id"), index=True)
    address: Mapped[str] = mapped_column(sa.String(320))
    login: Mapped[str] = mapped_column(sa.String(320))
    sealed_password: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sender_name: Mapped[str] = mapped_column(sa.String(100))
    state: Mapped[MailboxState] = mapped_column(by_name(MailboxState))
    state_since: Mapped[datetime]
    last_contact_at: Mapped[datetime | None]
    last_error_cause: Mapped[str] = mapped_column(sa.String(40), default="")
    last_error_words: Mapped[str] = mapped_column(sa.String(500), default="")
    failures: Mapped[int] = mapped_column(default=0)
    next_contact_at: Mapped[datetime]
    smtp_failures: Mapped[int] = mapped_column(default=0)
    smtp_error_cause: Mapped[str] = mapped_column(sa.String(40), default="")
    smtp_refused_with: Mapped[str] = mapped_column(sa.String(64), default="")
    version: Mapped[int] = mapped_column(default=1)
    user: Mapped[User] = relationship()
    service: Mapped[MailService] = relationship(lazy="joined", innerjoin=True)

    @property
    def sign_in_print(self) -> str:
        """Another one as soon as service, login or password is another."""
        parts = (self.service_id, self.service.version, self.login, self.sealed_password.hex())
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def smtp_refuses(self) -> bool:
        """Whether SMTP has refused the login for good, and nothing has changed since."""
        return (
            self.smtp_failures >= SMTP_LOGIN_TRIES and self.smtp_refused_with == self.sign_in_print
        )

    @property
    def may_send(self) -> bool:
        return self.user.active and not self.state.needs_person and not self.smtp_refuses


class ConnectionTestState(enum.Enum):
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ConnectionTest(Base):
    """A try to connect, watched by the page that started it.

    ``steps`` holds what was done so far, ``[{"protocol", "step", "ms"}]``; the failed step, if any,
    stands in ``failed_protocol`` and ``failed_step``. The password is sealed to this row and kept
    only as long as the person may want to try again.
    """

    __tablename__ = "connection_test"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"), index=True)
    service_id: Mapped[int] = mapped_column(sa.ForeignKey("mail_service.id"))
    address: Mapped[str] = mapped_column(sa.String(320))
    login: Mapped[str] = mapped_column(sa.String(320))
    sealed_password: Mapped[bytes] = mapped_column(sa.LargeBinary)
    state: Mapped[ConnectionTestState] = mapped_column(
        by_name(ConnectionTestState), default=ConnectionTestState.WAITING
    )
    steps: Mapped[list[Any]] = mapped_column(default=list)
    failed_protocol: Mapped[str] = mapped_column(sa.String(4), default="")
    failed_step: Mapped[str] = mapped_column(sa.String(40), default="")
    cause: Mapped[str] = mapped_column(sa.String(40), default="")
    server_words: Mapped[str] = mapped_column(sa.String(500), default="")
    created_at: Mapped[datetime]
    mailbox_id: Mapped[int | None] = mapped_column(sa.ForeignKey("mailbox.id", ondelete="SET NULL"))
    user: Mapped[User] = relationship()
    service: Mapped[MailService] = relationship(lazy="joined", innerjoin=True)
