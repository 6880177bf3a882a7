"""Mail services: the named pairs of servers that employees can choose, and servers without one."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from mail.offers import LoginForm
from mail.security import Security
from mail.server_string import Protocol, ServerAddress
from models.base import Base, by_name

__all__ = ["LoginForm", "MailService", "OwnServers", "Servers", "server_checks"]


def _server_checks(protocol: str, pairs: str, foreign_ports: str) -> tuple[sa.CheckConstraint, ...]:
    """What SQL can say of the rules in mail/server_string.py and mail/security.py."""
    port, security = f"{protocol}_port", f"{protocol}_security"
    host, lifted = f"{protocol}_host", f"{protocol}_non_standard"
    allowed = pairs.format(p=port, s=security)
    return (
        sa.CheckConstraint(f"{port} BETWEEN 1 AND 65535", name=f"{protocol}_port_range"),
        sa.CheckConstraint(
            f"{lifted} OR ({port} NOT IN ({foreign_ports}) AND ({allowed}))",
            name=f"{protocol}_port_security",
        ),
        sa.CheckConstraint(
            f"{lifted} OR {host} LIKE '{protocol}._%'", name=f"{protocol}_host_label"
        ),
    )


def server_checks() -> tuple[sa.CheckConstraint, ...]:
    """The constraints of every table that holds a pair of servers."""
    imap = (
        "({p} = 143 AND {s} IN ('NONE', 'STARTTLS')) OR ({p} = 993 AND {s} = 'TLS')"
        " OR {p} NOT IN (143, 993)"
    )
    smtp = (
        "({p} = 25 AND {s} = 'NONE') OR ({p} = 465 AND {s} = 'TLS')"
        " OR ({p} = 587 AND {s} = 'STARTTLS') OR {p} NOT IN (25, 465, 587)"
    )
    return (
        *_server_checks("imap", imap, "25, 465, 587"),
        *_server_checks("smtp", smtp, "143, 993"),
    )


class Servers:
    """The columns of a pair of servers. ``version`` grows with every change of them."""

    id: Mapped[int] = mapped_column(primary_key=True)
    imap_host: Mapped[str] = mapped_column(sa.String(253))
    imap_port: Mapped[int]
    imap_security: Mapped[Security] = mapped_column(by_name(Security, "imap_security"))
    imap_non_standard: Mapped[bool] = mapped_column(default=False)
    smtp_host: Mapped[str] = mapped_column(sa.String(253))
    smtp_port: Mapped[int]
    smtp_security: Mapped[Security] = mapped_column(by_name(Security, "smtp_security"))
    smtp_non_standard: Mapped[bool] = mapped_column(default=False)
    ca_pem: Mapped[str] = mapped_column(sa.Text, default="")
    version: Mapped[int] = mapped_column(default=1)

    def address(self, protocol: Protocol) -> ServerAddress:
        if protocol is Protocol.IMAP:
            return ServerAddress(self.imap_host, self.imap_port)
        return ServerAddress(self.smtp_host, self.smtp_port)

    def security(self, protocol: Protocol) -> Security:
        return self.imap_security if protocol is Protocol.IMAP else self.smtp_security

    def non_standard(self, protocol: Protocol) -> bool:
        return self.imap_non_standard if protocol is Protocol.IMAP else self.smtp_non_standard

    @property
    def unencrypted(self) -> bool:
        return Security.NONE in (self.imap_security, self.smtp_security)


class MailService(Servers, Base):
    __tablename__ = "mail_service"
    __table_args__ = (
        sa.Index(
            "uq_mail_service_name_key_present",
            "name_key",
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        ),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 100", name="name_length"),
        *server_checks(),
    )

    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    name_key: Mapped[str] = mapped_column(sa.String(300))
    standard: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=0)
    imap_login_form: Mapped[LoginForm] = mapped_column(
        by_name(LoginForm, "imap_login_form"), default=LoginForm.ADDRESS
    )
    smtp_login_form: Mapped[LoginForm] = mapped_column(
        by_name(LoginForm, "smtp_login_form"), default=LoginForm.ADDRESS
    )
    process_default: Mapped[bool] = mapped_column(default=True)
    domains: Mapped[list[Any]] = mapped_column(default=list)
    sign_in: Mapped[list[Any]] = mapped_column(default=list)
    help_url: Mapped[str] = mapped_column(sa.String(300), default="")
    hidden: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[datetime | None]

    @property
    def wants_app_password(self) -> bool:
        return "app_password" in self.sign_in

    @property
    def takes_password(self) -> bool:
        """Whether one signs in with something that can be typed; else with OAuth 2.0 only."""
        return not {"password", "app_password"}.isdisjoint(self.sign_in)


class OwnServers(Servers, Base):
    """Servers that belong to no service: an employee typed them (*Other*), or a test is made of
    what the window for a service holds and nobody saved.
    """

    __tablename__ = "own_servers"
    __table_args__ = server_checks()
