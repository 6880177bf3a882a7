"""What the company decided once for all."""

from sqlalchemy.orm import Session

from domain import changelog
from domain.changelog import Author
from domain.errors import ConflictError
from mail.address_policy import parse_networks
from models.company import CompanySettings


def settings(session: Session) -> CompanySettings:
    """The one row; a migration made it."""
    return session.get_one(CompanySettings, 1)


def set_other(
    session: Session,
    *,
    allowed: bool,
    process_default: bool,
    networks: str,
    version: int,
    by: Author,
) -> bool:
    """Whether anything changed. Mailboxes connected through *Other* work on either way.

    ``networks`` are typed as in ``parse_networks``. Raises RuleError, and ConflictError when
    somebody else saved since ``version``.
    """
    present = settings(session)
    wanted: dict[str, object] = {
        "other_allowed": allowed,
        "other_process_default": process_default,
        "employee_networks": list(parse_networks(networks)),
    }
    changes = {
        field: (getattr(present, field), value)
        for field, value in wanted.items()
        if getattr(present, field) != value
    }
    if not changes:
        return False
    if present.version != version:
        raise ConflictError("settings_changed")
    for field, value in wanted.items():
        setattr(present, field, value)
    present.version += 1
    changelog.record(
        session, by, "settings.other", subject="settings", subject_name="", changes=changes
    )
    return True
