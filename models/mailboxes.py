"""Connected mailboxes, the tests of connections, and the search for a domain's servers."""

import enum
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, by_name
from models.people import User
from models.services import MailService, OwnServers, Servers

SMTP_LOGIN_TRIES = 3
ONE_PAIR_OF_SERVERS = "(service_id IS NULL) <> (own_servers_id IS NULL)"
# What a connection is made with. A name, a default or a domain of a service is none of it.
CONNECTED_WITH = (
    "imap_host",
    "imap_port",
    "imap_security",
    "smtp_host",
    "smtp_port",
    "smtp_security",
    "ca_pem",
)


class MailboxState(enum.Enum):
    """``UNREACHABLE`` heals by itself; ``REMOVING`` ends with the row; ``DISCONNECTED`` keeps its
    mail until its owner connects the address again or removes it; the rest need a person.
    """

    CONNECTING = "connecting"
    WORKING = "working"
    UNREACHABLE = "unreachable"
    REMOVING = "removing"
    DISCONNECTED = "disconnected"
    LOGIN_REFUSED = "login_refused"
    APP_PASSWORD_WANTED = "app_password_wanted"  # noqa: S105 - the name of a state
    CERTIFICATE_REFUSED = "certificate_refused"
    OVER_QUOTA = "over_quota"
    SECRET_LOST = "secret_lost"  # noqa: S105 - the name of a state
    SERVICE_DELETED = "service_deleted"
    MOVED = "moved"

    @property
    def may_heal(self) -> bool:
        """Whether what is wrong may end without anybody telling us."""
        return self in {MailboxState.CERTIFICATE_REFUSED, MailboxState.OVER_QUOTA}

    @property
    def is_withheld(self) -> bool:
        """Whether the password must not be shown to the servers, whoever asks."""
        return self.is_ended or self in {MailboxState.SERVICE_DELETED, MailboxState.MOVED}

    @property
    def is_ended(self) -> bool:
        """Whether its owner, or an administrator for a person who left, gave it up: no change of
        its service wakes it, and it has no password any more.
        """
        return self in ENDED

    @property
    def may_be_connected_anew(self) -> bool:
        """Whether its owner may choose servers for it as for a new mailbox; its mail stays."""
        return self in {MailboxState.DISCONNECTED, MailboxState.SERVICE_DELETED}

    @property
    def is_in_use(self) -> bool:
        """Whether mail goes in and out, or will without anybody doing anything."""
        return self in {MailboxState.CONNECTING, MailboxState.WORKING, MailboxState.UNREACHABLE}

    @property
    def needs_person(self) -> bool:
        return not self.is_in_use and not self.is_ended


ENDED = (MailboxState.REMOVING, MailboxState.DISCONNECTED)


class ProcessChoice(enum.Enum):
    """*Use of mail in business processes*, as the owner of a mailbox chose it."""

    COMPANY = "company"
    ALLOWED = "allowed"
    NOT_ALLOWED = "not_allowed"


