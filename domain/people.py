"""People: the first administrator, adding others, the links with which they come in, and who may.

A person who is disabled cannot sign in, and nothing is received or sent for them; nothing of theirs
is lost. Somebody who administers is always left.
"""

import re
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from domain import changelog, outbox, passwords, sessions
from domain.changelog import Author
from domain.errors import NotFoundError, RefusedError
from domain.lines import is_one_line
from domain.sessions import hash_token as hash_token
from models.mailboxes import Mailbox, MailboxState
from models.people import Invitation, Language, Role, Theme, User

LINK_LASTS = timedelta(days=7)
SETUP_CODE_LASTS = timedelta(days=30)
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
# Without 0 O 1 I L, which people misread from a console.
_CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True)
class Listed:
    """A row of the page. ``removing`` counts the mailboxes whose mail is being deleted."""

    person: User
    mailboxes: int = 0
    removing: int = 0


def nobody_yet(session: Session) -> bool:
    return session.scalar(select(User.id).limit(1)) is None


def everyone(session: Session) -> list[User]:
    return list(session.scalars(select(User).order_by(func.lower(User.name), User.id)))


def listed(session: Session) -> list[Listed]:
    """Everyone, with their mailboxes counted."""
    removing = case((Mailbox.state == MailboxState.REMOVING, 1))
    counted = {
        user_id: (mailboxes - going, going)
        for user_id, mailboxes, going in session.execute(
            select(Mailbox.user_id, func.count(), func.count(removing)).group_by(Mailbox.user_id)
        )
    }
    return [Listed(person, *counted.get(person.id, ())) for person in everyone(session)]


def listed_one(session: Session, person: User) -> Listed:
    """One row of the page."""
    states = session.scalars(select(Mailbox.state).where(Mailbox.user_id == person.id)).all()
    removing = states.count(MailboxState.REMOVING)
    return Listed(person, len(states) - removing, removing)


def find(session: Session, user_id: int) -> User:
    """Raises NotFoundError."""
    person = session.get(User, user_id)
    if person is None:
        raise NotFoundError
    return person


def find_by_login(session: Session, login: str) -> User:
    """Raises NotFoundError."""
    person = session.scalar(select(User).where(User.login == login.strip().lower()))
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
    _record(session, by, "people.set_up", person, _new(person))
    return person


def add_person(
    session: Session, *, name: str, login: str, role: Role, by: Author
) -> tuple[User, str]:
    """The new person and the token of a one-time link. Raises RefusedError."""
    person = _add(session, name=name, login=login, role=role, now=by.now)
    _record(session, by, "people.add", person, _new(person))
    return person, _new_link(session, person, by.now)


def new_link(session: Session, person: User, by: Author) -> str:
    """Another one-time link, for a password that was forgotten; earlier links end.

    Raises RefusedError while the person is disabled: the link would be worth nothing.
    """
    if not person.active:
        raise RefusedError("person", "person_disabled", name=person.name)
    token = _new_link(session, person, by.now)
    _record(session, by, "people.new_link", person, {})
    return token


def disable(session: Session, person: User, by: Author) -> bool:
    """Whether anything changed. Sessions end, links are worth nothing, queued mail is held.

    What was received stays, and so do passwords. Raises RefusedError.
    """
    if not person.active:
        return False
    _refuse_locking_out(session, person, by)
    person.active = False
    session.flush()
    sessions.end_all(session, person)
    outbox.hold_and_release(session)
    _record(session, by, "people.disable", person, {"active": (True, False)})
    return True


def enable(session: Session, person: User, by: Author) -> bool:
    """Whether anything changed. Everything goes on as before, and nobody types a password again;
    but mail that was queued two days ago or earlier waits for a word of its sender.
    """
    if person.active:
        return False
    _let_back(session, person, by.now)
    _record(session, by, "people.enable", person, {"active": (False, True)})
    return True


def set_role(session: Session, person: User, role: Role, by: Author) -> bool:
    """Whether anything changed. Raises RefusedError."""
    if person.role is role:
        return False
    if role is not Role.ADMINISTRATOR:
        _refuse_locking_out(session, person, by)
    _record(session, by, "people.role", person, {"role": (person.role.name, role.name)})
    person.role = role
    session.flush()
    return True


def reset(session: Session, person: User, by: Author) -> str:
    """Another one-time link for somebody who is locked out, who is enabled if need be."""
    changes: dict[str, tuple[object, object]] = {}
    if not person.active:
        _let_back(session, person, by.now)
        changes["active"] = (False, True)
    _record(session, by, "people.reset", person, changes)
    return _new_link(session, person, by.now)


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


def _refuse_locking_out(session: Session, person: User, by: Author) -> None:
    """Somebody is left who administers, and nobody shuts their own door. Raises RefusedError.

    Two administrators may do it to each other at once: it is asked in the transaction that writes,
    and where transactions write side by side the second waits for the first.
    """
    administrators = session.scalars(
        select(User.id)
        .where(User.role == Role.ADMINISTRATOR, User.active)
        .order_by(User.id)
        .with_for_update()
    ).all()
    if list(administrators) == [person.id]:
        raise RefusedError("person", "last_administrator", name=person.name)
    if person.id == by.user_id:
        raise RefusedError("person", "not_yourself")


def _let_back(session: Session, person: User, now: datetime) -> None:
    person.active = True
    session.flush()
    # The sweep looks at them within a second, and they are watched again.
    session.execute(update(Mailbox).where(Mailbox.user_id == person.id).values(next_contact_at=now))
    outbox.keep_held(session, person, now)
    outbox.hold_and_release(session)


def _new(person: User) -> dict[str, tuple[object, object]]:
    return {
        "name": (None, person.name),
        "login": (None, person.login),
        "role": (None, person.role.name),
    }


def _record(
    session: Session,
    by: Author,
    action: str,
    person: User,
    changes: Mapping[str, tuple[object, object]],
) -> None:
    changelog.record(
        session,
        by,
        action,
        subject=f"person:{person.id}",
        subject_name=person.name,
        changes=changes,
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
