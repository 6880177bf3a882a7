"""Lists and messages: what a page of mail costs, and to whom it belongs."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session, sessionmaker

from domain import messages
from domain.errors import NotFoundError
from domain.messages import PAGE, Key, Page
from domain.sync import folder, folders
from mail import safe_html
from mail.mime.parse import parse
from models import Folder, Mailbox, Message, MessageContent, User
from tests.mailroom import (
    NOW,
    PNG,
    Attachment,
    fetched,
    inbox_of,
    letter,
    mailbox_of,
    remote_folders,
)


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    """Asks for the people first: this session keeps others from writing."""
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    return mailbox_of(rows, bob)


@pytest.fixture
def inbox(rows: Session, mailbox: Mailbox) -> Folder:
    return inbox_of(rows, mailbox)


def fill(rows: Session, own: Folder, count: int, minutes: Callable[[int], int]) -> None:
    raw = letter()
    batch = [
        fetched(raw, uid, received_at=NOW + timedelta(minutes=minutes(uid)))
        for uid in range(1, count + 1)
    ]
    folder.store(rows, own, batch)


def uids(rows: Session, listed: Page) -> list[int | None]:
    return [rows.get_one(Message, row.id).uid for row in listed.rows]


def read_to_the_end(rows: Session, own: Folder) -> list[list[int | None]]:
    pages = [messages.page(rows, own)]
    while pages[-1].more:
        pages.append(messages.page(rows, own, after=pages[-1].last))
    return [uids(rows, one) for one in pages]


def test_a_list_is_read_in_pages_of_fifty_newest_first(rows: Session, inbox: Folder) -> None:
    fill(rows, inbox, 2 * PAGE + 1, lambda uid: uid)
    pages = read_to_the_end(rows, inbox)
    assert [len(one) for one in pages] == [50, 50, 1]
    assert [uid for one in pages for uid in one] == list(range(101, 0, -1))


def test_a_page_that_is_exactly_full_is_the_last_one(rows: Session, inbox: Folder) -> None:
    fill(rows, inbox, PAGE, lambda uid: uid)
    assert not messages.page(rows, inbox).more


def test_what_came_at_the_same_moment_is_listed_once_each(rows: Session, inbox: Folder) -> None:
    fill(rows, inbox, 120, lambda uid: uid // 80)
    pages = read_to_the_end(rows, inbox)
    assert [uid for one in pages for uid in one] == list(range(120, 0, -1))


def test_what_is_removed_or_arrives_between_two_pages_moves_nothing(
    rows: Session, inbox: Folder
) -> None:
    fill(rows, inbox, 101, lambda uid: uid)
    first = messages.page(rows, inbox)
    assert first.more
    # The last row shown, some before it, one after it; and something new above.
    folder.forget(rows, inbox, [52, 60, 61, 50])
    folder.store(rows, inbox, [fetched(letter("New"), 500, received_at=NOW + timedelta(days=9))])
    second = messages.page(rows, inbox, after=first.last)
    assert uids(rows, second) == [51, *range(49, 0, -1)]
    assert not second.more


def test_a_page_is_read_along_the_index_and_never_sorted(rows: Session, inbox: Folder) -> None:
    fill(rows, inbox, 3 * PAGE, lambda uid: uid)
    key = messages.page(rows, inbox).last
    assert key is not None
    for ask in (
        lambda: messages.page(rows, inbox),
        lambda: messages.page(rows, inbox, after=key),
        lambda: messages.page_until(rows, inbox, key),
    ):
        for plan in plans(rows, ask):
            assert "ix_message_list" in plan, plan
            assert "SEARCH" in plan, plan
            assert "TEMP B-TREE" not in plan, plan
            assert "SCAN" not in plan, plan


def test_a_later_page_begins_at_its_key_and_not_at_the_top(rows: Session, inbox: Folder) -> None:
    fill(rows, inbox, 3 * PAGE, lambda uid: uid)
    key = messages.page(rows, inbox).last
    assert key is not None
    (plan,) = plans(rows, lambda: messages.page(rows, inbox, after=key))
    assert "received_at" in plan, plan


def test_folders_and_the_version_are_answered_without_a_look_at_messages(
    rows: Session, inbox: Folder, bob: User
) -> None:
    for ask in (
        lambda: messages.folders(rows, bob),
        lambda: messages.version(rows, bob),
    ):
        assert plans(rows, ask)
        for plan in plans(rows, ask):
            assert "message" not in plan, plan


def plans(rows: Session, ask: Callable[[], object]) -> list[str]:
    """How SQLite carries out each SELECT of ``ask``."""
    asked: list[tuple[str, object]] = []

    def note(
        _connection: object, _cursor: object, statement: str, parameters: object, *_: object
    ) -> None:
        if statement.lstrip().startswith("SELECT"):
            asked.append((statement, parameters))

    engine = rows.connection().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    connection = rows.connection()
    return [
        " | ".join(
            str(step[3])
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)  # type: ignore[arg-type]
        )
        for sql, parameters in asked
    ]


def test_a_list_that_is_shown_again_reaches_as_far_as_before(rows: Session, inbox: Folder) -> None:
    fill(rows, inbox, 130, lambda uid: uid)
    second = messages.page(rows, inbox, after=messages.page(rows, inbox).last)
    assert second.last is not None
    folder.store(rows, inbox, [fetched(letter("New"), 500, received_at=NOW + timedelta(days=9))])
    again = messages.page_until(rows, inbox, second.last)
    assert uids(rows, again) == [500, *range(130, 30, -1)]
    assert again.last == second.last
    assert again.more


def test_a_list_that_was_read_to_its_end_is_shown_again_to_its_end(
    rows: Session, inbox: Folder
) -> None:
    fill(rows, inbox, 60, lambda uid: uid)
    second = messages.page(rows, inbox, after=messages.page(rows, inbox).last)
    assert second.last is not None
    again = messages.page_until(rows, inbox, second.last)
    assert (len(again.rows), again.more) == (60, False)


def test_a_list_that_is_shown_again_has_at_most_five_hundred_rows(
    rows: Session, inbox: Folder
) -> None:
    fill(rows, inbox, 520, lambda uid: uid)
    again = messages.page_until(rows, inbox, Key(NOW, 1))
    assert len(again.rows) == 500
    assert again.last == Key(again.rows[-1].received_at, again.rows[-1].id)


def test_a_list_of_which_much_was_removed_is_filled_up_to_a_page(
    rows: Session, inbox: Folder
) -> None:
    fill(rows, inbox, 101, lambda uid: uid)
    until = messages.page(rows, inbox).last
    assert until is not None
    folder.forget(rows, inbox, range(60, 102))
    assert uids(rows, messages.page_until(rows, inbox, until)) == list(range(59, 9, -1))


def test_what_has_no_number_yet_stays_listed(rows: Session, inbox: Folder) -> None:
    fill(rows, inbox, 3, lambda uid: uid)
    for row in rows.query(Message):
        row.uid = None
    rows.flush()
    assert len(messages.page(rows, inbox).rows) == 3


def test_bob_finds_his_mail_and_carol_does_not(
    rows: Session, inbox: Folder, mailbox: Mailbox, bob: User, carol: User
) -> None:
    fill(rows, inbox, 1, lambda uid: uid)
    message = rows.query(Message).one()
    opened = messages.find(rows, bob, message.id)
    assert (opened.message, opened.content.text, opened.mailbox) == (message, "At noon?", mailbox)
    assert messages.find_folder(rows, bob, inbox.id) is inbox
    for ask in (
        lambda: messages.find(rows, carol, message.id),
        lambda: messages.find_folder(rows, carol, inbox.id),
        lambda: messages.find(rows, bob, message.id + 1),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert messages.folders(rows, carol) == []
    assert messages.first_folder(rows, carol) is None
    assert messages.version(rows, carol) == 0


def test_mail_opens_with_the_inbox_of_the_first_mailbox(
    rows: Session, mailbox: Mailbox, inbox: Folder, bob: User
) -> None:
    mailbox_of(rows, bob, "info@firm.test")
    assert messages.first_folder(rows, bob) is inbox


def test_the_special_folders_stand_first_each_below_its_mailbox(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    second = mailbox_of(rows, bob, "info@firm.test")
    listed = (("INBOX", None), ("Alpha", None), ("Trash", "trash"), ("Sent", "sent"))
    folders.follow(rows, mailbox.id, remote_folders(*listed))
    shown = messages.folders(rows, bob)
    assert [box for box, _ in shown] == [mailbox, second]
    assert [one.name for one in shown[0][1]] == ["INBOX", "Sent", "Trash", "Alpha"]
    assert {one.mailbox_id for one in shown[1][1]} == {second.id}


def test_html_is_kept_with_the_version_of_what_made_it_harmless(
    rows: Session, inbox: Folder, mailbox: Mailbox
) -> None:
    fill(rows, inbox, 1, lambda uid: uid)
    message = rows.query(Message).one()
    found = messages.without_safe_html(rows, message.id, safe_html.VERSION)
    assert found is not None
    assert (found.message, found.mailbox) == (message, mailbox)
    messages.keep_safe_html(rows, message.id, "<p>x</p>", safe_html.VERSION)
    assert messages.without_safe_html(rows, message.id, safe_html.VERSION) is None
    assert messages.without_safe_html(rows, message.id, safe_html.VERSION + 1) is not None
    assert rows.get_one(MessageContent, message.id).safe_html == "<p>x</p>"


def safe_html_of(raw: bytes) -> str:
    parsed = parse(raw)
    parts = [asdict(part) for part in parsed.parts]
    return messages.safe_html_of(MessageContent(message_id=7, text=parsed.text, parts=parts), raw)


def test_of_the_newest_page_what_has_html_is_prepared_once(
    rows: Session, inbox: Folder, mailbox: Mailbox
) -> None:
    batch = [fetched(letter("plain"), 1), fetched(letter("html", html="<p>x</p>"), 2)]
    folder.store(rows, inbox, batch)
    newest = {message.uid: message.id for message in rows.scalars(select(Message))}
    assert messages.unprepared(rows, mailbox.id, safe_html.VERSION) == [newest[2]]
    messages.keep_safe_html(rows, newest[2], "<p>x</p>", safe_html.VERSION)
    assert messages.unprepared(rows, mailbox.id, safe_html.VERSION) == []
    assert messages.unprepared(rows, mailbox.id, safe_html.VERSION + 1) == [newest[2]]


def test_own_pictures_are_asked_for_at_their_message_and_others_not_at_all() -> None:
    raw = letter(
        html='<p>Look: <img src="cid:logo@firm"><img src="cid:other"><script>alert(1)</script></p>',
        attachments=[Attachment(PNG, "image/png", "logo.png", cid="logo@firm")],
    )
    html = safe_html_of(raw)
    assert html.count("/mail/messages/7/parts/") == 1
    assert "cid:" not in html
    assert "<script" not in html


def test_html_that_is_too_deep_is_shown_as_its_text() -> None:
    html = safe_html_of(letter(body="", html="<b>" * 200_000 + "deep"))
    assert "<b>" not in html
    assert safe_html_of(letter(body="1 < 2")).startswith("1 &lt; 2")


def test_a_folder_of_fifty_thousand_messages_opens_by_reading_one_page(
    rows: Session, inbox: Folder
) -> None:
    rows.execute(
        text(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
            " INSERT INTO message (mailbox_id, folder_id, uid, received_at, message_id,"
            " sender_name, sender_address, recipients, subject, preview, size, seen, flagged,"
            " answered, has_attachments, readable) SELECT :mailbox, :folder, i,"
            " datetime('2020-01-01', '+' || i || ' minutes') || '.000000', '', '', '', '', '', '',"
            " 0, 0, 0, 0, 0, 1 FROM n"
        ),
        {"mailbox": inbox.mailbox_id, "folder": inbox.id},
    )
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    raw = rows.connection().connection.driver_connection
    assert raw is not None
    raw.set_progress_handler(count, 100)
    newest = messages.page(rows, inbox)
    oldest = messages.page(rows, inbox, after=Key(datetime(2020, 1, 10, tzinfo=UTC), 1))
    raw.set_progress_handler(None, 100)
    assert uids(rows, newest)[0] == 50000
    assert len(oldest.rows) == PAGE
    # Some thousand instructions for a page; a sort or a count of the folder takes a million.
    assert steps * 100 < 20_000