class Mailbox(Base):
    """One connected address of one person.

    ``version`` grows with every change a page could show, so that an open page asks one number.
    ``state`` is that of IMAP. ``smtp_failures`` counts how often in a row SMTP refused the login
    that ``smtp_refused_with`` is the print of, ``smtp_error_cause`` is why. An empty
    ``smtp_login`` means ``login``. ``agreed_domains`` is filled while the owner has yet to agree
    that the password goes to others: the registrable domains it was given for. ``position`` orders
    the mailboxes of a person, and one of them at most is the ``default_sender``. ``signature`` is
    harmless HTML (see mail/signature.py).
    """

    __tablename__ = "mailbox"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "address"),
        sa.CheckConstraint(ONE_PAIR_OF_SERVERS, name="one_pair_of_servers"),
        sa.Index("ix_mailbox_state_next_contact_at", "state", "next_contact_at"),
        sa.Index(
            "uq_mailbox_default_sender",
            "user_id",
            unique=True,
            sqlite_where=sa.text("default_sender"),
            postgresql_where=sa.text("default_sender"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"))
    service_id: Mapped[int | None] = mapped_column(sa.ForeignKey("mail_service.id"), index=True)
    own_servers_id: Mapped[int | None] = mapped_column(sa.ForeignKey("own_servers.id"), unique=True)
    address: Mapped[str] = mapped_column(sa.String(320))
    login: Mapped[str] = mapped_column(sa.String(320))
    smtp_login: Mapped[str] = mapped_column(sa.String(320), default="")
    sealed_password: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sender_name: Mapped[str] = mapped_column(sa.String(100))
    signature: Mapped[str] = mapped_column(sa.Text, default="")
    notifies: Mapped[bool] = mapped_column(default=False)
    process_choice: Mapped[ProcessChoice] = mapped_column(
        by_name(ProcessChoice), default=ProcessChoice.COMPANY
    )
    position: Mapped[int] = mapped_column(default=0)
    default_sender: Mapped[bool] = mapped_column(default=False)
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
    agreed_domains: Mapped[list[Any]] = mapped_column(default=list)
    last_received_at: Mapped[datetime | None]
    last_sent_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    user: Mapped[User] = relationship()
    service: Mapped[MailService | None] = relationship(lazy="joined")
    own_servers: Mapped[OwnServers | None] = relationship(lazy="joined")

    @property
    def is_administrators(self) -> bool:
        """Whether an administrator chose the servers."""
        return self.service_id is not None

    @property
    def servers(self) -> Servers:
        return _servers(self.service, self.own_servers)

    @property
    def sign_in_print(self) -> str:
        """Another one as soon as servers, login or password are others."""
        return sign_in_print(
            self.service_id,
            [getattr(self.servers, name) for name in CONNECTED_WITH],
            self.login,
            self.smtp_login,
            self.sealed_password,
        )

    @property
    def smtp_refuses(self) -> bool:
        """Whether SMTP has refused the login for good, and nothing has changed since."""
        return (
            self.smtp_failures >= SMTP_LOGIN_TRIES and self.smtp_refused_with == self.sign_in_print
        )

    @property
    def may_send(self) -> bool:
        return self.user.active and self.state.is_in_use and not self.smtp_refuses


def sign_in_print(
    service_id: int | None, connected_with: Sequence[object], *secrets: str | bytes
) -> str:
    """``connected_with`` are the servers' values, in the order of ``CONNECTED_WITH``."""
    content = (service_id, tuple(connected_with), secrets)
    return hashlib.sha256(repr(content).encode()).hexdigest()


def _servers(service: MailService | None, own: OwnServers | None) -> Servers:
    found: Servers | None = service if service is not None else own
    assert found is not None, "a constraint of the table sees to it"
    return found


class ConnectionTestState(enum.Enum):
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ConnectionPurpose(enum.Enum):
    """``CONNECT`` ends with a mailbox, ``PASSWORD`` with a new password for one; ``CHECK``
    only says what an employee would get, ``TRY`` what an administrator would. ``KEPT`` is no test:
    it keeps the password of a form that was refused until the form comes back.
    """

    CONNECT = "connect"
    PASSWORD = "password"  # noqa: S105 - the name of a purpose
    CHECK = "check"
    TRY = "try"
    KEPT = "kept"


class ConnectionTest(Base):
    """A test of both servers, watched by the page that started it.

    ``steps`` holds what was done so far, ``[{"protocol", "step", "ms"}]``; the failed step, if any,
    stands in ``failed_protocol`` and ``failed_step``, and ``findings`` what else was learnt of
    the servers. The password is sealed to this row and kept only as long as the person may want
    to try again; without a ``login`` nobody signs in.
    """

    __tablename__ = "connection_test"
    __table_args__ = (
        sa.CheckConstraint(
            f"purpose = 'KEPT' OR ({ONE_PAIR_OF_SERVERS})", name="one_pair_of_servers"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[ConnectionPurpose] = mapped_column(
        by_name(ConnectionPurpose), default=ConnectionPurpose.CONNECT
    )
    service_id: Mapped[int | None] = mapped_column(sa.ForeignKey("mail_service.id"))
    own_servers_id: Mapped[int | None] = mapped_column(sa.ForeignKey("own_servers.id"))
    address: Mapped[str] = mapped_column(sa.String(320))
    login: Mapped[str] = mapped_column(sa.String(320))
    smtp_login: Mapped[str] = mapped_column(sa.String(320), default="")
    sealed_password: Mapped[bytes] = mapped_column(sa.LargeBinary)
    state: Mapped[ConnectionTestState] = mapped_column(
        by_name(ConnectionTestState), default=ConnectionTestState.WAITING
    )
    findings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    steps: Mapped[list[Any]] = mapped_column(default=list)
    failed_protocol: Mapped[str] = mapped_column(sa.String(4), default="")
    failed_step: Mapped[str] = mapped_column(sa.String(40), default="")
    cause: Mapped[str] = mapped_column(sa.String(40), default="")
    server_words: Mapped[str] = mapped_column(sa.String(500), default="")
    created_at: Mapped[datetime]
    mailbox_id: Mapped[int | None] = mapped_column(sa.ForeignKey("mailbox.id", ondelete="SET NULL"))
    user: Mapped[User] = relationship()
    service: Mapped[MailService | None] = relationship(lazy="joined")
    own_servers: Mapped[OwnServers | None] = relationship(lazy="joined")

    @property
    def is_administrators(self) -> bool:
        """Whether an administrator chose the servers."""
        return self.service is not None or self.purpose is ConnectionPurpose.TRY

    @property
    def servers(self) -> Servers:
        return _servers(self.service, self.own_servers)


class SettingsSearch(Base):
    """*Find settings*: a domain whose servers the worker looks for, watched like a test."""

    __tablename__ = "settings_search"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"), index=True)
    domain: Mapped[str] = mapped_column(sa.String(253))
    state: Mapped[ConnectionTestState] = mapped_column(
        by_name(ConnectionTestState), default=ConnectionTestState.WAITING
    )
    found: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
