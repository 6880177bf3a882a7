"""The list of folders follows the server's."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from mail.imap.client import RemoteFolder
from models.messages import Folder, FolderRole

# Names that servers and mail programs gave these folders before SPECIAL-USE (RFC 6154).
_NAMES: Mapping[FolderRole, frozenset[str]] = {
    FolderRole.SENT: frozenset(
        {
            "sent", "sent items", "sent messages", "sent mail", "отправленные", "gesendet",
            "gesendete objekte", "gesendete elemente", "envoyés", "éléments envoyés", "enviados",
            "elementos enviados", "inviata", "posta inviata", "wysłane", "надіслані", "verzonden",
        }
    ),
    FolderRole.DRAFTS: frozenset(
        {
            "drafts", "draft", "черновики", "entwürfe", "brouillons", "borradores", "bozze",
            "rascunhos", "wersje robocze", "szkice", "чернетки", "concepten",
        }
    ),
    FolderRole.TRASH: frozenset(
        {
            "trash", "deleted", "deleted items", "deleted messages", "bin", "корзина", "удаленные",
            "удалённые", "papierkorb", "gelöschte objekte", "gelöschte elemente", "corbeille",
            "papelera", "cestino", "lixeira", "kosz", "кошик", "prullenbak",
        }
    ),
    FolderRole.JUNK: frozenset(
        {
            "junk", "spam", "junk e-mail", "junk mail", "bulk mail", "спам", "нежелательная почта",
            "спам и вирусы", "werbung", "unerwünscht", "indésirables", "correo no deseado",
            "posta indesiderata", "ongewenst",
        }
    ),
    FolderRole.ARCHIVE: frozenset(
        {"archive", "archives", "архив", "archiv", "archivio", "archivo", "archiwum", "архів"}
    ),
}  # fmt: skip


def roles(remote: Sequence[RemoteFolder]) -> dict[str, FolderRole]:
    """Which folder has which role: INBOX, then what the server says, then by name; each once."""
    found: dict[FolderRole, str] = {}
    for folder in remote:
        if folder.name.upper() == "INBOX":
            found.setdefault(FolderRole.INBOX, folder.name)
    for folder in remote:
        if folder.role is not None and folder.role in {role.value for role in FolderRole}:
            found.setdefault(FolderRole(folder.role), folder.name)
    for folder in remote:
        by_name = _role_by_name(folder)
        if by_name is not None and folder.name not in found.values():
            found.setdefault(by_name, folder.name)
    return {name: role for role, name in found.items()}


def follow(
    session: Session, mailbox_id: int, remote: Sequence[RemoteFolder]
) -> tuple[list[Folder], bool]:
    """Our rows for the server's folders, INBOX and the special ones first; and what changed.

    A list without INBOX is not believed (RFC 9051, section 5.1: there always is one).
    """
    present = {
        folder.name: folder
        for folder in session.scalars(select(Folder).where(Folder.mailbox_id == mailbox_id))
    }
    if not any(folder.name.upper() == "INBOX" for folder in remote):
        return _in_order(list(present.values())), False
    by_name = roles(remote)
    changed = False
    kept = []
    for folder in remote:
        row = present.pop(folder.name, None)
        if row is None:
            row = Folder(mailbox_id=mailbox_id, name=folder.name, total=0, unread=0)
            session.add(row)
            changed = True
        wanted = (folder.delimiter or "", by_name.get(folder.name), folder.selectable)
        if (row.delimiter, row.role, row.selectable) != wanted:
            row.delimiter, row.role, row.selectable = wanted
            changed = True
        kept.append(row)
    for gone in present.values():
        session.delete(gone)
        changed = True
    session.flush()
    return _in_order(kept), changed


def _role_by_name(folder: RemoteFolder) -> FolderRole | None:
    last = folder.name.rsplit(folder.delimiter, 1)[-1] if folder.delimiter else folder.name
    for role, names in _NAMES.items():
        if last.casefold() in names:
            return role
    return None


def _in_order(folders: list[Folder]) -> list[Folder]:
    order = {role: place for place, role in enumerate(FolderRole)}
    return sorted(
        folders, key=lambda folder: (order.get(folder.role, 99) if folder.role else 99, folder.name)
    )
