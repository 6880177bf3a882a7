"""What stands around every page of Mail."""

from typing import Any

from domain import mailboxes, messages, outbox
from models import db
from models.messages import Folder
from web.viewer import person


def mail_frame(current: Folder | None = None) -> dict[str, Any]:
    """Mailboxes, folders, the outbox, and the version that the page shows."""
    session, me = db.session(), person()
    return {
        "groups": messages.folders(session, me),
        "mailboxes": mailboxes.connected(session, me),
        "outgoing": outbox.unfinished(session, me),
        "version": messages.version(session, me),
        "current": current,
    }
