"""Signing in and out: revocable sessions, and what slows a guessing stranger down."""

import hashlib
import secrets as random
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.orm import Session as DatabaseSession

from domain import passwords
from domain.errors import NotFoundError, RefusedError
from models.people import Session, SignInAttempt, User

IDLE_LASTS = timedelta(days=14)
SEEN_STEP = timedelta(minutes=5)
WINDOW = timedelta(minutes=15)
TRIES_PER_LOGIN = 10
TRIES_PER_ADDRESS = 50
# Built once, for every request asks it.
_PRESENT = select(Session).where(
    Session.token_hash == bindparam("token_hash"), Session.last_seen_at > bindparam("seen_after")
)


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def sign_in(
    session: DatabaseSession, *, login: str, password: str, address: str, now: datetime
) -> User | None:
    """The person, or None when login and password do not belong together.

    A failed try is kept, so the caller commits either way. Raises RefusedError
    (``too_many_tries``) after 10 failures for one login or 50 from one address in 15 minutes.
    """
    login = login.strip().lower()[:100]
    refuse_many(session, login=login, address=address, now=now)
    person = session.scalar(select(User).where(User.login == login))
    usable = person is not None and person.active
    password_hash = person.password_hash if person is not None and usable else None
    if passwords.matches(password_hash, password) and person is not None:
        session.execute(delete(SignInAttempt).where(SignInAttempt.login == login))
        return person
    note_failure(session, login=login, address=address, now=now)
    return None


def refuse_many(session: DatabaseSession, *, login: str, address: str, now: datetime) -> None:
    """Raises RefusedError when this login or address has failed too often of late."""
    recent = select(func.count()).where(SignInAttempt.at > now - WINDOW)
    by_login = session.scalar(recent.where(SignInAttempt.login == login)) or 0
    by_address = session.scalar(recent.where(SignInAttempt.address == address)) or 0
    if by_login >= TRIES_PER_LOGIN or by_address >= TRIES_PER_ADDRESS:
        raise RefusedError("login", "too_many_tries", minutes=WINDOW.seconds // 60)


def note_failure(session: DatabaseSession, *, login: str, address: str, now: datetime) -> None:
    session.execute(delete(SignInAttempt).where(SignInAttempt.at <= now - WINDOW))
    session.add(SignInAttempt(login=login, address=address, at=now))
    session.flush()


def begin(
    session: DatabaseSession, person: User, *, address: str, user_agent: str, now: datetime
) -> str:
    """A new session; returns its token, which is kept nowhere but in the person's cookie."""
    token = random.token_urlsafe(32)
    session.add(
        Session(
            user_id=person.id,
            token_hash=hash_token(token),
            created_at=now,
            last_seen_at=now,
            address=address[:64],
            user_agent=user_agent[:200],
        )
    )
    session.flush()
    return token


def find(session: DatabaseSession, token: str, now: datetime) -> Session | None:
    """The session of that token, unless it ended, was idle for 14 days or its person is off."""
    asked = {"token_hash": hash_token(token), "seen_after": now - IDLE_LASTS}
    found = session.scalar(_PRESENT, asked)
    return found if found is not None and found.user.active else None


def of_person(session: DatabaseSession, person: User) -> list[Session]:
    newest_first = select(Session).where(Session.user_id == person.id)
    return list(session.scalars(newest_first.order_by(Session.last_seen_at.desc())))


def end(session: DatabaseSession, person: User, session_id: int) -> None:
    """Raises NotFoundError when it is not this person's."""
    own = session.scalar(
        select(Session).where(Session.id == session_id, Session.user_id == person.id)
    )
    if own is None:
        raise NotFoundError
    session.delete(own)
    session.flush()


def end_all(session: DatabaseSession, person: User, *, but: int | None = None) -> None:
    """Ends every session of a person, but the one that is named."""
    session.execute(delete(Session).where(Session.user_id == person.id, Session.id != (but or 0)))
