"""People: the first administrator, adding others, and the links with which they come in."""

import hashlib
import re
import secrets as random
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from domain import changelog, passwords
from domain.changelog import Author
from domain.errors import NotFoundError, RefusedError
from domain.lines import is_one_line
from models.people import Invitation, Language, Role, Theme, User

LINK_LASTS = timedelta(days=7)
SETUP_CODE_LASTS = timedelta(days=30)
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
# Without 0 O 1 I L, which people misread from a console.
_CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def nobody_yet(session: Session) -> bool:
    return session.scalar(select(User.id).limit(1)) is None


def everyone(session: Session) -> list[User]:
    return list(session.scalars(select(User).order_by(func.lower(User.name), User.id)))


def find(session: Session, user_id: int) -> User:
    """Raises NotFoundError."""
    person = session.get(User, user_id)
    if person is None:
        raise NotFoundError
    return person


def new_setup_code(session: Session, now: datetime) -> str:
    """The code that the set-up page asks for; an earlier one is worth nothing any more."""
    session.execute(delete(Invitation).where(Invitation.user_id.is_(None)))
    letters = [random.choice(_CODE_LETTERS) for _ in range(12)]
    code = "-".join("".join(letters[start : start + 4]) for start in (0, 4, 8))
    _invite(session, None, code, now, SETUP_CODE_LASTS)
    return code


def set_up(
    session: Session, *, code: str, name: str, login: str, password: str, by: Author
) -> User:
    """Makes the first administrator. Raises RefusedError, at ``code`` when it is not the one."""
    if not nobody_yet(session):
        raise NotFoundError
    invitation = _invitation(session, code.strip().upper(), by.now)
    if invitation is None or invitation.user_id is not None:
        raise RefusedError("code", "setup_code_wrong")
    passwords.check_new(password, login.strip().lower())
    person = _add(session, name=name, login=login, role=Role.ADMINISTRATOR, now=by.now)
    person.password_hash = passwords.hash_password(password)
    session.delete(invitation)
    _record(session, by, "people.set_up", person)
    return person


def add_person(
    session: Session, *, name: str, login: str, role: Role, by: Author
) -> tuple[User, str]:
    """The new person and the token of a one-time link. Raises RefusedError."""
    person = _add(session, name=name, login=login, role=role, now=by.now)
    _record(session, by, "people.add", person)
    return person, _new_link(session, person, by.now)


def new_link(session: Session, person: User, by: Author) -> str:
    """Another one-time link, for a password that was forgotten; earlier links end."""
    token = _new_link(session, person, by.now)
    changelog.record(
        session,
        by,
        "people.new_link",
        subject=f"person:{person.id}",
        subject_name=person.name,
        changes={},
    )
    return token


def invited(session: Session, token: str, now: datetime) -> User:
    """Whom the link belongs to. Raises NotFoundError when it was used, replaced or is too old."""
    invitation = _invitation(session, token, now)
    if invitation is None or invitation.user is None or not invitation.user.active:
        raise NotFoundError
    return invitation.user


def accept_invitation(session: Session, token: str, password: str, now: datetime) -> User:
    """Sets the password and uses the link up. Raises NotFoundError, RefusedError."""
    person = invited(session, token, now)
    passwords.check_new(password, person.login)
    person.password_hash = passwords.hash_password(password)
    session.execute(delete(Invitation).where(Invitation.user_id == person.id))
    return person


def change_password(session: Session, person: User, *, old: str, new: str) -> None:
    """Raises RefusedError, at ``old`` when it is not the present password."""
    if not passwords.matches(person.password_hash, old):
        raise RefusedError("old", "password_wrong")
    passwords.check_new(new, person.login)
    person.password_hash = passwords.hash_password(new)
    session.flush()


def set_preferences(
    session: Session, person: User, *, language: Language | None, theme: Theme
) -> None:
    person.language, person.theme = language, theme
    session.flush()


def _add(session: Session, *, name: str, login: str, role: Role, now: datetime) -> User:
    name, login = " ".join(name.split()), login.strip().lower()
    if not 1 <= len(name) <= 100 or not is_one_line(name):
        raise RefusedError("name", "person_name_length")
    if not _LOGIN.fullmatch(login):
        raise RefusedError("login", "login_form")
    if session.scalar(select(User.id).where(User.login == login)) is not None:
        raise RefusedError("login", "login_taken", login=login)
    person = User(name=name, login=login, role=role, created_at=now)
    session.add(person)
    session.flush()
    return person


def _record(session: Session, by: Author, action: str, person: User) -> None:
    changelog.record(
        session,
        by,
        action,
        subject=f"person:{person.id}",
        subject_name=person.name,
        changes={
            "name": (None, person.name),
            "login": (None, person.login),
            "role": (None, person.role.name),
        },
    )


def _new_link(session: Session, person: User, now: datetime) -> str:
    session.execute(delete(Invitation).where(Invitation.user_id == person.id))
    token = random.token_urlsafe(32)
    _invite(session, person, token, now, LINK_LASTS)
    return token


def _invite(
    session: Session, person: User | None, token: str, now: datetime, lasts: timedelta
) -> None:
    session.add(
        Invitation(
            user_id=None if person is None else person.id,
            token_hash=hash_token(token),
            created_at=now,
            expires_at=now + lasts,
        )
    )
    session.flush()


def _invitation(session: Session, token: str, now: datetime) -> Invitation | None:
    return session.scalar(
        select(Invitation).where(
            Invitation.token_hash == hash_token(token), Invitation.expires_at > now
        )
    )
