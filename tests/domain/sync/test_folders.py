"""The list of folders follows the server's."""

from collections.abc import Iterator

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from domain.sync import folder, folders
from mail.imap.responses import RemoteFolder
from models import Folder, FolderRole, Mailbox, Message, User
from tests.mailroom import fetched, inbox_of, letter, mailbox_of, remote_folders


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    """Asks for the people first: this session keeps others from writing."""
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    """With INBOX, Sent and Projects."""
    return mailbox_of(rows, bob)


def named(rows: Session, mailbox: Mailbox) -> list[str]:
    found = rows.scalars(select(Folder.name).where(Folder.mailbox_id == mailbox.id))
    return sorted(found)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("INBOX", FolderRole.INBOX),
        ("inbox", FolderRole.INBOX),
        ("Sent Items", FolderRole.SENT),
        ("INBOX/Sent", FolderRole.SENT),
        ("Отправленные", FolderRole.SENT),
        ("Entwürfe", FolderRole.DRAFTS),
        ("Корзина", FolderRole.TRASH),
        ("SPAM", FolderRole.JUNK),
        ("Архив", FolderRole.ARCHIVE),
        ("Projects", None),
        ("Sent to customers", None),
    ],
)
def test_a_folder_has_its_role_by_name_in_many_languages(
    name: str, role: FolderRole | None
) -> None:
    assert folders.roles(remote_folders((name, None))).get(name) is role


def test_what_the_server_says_counts_more_than_a_name() -> None:
    remote = remote_folders(("INBOX", None), ("Sent", None), ("Gesendete Post", "sent"))
    assert folders.roles(remote) == {
        "INBOX": FolderRole.INBOX,
        "Gesendete Post": FolderRole.SENT,
    }


def test_each_role_is_given_once_and_one_that_we_do_not_know_to_nobody() -> None:
    remote = remote_folders(
        ("INBOX", None), ("Trash", None), ("Deleted Items", None), ("All Mail", "all")
    )
    assert folders.roles(remote) == {"INBOX": FolderRole.INBOX, "Trash": FolderRole.TRASH}


def test_a_list_that_is_as_it_was_changes_nothing(rows: Session, mailbox: Mailbox) -> None:
    remote = remote_folders(("INBOX", None), ("Sent", "sent"), ("Projects", None))
    ours, changed = folders.follow(rows, mailbox.id, remote)
    assert not changed
    assert [one.name for one in ours] == ["INBOX", "Sent", "Projects"]


def test_a_new_folder_appears_and_one_that_is_gone_goes_with_its_messages(
    rows: Session, mailbox: Mailbox
) -> None:
    gone = rows.scalars(select(Folder).where(Folder.name == "Projects")).one()
    folder.store(rows, gone, [fetched(letter(), 1)])
    remote = remote_folders(("INBOX", None), ("Sent", "sent"), ("Work", None))
    ours, changed = folders.follow(rows, mailbox.id, remote)
    assert changed
    assert [one.name for one in ours] == ["INBOX", "Sent", "Work"]
    assert named(rows, mailbox) == ["INBOX", "Sent", "Work"]
    assert rows.scalar(select(func.count()).select_from(Message)) == 0


def test_what_a_folder_holds_stays_when_its_role_changes(rows: Session, mailbox: Mailbox) -> None:
    folder.store(rows, inbox_of(rows, mailbox), [fetched(letter(), 1)])
    remote = remote_folders(("INBOX", None), ("Sent", None), ("Projects", "sent"))
    ours, changed = folders.follow(rows, mailbox.id, remote)
    assert changed
    assert [(one.name, one.role, one.total) for one in ours] == [
        ("INBOX", FolderRole.INBOX, 1),
        ("Projects", FolderRole.SENT, 0),
        ("Sent", None, 0),
    ]


def test_a_folder_that_cannot_be_opened_is_marked(rows: Session, mailbox: Mailbox) -> None:
    shelf = RemoteFolder("Projects", "/", frozenset({"\\Noselect"}), None, selectable=False)
    remote = [*remote_folders(("INBOX", None), ("Sent", "sent")), shelf]
    ours, changed = folders.follow(rows, mailbox.id, remote)
    assert changed
    assert [(one.name, one.selectable) for one in ours][-1] == ("Projects", False)


@pytest.mark.parametrize("listed", [(), (("Sent", "sent"),)])
def test_a_list_without_an_inbox_is_not_believed(
    rows: Session, mailbox: Mailbox, listed: tuple[tuple[str, str | None], ...]
) -> None:
    ours, changed = folders.follow(rows, mailbox.id, remote_folders(*listed))
    assert not changed
    assert [one.name for one in ours] == ["INBOX", "Sent", "Projects"]
    assert named(rows, mailbox) == ["INBOX", "Projects", "Sent"]


def test_carols_folders_are_left_alone(rows: Session, mailbox: Mailbox, carol: User) -> None:
    carols = mailbox_of(rows, carol)
    folders.follow(rows, mailbox.id, remote_folders(("INBOX", None)))
    assert named(rows, mailbox) == ["INBOX"]
    assert named(rows, carols) == ["INBOX", "Projects", "Sent"]
