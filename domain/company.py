"""What the company decided once for all."""

from sqlalchemy.orm import Session

from domain import changelog
from domain.changelog import Author
from domain.errors import ConflictError
from models.company import CompanySettings


def settings(session: Session) -> CompanySettings:
    """The one row; a migration made it."""
    return session.get_one(CompanySettings, 1)


def set_other(
    session: Session, *, allowed: bool, process_default: bool, version: int, by: Author
) -> bool:
    """Whether anything changed. Mailboxes connected through *Other* work on either way.

    Raises ConflictError when somebody else saved since ``version``.
    """
    present = settings(session)
    wanted = {"other_allowed": allowed, "other_process_default": process_default}
    changes = {
        field: (getattr(present, field), value)
        for field, value in wanted.items()
        if getattr(present, field) != value
    }
    if not changes:
        return False
    if present.version != version:
        raise ConflictError("settings_changed")
    present.other_allowed, present.other_process_default = allowed, process_default
    present.version += 1
    changelog.record(
        session, by, "settings.other", subject="settings", subject_name="", changes=changes
    )
    return True
