"""What every row of a list needs, found once and not once for each row."""

from dataclasses import dataclass

from flask import url_for
from flask_babel import gettext as _

from models.messages import Folder, FolderRole
from web.clock import Clock, clock

_OUTGOING = (FolderRole.SENT, FolderRole.DRAFTS)


@dataclass(frozen=True)
class RowFace:
    """``prefix`` is the address of a message without its id; ``opened`` the id of the one that is
    shown, 0 for none; in an ``outgoing`` folder rows name the recipients."""

    prefix: str
    opened: int
    outgoing: bool
    clock: Clock
    unread: str
    unknown: str
    unreadable: str
    no_subject: str


def row_face(folder: Folder, opened: int = 0) -> RowFace:
    return RowFace(
        prefix=url_for("messages.show", message_id=0)[:-1],
        opened=opened,
        outgoing=folder.role in _OUTGOING,
        clock=clock(),
        unread=_("unread"),
        unknown=_("(unknown sender)"),
        unreadable=_("This message cannot be read"),
        no_subject=_("(no subject)"),
    )
