"""People, how they come in, and where they are signed in."""

import enum
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, by_name


class Role(enum.Enum):
    EMPLOYEE = "employee"
    ADMINISTRATOR = "administrator"


class Language(enum.Enum):
    EN = "en"
    RU = "ru"


class Theme(enum.Enum):
    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class User(Base):
    """A person. ``login`` is kept in lower case; without ``password_hash`` nobody can sign in."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    login: Mapped[str] = mapped_column(sa.String(100), unique=True)
    role: Mapped[Role] = mapped_column(by_name(Role))
    password_hash: Mapped[str | None] = mapped_column(sa.String(200))
    active: Mapped[bool] = mapped_column(default=True)
    language: Mapped[Language | None] = mapped_column(by_name(Language))
    theme: Mapped[Theme] = mapped_column(by_name(Theme), default=Theme.AUTO)
    created_at: Mapped[datetime]

    @property
    def is_administrator(self) -> bool:
        return self.role is Role.ADMINISTRATOR


class Session(Base):
    """One browser in which somebody is signed in; only the hash of its token is kept."""

    __tablename__ = "session"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    address: Mapped[str] = mapped_column(sa.String(64))
    user_agent: Mapped[str] = mapped_column(sa.String(200))
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class Invitation(Base):
    """A one-time link with which a person sets a password; without a person, the set-up code."""

    __tablename__ = "invitation"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("user.id", ondelete="CASCADE"), index=True
    )
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    user: Mapped[User | None] = relationship(lazy="joined")


class SignInAttempt(Base):
    """A failed try, by the login that was typed and by the address it came from."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (
        sa.Index("ix_sign_in_attempt_login_at", "login", "at"),
        sa.Index("ix_sign_in_attempt_address_at", "address", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(sa.String(100))
    address: Mapped[str] = mapped_column(sa.String(64))
    at: Mapped[datetime]
