"""Mail: folders, lists and messages, as a browser sees them."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import mailboxes, messages
from domain.sync import folder as folder_sync
from domain.sync import folders
from mail import safe_html
from mail.mime.parse import parse
from mail.server_errors import Cause, MailServerError, Step
from models import FlagChange, Folder, Mailbox, Message, MessageContent, PendingChange, User
from models.source_store import SourceStore
from tests.conftest import FRAGMENT, SignIn
from tests.mailroom import (
    NOW,
    PNG,
    Attachment,
    arrive,
    arrive_many,
    dump,
    inbox_of,
    letter,
    mailbox_of,
    many_letters,
    remote_folders,
    unreadable,
)

HTML = '<p id="marker">Hello <b>Bob</b><script>alert(1)</script><img src="cid:logo@firm"></p>'
LOGO = Attachment(PNG, "image/png", "logo.png", cid="logo@firm")
HOSTILE = "<script>alert(1)</script>"


class Woken:
    """Stands where the word to the worker goes out, and keeps it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []

    def mailbox(self, mailbox_id: int) -> None:
        self.said.append(("mailbox", mailbox_id))

    def prepare(self, message_id: int) -> None:
        self.said.append(("prepare", message_id))


@pytest.fixture
def woken(app: Flask) -> Woken:
    woken = Woken()
    app.extensions["postroom_tasks"] = woken
    return woken


@pytest.fixture
def mailbox(session: Session, bob: User) -> Mailbox:
    return mailbox_of(session, bob)


@pytest.fixture
def inbox(session: Session, mailbox: Mailbox) -> Folder:
    return inbox_of(session, mailbox)


@pytest.fixture
def bobs(bob: User, signed_in: SignIn) -> FlaskClient:
    return signed_in(bob)


@pytest.fixture
def carols(carol: User, signed_in: SignIn) -> FlaskClient:
    return signed_in(carol)


def listed(page: str) -> list[int]:
    """The ids of the rows, from the top."""
    return [int(found) for found in re.findall(r'id="message-(\d+)"', page)]


def subjects(page: str) -> list[str]:
    return re.findall(r'class="subject">([^<]*)<', page)


def unread_of(page: str) -> int:
    """What the inbox says beside its name."""
    listed = page.partition('class="folder-list"')[2]
    shown = re.search(r">Inbox</span>\s*(?:<span class=\"unread number\"[^>]*>(\d+)<)?", listed)
    assert shown is not None
    return int(shown[1] or 0)


def version_of(page: str) -> str:
    found = re.search(r'id="version" name="version" value="(\d+)"', page)
    assert found is not None
    return found[1]


def next_page(page: str) -> str | None:
    found = re.search(r'hx-get="([^"]+/older[^"]*)"', page)
    return None if found is None else found[1]


# Folders and lists


def test_without_a_mailbox_mail_leads_to_connecting_one(bobs: FlaskClient) -> None:
    page = bobs.get("/mail/")
    assert page.status_code == 200
    assert 'href="/profile/mail/connect"' in page.text


def test_the_next_mailbox_is_one_click_away_from_mail(inbox: Folder, bobs: FlaskClient) -> None:
    folders = bobs.get(f"/mail/folders/{inbox.id}").text.partition('class="folder-list"')[2]
    assert 'href="/profile/mail/connect"' in folders.partition("</nav>")[0]


