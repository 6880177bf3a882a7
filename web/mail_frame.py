"""What stands around every page of Mail."""

from functools import partial
from typing import Any

from domain import announcing, messages, outbox
from models import db
from models.messages import Folder
from web.house import worker_runs
from web.notices import notices_of
from web.viewer import person


def shown_version(version: int) -> str:
    """What an open page names when it asks for changes; a worker that stops is one."""
    return str(version) if worker_runs() else f"{version}-stopped"


def mail_frame(current: Folder | None = None) -> dict[str, Any]:
    """Mailboxes, folders, the outbox, and the version that the page shows.

    ``announced`` is the newest message that is none of the news, None where nobody wants any.
    What waits in the outbox is loaded by the one page that lists it: it calls ``outgoing``.
    """
    session, me = db.session(), person()
    groups = messages.folders(session, me)
    boxes = [mailbox for mailbox, _ in groups]
    notifies = any(mailbox.notifies for mailbox in boxes)
    return {
        "announced": announcing.newest(session) if notifies else None,
        "at_once": announcing.AT_ONCE,
        "groups": groups,
        "mailboxes": boxes,
        "outbox": outbox.waiting(session, me),
        "outgoing": partial(outbox.unfinished, session, me),
        "version": shown_version(sum(mailbox.version for mailbox in boxes)),
        "notices": notices_of(me),
        "current": current,
    }
