"""Who is looking: the person and the session behind a request."""

from contextlib import suppress
from datetime import UTC, datetime

from flask import Flask, current_app, g, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from domain import sessions
from domain.changelog import Author
from domain.errors import NotFoundError
from models import db
from models.people import Session, User

login_manager = LoginManager()


class Viewer(UserMixin):  # type: ignore[misc]
    """What Flask-Login carries: the cookie holds the session's token, never the person's id."""

    def __init__(self, token: str, row: Session) -> None:
        self.token = token
        self.session_id = row.id
        self.person: User = row.user

    def get_id(self) -> str:
        return self.token

    @property
    def is_administrator(self) -> bool:
        return self.person.is_administrator


def install(app: Flask) -> None:
    # Templates are given our own viewer, who may be left out where the database is broken.
    login_manager.init_app(app, add_context_processor=False)
    # Our sessions are rows; the library's own fingerprint of the browser adds nothing.
    login_manager.session_protection = None


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _load(token: str) -> Viewer | None:
    row = sessions.find(db.session(), token, now())
    return None if row is None else Viewer(token, row)


def viewer_or_none() -> Viewer | None:
    if g.get("viewer_unknown"):  # the database cannot be asked
        return None
    return current_user if isinstance(current_user._get_current_object(), Viewer) else None  # noqa: SLF001 - Flask-Login's proxy has no public name for it


def viewer() -> Viewer:
    """Behind ``signed_in`` and ``administrator`` there always is one."""
    found = viewer_or_none()
    assert found is not None, "the route is not marked for people who are signed in"
    return found


def person() -> User:
    return viewer().person


def author() -> Author:
    """Who a change is attributed to; before the first sign-in, the console."""
    found = viewer_or_none()
    return Author(
        name=found.person.name if found else "",
        user_id=found.person.id if found else None,
        now=now(),
        key=current_app.extensions["postroom_keys"].change_log,
    )


def let_in(found: User, address: str, user_agent: str) -> None:
    """Begins a session with a new id; whatever the browser held before is worth nothing."""
    before = viewer_or_none()
    if before is not None:
        with suppress(NotFoundError):  # a one-time link has ended it already
            sessions.end(db.session(), before.person, before.session_id)
    token = sessions.begin(db.session(), found, address=address, user_agent=user_agent, now=now())
    session.clear()
    session.permanent = True
    row = sessions.find(db.session(), token, now())
    assert row is not None
    login_user(Viewer(token, row))


def let_out() -> None:
    found = viewer()
    sessions.end(db.session(), found.person, found.session_id)
    logout_user()
    session.clear()


def note_seen() -> None:
    """Keeps a session alive. Only with a request that writes, and at most once in five minutes;
    the view's commit keeps it.
    """
    found = viewer_or_none()
    if found is None:
        return
    row = db.session().get(Session, found.session_id)
    if row is not None and now() - row.last_seen_at > sessions.SEEN_STEP:
        row.last_seen_at = now()


def now() -> datetime:
    return datetime.now(UTC)