def test_while_the_folders_are_fetched_mail_says_so(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    session.query(Folder).delete()
    page = bobs.get("/mail/").text
    assert "Your mail is on its way" in page
    assert "bob@firm.test" in page


def test_mail_opens_with_the_inbox(inbox: Folder, bobs: FlaskClient) -> None:
    answer = bobs.get("/mail/")
    assert (answer.status_code, answer.location) == (303, f"/mail/folders/{inbox.id}")


def test_a_mailbox_opens_with_its_own_inbox(
    session: Session, bob: User, inbox: Folder, bobs: FlaskClient
) -> None:
    second = mailbox_of(session, bob, "office@firm.test")
    own = inbox_of(session, second)
    assert own.id != inbox.id
    answer = bobs.get(f"/mail/mailboxes/{second.id}")
    assert (answer.status_code, answer.location) == (303, f"/mail/folders/{own.id}")


def test_a_mailbox_whose_folders_are_fetched_is_waited_for_whatever_the_others_have(
    session: Session, bob: User, inbox: Folder, bobs: FlaskClient
) -> None:
    second = mailbox_of(session, bob, "office@firm.test")
    session.query(Folder).filter_by(mailbox_id=second.id).delete()
    page = bobs.get(f"/mail/mailboxes/{second.id}").text
    assert "Your mail is on its way" in page
    assert f'data-until-folders="{second.id}"' in page
    assert f"/mail/folders/{inbox.id}" in page


def test_the_list_shows_who_what_and_the_first_words_newest_first(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    first = arrive(app, session, inbox, letter("Lunch"), seen=True)
    second = arrive(app, session, inbox, letter("Supper"), received_at=NOW + timedelta(minutes=1))
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    assert listed(page) == [second.id, first.id]
    assert subjects(page) == ["Supper", "Lunch"]
    assert page.count("At noon?") == 2
    assert page.count('<span class="who clip">Carol</span>') == 2
    assert page.count("is-unread") == 1
    assert f'id="message-{second.id}"' in page.split("is-unread")[1][:60]


def test_an_empty_folder_says_that_nothing_is_there(inbox: Folder, bobs: FlaskClient) -> None:
    assert "Nothing here." in bobs.get(f"/mail/folders/{inbox.id}").text


def test_what_a_stranger_writes_is_shown_as_text(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    raw = letter(HOSTILE, sender=f'"{HOSTILE}" <carol@firm.test>', body=HOSTILE)
    message = arrive(app, session, inbox, raw)
    for address in (f"/mail/folders/{inbox.id}", f"/mail/messages/{message.id}"):
        page = bobs.get(address).text
        assert HOSTILE not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert HOSTILE not in bobs.get(f"/mail/messages/{message.id}/body").text


def test_the_list_says_when_the_server_cannot_be_reached(
    session: Session, mailbox: Mailbox, inbox: Folder, bobs: FlaskClient
) -> None:
    mailboxes.note_trouble(session, mailbox.id, MailServerError(Step.PORT, Cause.CLOSED), NOW)
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    assert "bob@firm.test cannot be reached just now." in page


def test_a_folder_that_only_holds_others_is_not_offered(
    session: Session, mailbox: Mailbox, inbox: Folder, bobs: FlaskClient
) -> None:
    page = f"/mail/folders/{inbox.id}"
    assert "Projects" in bobs.get(page).text
    session.scalars(select(Folder).where(Folder.name == "Projects")).one().selectable = False
    session.commit()
    assert "Projects" not in bobs.get(page).text


def test_unread_counters_follow_what_arrives_is_read_and_is_removed(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, woken: Woken
) -> None:
    page = f"/mail/folders/{inbox.id}"
    assert unread_of(bobs.get(page).text) == 0
    raws, times = many_letters(3)
    rows = arrive_many(app, session, inbox, raws, received_at=times)
    assert unread_of(bobs.get(page).text) == 3
    bobs.post(f"/mail/messages/{rows[0].id}/seen")
    assert unread_of(bobs.get(page).text) == 2
    bobs.post(f"/mail/messages/{rows[0].id}/unseen")
    assert unread_of(bobs.get(page).text) == 3
    folder_sync.forget(session, inbox, [1, 2])
    assert unread_of(bobs.get(page).text) == 1


# Paging


def test_older_messages_come_page_by_page_until_the_end(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    raws, times = many_letters(120)
    rows = arrive_many(app, session, inbox, raws, received_at=times)
    wanted = [row.id for row in reversed(rows)]
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    seen, pages = listed(page), 1
    while (address := next_page(page)) is not None:
        page = bobs.get(address, headers=FRAGMENT).text
        seen += listed(page)
        pages += 1
    assert (seen, pages) == (wanted, 3)


def test_what_came_at_one_moment_is_shown_once_though_rows_between_are_removed(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    rows = arrive_many(app, session, inbox, [letter()] * 60, received_at=[NOW] * 60)
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    assert listed(page) == [row.id for row in reversed(rows[10:])]
    address = next_page(page)
    assert address is not None
    # The last row that is shown, and one of the next page.
    folder_sync.forget(session, inbox, [11, 9])
    rest = bobs.get(address, headers=FRAGMENT)
    assert listed(rest.text) == [row.id for row in reversed(rows[:10]) if row.uid != 9]
    assert next_page(rest.text) is None


def test_without_javascript_older_messages_are_a_page(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    rows = arrive_many(app, session, inbox, [letter()] * 51, received_at=[NOW] * 51)
    address = next_page(bobs.get(f"/mail/folders/{inbox.id}").text)
    assert address is not None
    page = bobs.get(address)
    assert page.text.startswith("<!doctype html>")
    assert listed(page.text) == [rows[0].id]
    assert 'id="folders"' in page.text


def test_an_older_page_asked_by_htmx_is_rows_only(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    arrive_many(app, session, inbox, [letter()] * 51, received_at=[NOW] * 51)
    address = next_page(bobs.get(f"/mail/folders/{inbox.id}").text)
    assert address is not None
    answer = bobs.get(address, headers=FRAGMENT)
    assert answer.text.lstrip().startswith("<li")
    assert "<html" not in answer.text
    assert "HX-Request-Type" in answer.headers["Vary"]


def test_a_list_goes_on_below_messages_that_are_dated_before_1970(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    times = [datetime(1969, 12, 31, 23, 0, tzinfo=UTC) - timedelta(days=n) for n in range(51)]
    arrive_many(app, session, inbox, [letter()] * 51, received_at=times)
    address = next_page(bobs.get(f"/mail/folders/{inbox.id}").text)
    assert address is not None
    assert len(listed(bobs.get(address, headers=FRAGMENT).text)) == 1


@pytest.mark.parametrize(
    "key",
    ["", ".", "1", "1.", ".1", "x.1", "1.x", "-1.-1", "1.2.3", "².1", f"{'9' * 18}.1", "9" * 40],
)
def test_a_place_in_the_list_that_makes_no_sense_is_not_found(
    inbox: Folder, bobs: FlaskClient, key: str
) -> None:
    answer = bobs.get(f"/mail/folders/{inbox.id}/older", query_string={"after": key})
    assert answer.status_code == 404


# A message


def test_a_message_opens_as_a_page_beside_its_list(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML, attachments=[LOGO]))
    page = bobs.get(f"/mail/messages/{message.id}")
    assert page.text.startswith("<!doctype html>")
    assert "<title>Lunch" in page.text
    assert listed(page.text) == [message.id]
    assert 'class="message"' in page.text
    assert "marker" not in page.text


def test_a_message_says_when_it_was_written_too(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    settings = app.extensions["postroom_settings"]
    app.extensions["postroom_settings"] = replace(settings, time_zone=ZoneInfo("Europe/Moscow"))
    message = arrive(app, session, inbox, letter())
    for headers in ({}, FRAGMENT):
        page = bobs.get(f"/mail/messages/{message.id}", headers=headers).text
        assert 'title="Written on 2 March 2026, 11:00">2 March 2026, 12:00</time>' in page
    undated = arrive(app, session, inbox, letter(headers={"Date": "yesterday"}))
    page = bobs.get(f"/mail/messages/{undated.id}", headers=FRAGMENT).text
    assert ">2 March 2026, 12:00</time>" in page
    assert "Written on" not in page


def test_asked_by_htmx_it_is_the_message_alone_and_holds_none_of_its_html(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML, attachments=[LOGO]))
    answer = bobs.get(f"/mail/messages/{message.id}", headers=FRAGMENT)
    assert answer.text.lstrip().startswith('<article class="message"')
    assert "<html" not in answer.text
    assert listed(answer.text) == []
    assert "marker" not in answer.text
    assert "<b>Bob" not in answer.text


def test_no_fragment_of_mail_holds_the_html_of_a_message(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, woken: Woken
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML, attachments=[LOGO]))
    messages.keep_safe_html(session, message.id, HTML, safe_html.VERSION)
    own = f"/mail/messages/{message.id}"
    answers = [
        bobs.get(own, headers=FRAGMENT),
        bobs.post(f"{own}/seen", headers=FRAGMENT),
        bobs.post(f"{own}/unseen", headers=FRAGMENT),
        bobs.get(f"/mail/changes?version=0&folder={inbox.id}", headers=FRAGMENT),
        bobs.get(f"/mail/folders/{inbox.id}/older?after=9999999999999999.1", headers=FRAGMENT),
        bobs.get(f"{own}/reply", headers=FRAGMENT),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert "marker" not in answer.text
        assert "<b>Bob" not in answer.text


def test_the_message_stands_in_a_frame_that_runs_nothing(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML, attachments=[LOGO]))
    page = bobs.get(f"/mail/messages/{message.id}", headers=FRAGMENT).text
    frame = re.search(r"<iframe[^>]*>", page)
    assert frame is not None
    assert f'sandbox="{safe_html.FRAME_SANDBOX}"' in frame[0]
    assert 'referrerpolicy="no-referrer"' in frame[0]
    assert f'src="/mail/messages/{message.id}/body"' in frame[0]
    assert "allow-scripts" not in frame[0]
    assert "srcdoc" not in frame[0]


def test_the_frames_document_has_a_policy_of_its_own(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML, attachments=[LOGO]))
    answer = bobs.get(f"/mail/messages/{message.id}/body")
    policy = answer.headers["Content-Security-Policy"]
    for rule in (
        "default-src 'none'",
        "img-src 'self'",
        "style-src 'unsafe-inline'",
        "form-action 'none'",
        "base-uri 'none'",
        "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox",
    ):
        assert rule in [one.strip() for one in policy.split(";")]
    assert "script" not in policy
    assert "https:" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.mimetype == "text/html"
    assert "Hello <b>Bob</b>" in answer.text
    assert "script" not in answer.text


def test_a_text_message_is_shown_as_text(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, woken: Woken
) -> None:
    message = arrive(app, session, inbox, letter(body="1 < 2\nsee https://firm.test/\n"))
    page = bobs.get(f"/mail/messages/{message.id}/body").text
    assert "1 &lt; 2<br>" in page
    assert 'href="https://firm.test/"' in page
    assert woken.said == []


def test_own_pictures_of_a_message_are_asked_for_at_the_route_of_its_parts(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    raw = letter(html=HTML, attachments=[LOGO])
    message = arrive(app, session, inbox, raw)
    (picture,) = [part for part in parse(raw).parts if part.is_inline_image]
    with app.test_request_context():
        address = url_for("messages.part", message_id=message.id, path=picture.path)
    content = session.get_one(MessageContent, message.id)
    assert f'src="{address}"' in messages.safe_html_of(content, raw)
    assert f'src="{address}"' in bobs.get(f"/mail/messages/{message.id}/body").text
    answer = bobs.get(address)
    assert (answer.mimetype, answer.data) == ("image/png", PNG)


def test_harmless_html_is_made_by_the_page_once_and_kept_by_the_worker(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, woken: Woken
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML, attachments=[LOGO]))
    address = f"/mail/messages/{message.id}/body"
    assert "Hello <b>Bob</b>" in bobs.get(address).text
    assert woken.said == [("prepare", message.id)]
    messages.keep_safe_html(session, message.id, "<p>kept</p>", safe_html.VERSION)
    assert "<p>kept</p>" in bobs.get(address).text
    assert woken.said == [("prepare", message.id)]
    messages.keep_safe_html(session, message.id, "<p>old</p>", safe_html.VERSION - 1)
    assert "<p>old</p>" not in bobs.get(address).text


# Parts and sources


def the_part(app: Flask, session: Session, inbox: Folder, one: Attachment) -> str:
    raw = letter(attachments=[one])
    message = arrive(app, session, inbox, raw)
    return f"/mail/messages/{message.id}/parts/{parse(raw).parts[-1].path}"


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/gif", "image/webp"])
def test_four_kinds_of_pictures_are_shown(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, kind: str
) -> None:
    answer = bobs.get(the_part(app, session, inbox, Attachment(PNG, kind, "a picture.png")))
    assert (answer.mimetype, answer.data) == (kind, PNG)
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    # A browser's own page around a picture has styles; a picture has nothing else to allow.
    policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert answer.headers.getlist("Content-Security-Policy")[0] == policy


@pytest.mark.parametrize(
    "kind",
    [
        "image/svg+xml",
        "image/avif",
        "text/html",
        "text/plain",
        "application/pdf",
        "application/xhtml+xml",
        "application/javascript",
        "application/octet-stream",
    ],
)
def test_everything_else_is_a_download(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, kind: str
) -> None:
    content = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>\r\n"
    answer = bobs.get(the_part(app, session, inbox, Attachment(content, kind, "a file.svg")))
    assert answer.status_code == 200
    assert answer.data == content
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a file.svg"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_the_body_itself_can_only_be_downloaded(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML))
    answer = bobs.get(f"/mail/messages/{message.id}/parts/2")
    assert b"<script>" in answer.data
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("../../etc/passwd", "passwd"),
        ("Счёт.pdf", "filename*=UTF-8''%D0%A1%D1%87%D1%91%D1%82.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
    ],
)
def test_the_name_of_a_download_is_harmless(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, name: str, saved: str
) -> None:
    one = Attachment(b"x", "application/pdf", name)
    header = bobs.get(the_part(app, session, inbox, one)).headers["Content-Disposition"]
    assert saved in header
    assert ".." not in header
    assert "\u202e" not in header
    assert "%E2%80%AE" not in header


def test_attachments_are_listed_below_the_message_and_own_pictures_are_not(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    invoice = Attachment(b"%PDF" * 500, "application/pdf", "invoice.pdf")
    message = arrive(app, session, inbox, letter(html=HTML, attachments=[LOGO, invoice]))
    page = bobs.get(f"/mail/messages/{message.id}", headers=FRAGMENT).text
    assert "1 attachment" in page
    assert "invoice.pdf" in page
    assert "2 KB" in page
    assert "logo.png" not in page
    (link,) = re.findall(r'href="(/mail/messages/\d+/parts/[\d.]+)" download', page)
    assert bobs.get(link).data == invoice.content


@pytest.mark.parametrize("path", ["9", "0", "1.1.1", "x", "..", "%2e%2e"])
def test_a_part_that_is_not_there_is_not_found(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, path: str
) -> None:
    message = arrive(app, session, inbox, letter())
    assert bobs.get(f"/mail/messages/{message.id}/parts/{path}").status_code == 404


@pytest.mark.parametrize(
    "raw", [letter(html=HTML), unreadable(), b"\x00\xff no header\n\r\r\n.\r\nFrom x\n", b"\n"]
)
def test_the_original_is_downloaded_byte_for_byte(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, raw: bytes
) -> None:
    message = arrive(app, session, inbox, raw)
    answer = bobs.get(f"/mail/messages/{message.id}/source")
    assert answer.data == raw
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f"attachment; filename=message-{message.id}.eml"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_an_unreadable_message_is_listed_and_its_original_offered(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    broken, other = arrive_many(
        app, session, inbox, [unreadable(), letter()], received_at=[NOW, NOW]
    )
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    assert listed(page) == [other.id, broken.id]
    assert subjects(page) == ["Lunch", "This message cannot be read"]
    page = bobs.get(f"/mail/messages/{broken.id}").text
    assert "This message is damaged and cannot be shown" in page
    assert f'href="/mail/messages/{broken.id}/source"' in page
    assert "<iframe" not in page
    frame = bobs.get(f"/mail/messages/{broken.id}/body")
    assert (frame.status_code, "cannot be read" in frame.text) == (200, True)
    assert bobs.get(f"/mail/messages/{broken.id}/parts/1").status_code == 404
    assert bobs.get(f"/mail/messages/{other.id}/body").status_code == 200


def test_a_message_too_large_to_fetch_says_so_and_offers_nothing(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, unreadable())
    message.source_hash = None
    session.commit()
    page = bobs.get(f"/mail/messages/{message.id}").text
    assert "too large to be fetched" in page
    assert "/source" not in page
    assert bobs.get(f"/mail/messages/{message.id}/source").status_code == 404


def test_a_source_that_is_lost_costs_no_more_than_itself(
    app: Flask, session: Session, mailbox: Mailbox, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML))
    store: SourceStore = app.extensions["postroom_store"]
    store.drop_mailbox(mailbox.uuid)
    own = f"/mail/messages/{message.id}"
    assert bobs.get(f"{own}/source").status_code == 404
    assert bobs.get(f"{own}/parts/1").status_code == 404
    assert bobs.get(own).status_code == 200
    assert "At noon?" in bobs.get(f"{own}/body").text


# Reading and unreading


def test_bob_marks_a_message_as_read_without_javascript(
    app: Flask, session: Session, mailbox: Mailbox, inbox: Folder, bobs: FlaskClient, woken: Woken
) -> None:
    message = arrive(app, session, inbox, letter())
    own = f"/mail/messages/{message.id}"
    for verb, seen, change in (
        ("seen", True, FlagChange.SEEN),
        ("unseen", False, FlagChange.UNSEEN),
    ):
        answer = bobs.post(f"{own}/{verb}")
        assert (answer.status_code, answer.location) == (303, own)
        session.expire_all()
        assert (message.seen, inbox.unread) == (seen, 0 if seen else 1)
        assert session.scalars(select(PendingChange)).one().change is change
        assert woken.said.pop() == ("mailbox", mailbox.id)
        page = bobs.get(own).text
        assert ("Mark as unread" in page) is seen
        assert ("is-unread" in page) is not seen


def test_bob_marks_a_message_as_read_in_the_page(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, woken: Woken
) -> None:
    message = arrive(app, session, inbox, letter())
    for verb, unread, button in (("seen", 0, "unseen"), ("unseen", 1, "seen")):
        answer = bobs.post(f"/mail/messages/{message.id}/{verb}", headers=FRAGMENT)
        assert answer.status_code == 200
        assert re.findall(r'<hx-partial hx-target="([^"]+)"', answer.text) == [
            "#folders",
            f"#message-{message.id}",
            "#seen-button",
        ]
        assert "<html" not in answer.text
        assert unread_of(answer.text) == unread
        assert listed(answer.text) == [message.id]
        assert ("is-unread" in answer.text) is (unread == 1)
        assert f'hx-post="/mail/messages/{message.id}/{button}"' in answer.text


def test_what_is_read_already_is_not_told_to_the_server_again(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, woken: Woken
) -> None:
    message = arrive(app, session, inbox, letter(), seen=True)
    before = dump(session)
    assert bobs.post(f"/mail/messages/{message.id}/seen", headers=FRAGMENT).status_code == 200
    assert dump(session) == before
    assert woken.said == []


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
@pytest.mark.parametrize("verb", ["seen", "unseen"])
def test_carol_changes_nothing_of_bobs_mail(
    app: Flask,
    session: Session,
    inbox: Folder,
    carols: FlaskClient,
    woken: Woken,
    verb: str,
    headers: dict[str, str],
) -> None:
    message = arrive(app, session, inbox, letter(), seen=verb == "unseen")
    before = dump(session)
    answer = carols.post(f"/mail/messages/{message.id}/{verb}", headers=headers)
    assert answer.status_code == 404
    assert dump(session) == before
    assert woken.said == []


def test_carol_opens_nothing_of_bobs_mail(
    app: Flask, session: Session, inbox: Folder, carols: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML, attachments=[LOGO]))
    own = f"/mail/messages/{message.id}"
    for address in (
        own,
        f"{own}/body",
        f"{own}/parts/1",
        f"{own}/source",
        f"/mail/folders/{inbox.id}",
        f"/mail/folders/{inbox.id}/older?after=9999999999999999.1",
    ):
        for headers in ({}, FRAGMENT):
            answer = carols.get(address, headers=headers)
            assert answer.status_code == 404, address
            assert "Lunch" not in answer.text


def test_a_message_that_is_gone_looks_like_carols(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter())
    folder_sync.forget(session, inbox, [1])
    assert bobs.get(f"/mail/messages/{message.id}").status_code == 404


def test_opening_is_told_by_a_post_of_its_own_and_only_while_unread(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, woken: Woken
) -> None:
    message = arrive(app, session, inbox, letter())
    own = f"/mail/messages/{message.id}"
    told = f'hx-post="{own}/seen" hx-trigger="load"'
    assert told in bobs.get(own, headers=FRAGMENT).text
    bobs.post(f"{own}/seen", headers=FRAGMENT)
    assert told not in bobs.get(own, headers=FRAGMENT).text


# News


def test_while_nothing_is_newer_the_page_is_told_so_in_no_words(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    arrive(app, session, inbox, letter())
    version = version_of(bobs.get(f"/mail/folders/{inbox.id}").text)
    address = f"/mail/changes?folder={inbox.id}&version={version}"
    answer = bobs.get(address, headers=FRAGMENT)
    assert (answer.status_code, answer.data) == (204, b"")


def test_new_mail_appears_in_the_list_and_in_the_counter(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    first = arrive(app, session, inbox, letter())
    version = version_of(bobs.get(f"/mail/folders/{inbox.id}").text)
    second = arrive(app, session, inbox, letter("Supper"))
    answer = bobs.get(f"/mail/changes?folder={inbox.id}&version={version}", headers=FRAGMENT)
    assert answer.status_code == 200
    assert re.findall(r'<hx-partial hx-target="([^"]+)"', answer.text) == [
        "#folders",
        "#notices",
        "#message-list",
    ]
    assert listed(answer.text) == [second.id, first.id]
    assert unread_of(answer.text) == 2
    assert version_of(answer.text) != version
    assert "<html" not in answer.text
    again = f"/mail/changes?folder={inbox.id}&version={version_of(answer.text)}"
    assert bobs.get(again, headers=FRAGMENT).status_code == 204


def test_what_was_read_in_another_window_is_news(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, woken: Woken
) -> None:
    message = arrive(app, session, inbox, letter())
    version = version_of(bobs.get(f"/mail/folders/{inbox.id}").text)
    bobs.post(f"/mail/messages/{message.id}/seen")
    answer = bobs.get(f"/mail/changes?folder={inbox.id}&version={version}", headers=FRAGMENT)
    assert unread_of(answer.text) == 0
    assert "is-unread" not in answer.text


def test_a_list_that_was_read_further_down_stays_as_long(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    raws, times = many_letters(130)
    arrive_many(app, session, inbox, raws, received_at=times)
    address = next_page(bobs.get(f"/mail/folders/{inbox.id}").text)
    assert address is not None
    until = re.search(r'name="until" value="([^"]+)"', bobs.get(address, headers=FRAGMENT).text)
    assert until is not None
    new = arrive(app, session, inbox, letter("New"), received_at=NOW + timedelta(days=1))
    asked = f"/mail/changes?version=0&folder={inbox.id}&until={until[1]}"
    shown = listed(bobs.get(asked, headers=FRAGMENT).text)
    assert (shown[0], len(shown)) == (new.id, 101)


@pytest.mark.parametrize("shown", [""])
def test_a_page_without_a_list_is_told_of_folders_only(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient, shown: str
) -> None:
    arrive(app, session, inbox, letter())
    answer = bobs.get(
        "/mail/changes", query_string={"version": "0", "folder": shown}, headers=FRAGMENT
    )
    assert answer.status_code == 200
    assert unread_of(answer.text) == 1
    assert "#message-list" not in answer.text


def test_carol_is_told_nothing_of_bobs_folder(
    app: Flask, session: Session, inbox: Folder, carols: FlaskClient
) -> None:
    arrive(app, session, inbox, letter())
    address = f"/mail/changes?version=x&folder={inbox.id}"
    answer = carols.get(address, headers=FRAGMENT)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/mail/")
    assert "Lunch" not in answer.text
    assert "bob@firm.test" not in answer.text
    assert carols.get("/mail/changes?version=0", headers=FRAGMENT).status_code == 204


def test_a_place_that_makes_no_sense_is_no_news(inbox: Folder, bobs: FlaskClient) -> None:
    address = f"/mail/changes?version=x&folder={inbox.id}&until=x"
    assert bobs.get(address, headers=FRAGMENT).status_code == 404


# What a look costs


def test_looking_at_mail_writes_nothing(
    app: Flask, session: Session, mailbox: Mailbox, inbox: Folder, bobs: FlaskClient
) -> None:
    raws, times = many_letters(60)
    arrive_many(app, session, inbox, raws, received_at=times)
    message = arrive(app, session, inbox, letter(html=HTML, attachments=[LOGO]))
    own = f"/mail/messages/{message.id}"
    before = dump(session)
    for address in (
        "/mail/",
        f"/mail/folders/{inbox.id}",
        next_page(bobs.get(f"/mail/folders/{inbox.id}").text) or "",
        own,
        f"{own}/body",
        f"{own}/parts/1",
        f"{own}/source",
        f"{own}/reply",
        "/mail/new",
        "/mail/outbox",
        f"/mail/changes?version=0&folder={inbox.id}",
    ):
        for headers in ({}, FRAGMENT):
            assert bobs.get(address, headers=headers).status_code in (200, 303), address
    assert dump(session) == before


def test_a_look_does_not_wait_for_whoever_writes(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter(html=HTML))
    connection = session.connection()
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        for address in (f"/mail/folders/{inbox.id}", f"/mail/messages/{message.id}/body"):
            assert bobs.get(address).status_code == 200
    finally:
        connection.exec_driver_sql("ROLLBACK")


def test_a_new_folder_of_the_server_stands_in_the_list(
    session: Session, mailbox: Mailbox, inbox: Folder, bobs: FlaskClient
) -> None:
    remote = remote_folders(("INBOX", None), ("Work", None), ("Work/2026", None))
    folders.follow(session, mailbox.id, remote)
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    assert "2026" in page
    assert "Projects" not in page
    assert 'class="depth-1"' in page


def test_the_two_mailboxes_of_bob_stand_below_each_other(
    session: Session, inbox: Folder, bob: User, bobs: FlaskClient
) -> None:
    mailbox_of(session, bob, "info@firm.test")
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    assert page.index("bob@firm.test") < page.index("info@firm.test")
    assert session.scalars(select(Message)).all() == []


def test_an_open_outbox_is_shown_anew_when_something_changed(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    asked = bobs.get("/mail/changes?version=0&outbox=1", headers=FRAGMENT)
    assert 'hx-target="#outbox"' in asked.text
    assert 'hx-target="#outbox"' not in bobs.get("/mail/changes?version=0", headers=FRAGMENT).text


def test_the_last_page_says_how_far_it_reaches_and_offers_no_older_one(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    arrive(app, session, inbox, letter("Only one"))
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    assert 'id="until"' in page
    assert "/older?" not in page


def test_the_open_message_stays_marked_when_new_mail_comes(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, letter("Open"))
    address = f"/mail/changes?version=0&folder={inbox.id}&opened={message.id}"
    changes = bobs.get(address, headers=FRAGMENT).text
    assert changes.count("is-open") == 1


def test_a_message_that_was_removed_elsewhere_does_not_stay_open(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    arrive(app, session, inbox, letter("Stays"))
    address = f"/mail/changes?version=0&folder={inbox.id}&opened=99999"
    assert (
        "This message was moved or deleted elsewhere." in bobs.get(address, headers=FRAGMENT).text
    )


@pytest.mark.parametrize("shown", ["x", "²", "999999", str(10**20)])
def test_whoever_looks_at_a_folder_that_is_not_there_is_led_to_the_inbox(
    inbox: Folder, bobs: FlaskClient, shown: str
) -> None:
    query = {"version": "0", "folder": shown}
    answer = bobs.get("/mail/changes", query_string=query, headers=FRAGMENT)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/mail/")


def test_without_a_worker_the_page_says_that_nothing_is_received(
    app: Flask, inbox: Folder, bobs: FlaskClient
) -> None:
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    assert "worker does not run" not in page
    del app.extensions["postroom_worker_runs"]
    address = f"/mail/changes?version={version_of(page)}&folder={inbox.id}"
    assert "worker does not run" in bobs.get(address, headers=FRAGMENT).text
