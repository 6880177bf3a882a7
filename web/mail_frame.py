"""What stands around every page of Mail."""

from typing import Any

from domain import messages, outbox
from models import db
from models.messages import Folder
from web.viewer import person


def mail_frame(current: Folder | None = None) -> dict[str, Any]:
    """Mailboxes, folders, the outbox, and the version that the page shows."""
    session, me = db.session(), person()
    groups = messages.folders(session, me)
    boxes = [mailbox for mailbox, _ in groups]
    return {
        "groups": groups,
        "mailboxes": boxes,
        "outgoing": outbox.unfinished(session, me),
        "version": sum(mailbox.version for mailbox in boxes),
        "current": current,
    }
