"""Writing, answering and the outbox, as a browser sees them."""

import html
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from email import message_from_bytes
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from domain import disconnecting, outbox
from mail.mime.build import build
from mail.signature import clean_signature
from mail.smtp import RecipientResult, Reply
from models import (
    Folder,
    Mailbox,
    MailboxState,
    Message,
    OutgoingMessage,
    OutgoingState,
    User,
    db,
)
from tests.conftest import FRAGMENT, SignIn
from tests.mailroom import NOW, arrive, dump, inbox_of, letter, mailbox_of, queued, unreadable

NEW = "/mail/new"
CAROL, DAVE, ERIN = "carol@firm.test", "dave@firm.test", "erin@firm.test"
WORKER = uuid.uuid4()
LUNCH = {"Message-ID": "<m2@firm.test>", "References": "<m1@firm.test>"}
HOSTILE = "</textarea><script>alert(1)</script>"


class Woken:
    """Stands where the word to the worker goes out, and keeps it."""

    def __init__(self) -> None:
        self.said: list[int] = []

    def outgoing(self, outgoing_id: int) -> None:
        self.said.append(outgoing_id)


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
def lunch(app: Flask, session: Session, inbox: Folder) -> Message:
    return arrive(app, session, inbox, letter(headers=LUNCH))


@pytest.fixture
def bobs(bob: User, signed_in: SignIn, woken: Woken) -> FlaskClient:
    return signed_in(bob)


@pytest.fixture
def carols(carol: User, signed_in: SignIn, woken: Woken) -> FlaskClient:
    return signed_in(carol)


@pytest.fixture
def typed(mailbox: Mailbox) -> dict[str, str]:
    return {
        "key": str(uuid.uuid4()),
        "mailbox": str(mailbox.id),
        "to": f"Carol <{CAROL}>; {DAVE}",
        "cc": "Frank <frank@firm.test>",
        "bcc": ERIN,
        "subject": " The   plan ",
        "text": "Hello,\r\n\r\nhere it is.\r\n",
    }


@pytest.fixture
def failed(session: Session, mailbox: Mailbox) -> OutgoingMessage:
    """Carol has it, Dave's server does not know him."""
    message = queued(session, mailbox, CAROL, DAVE)
    outbox.claim(session, message.id, WORKER, NOW)
    outbox.start_data(session, message.id, WORKER)
    session.expire_all()
    results = {
        CAROL: RecipientResult(250, "fine", accepted=True),
        DAVE: RecipientResult(550, "<b>nobody</b>", accepted=False),
    }
    outbox.settle(session, message.id, WORKER, results, Reply(250, "queued"), NOW)
    session.commit()
    return message


def the_message(session: Session) -> OutgoingMessage:
    session.expire_all()
    return session.scalars(select(OutgoingMessage)).one()


def none_queued(session: Session) -> bool:
    return session.scalar(select(OutgoingMessage)) is None


def values(page: str) -> dict[str, str]:
    """What stands in the fields of the form."""
    form = page[page.index('<form class="write"') :]
    found = {}
    for name in ("key", "to", "cc", "bcc", "subject"):
        field = re.search(rf'<input[^>]* name="{name}"[^>]*>', form)
        assert field is not None
        value = re.search(r' value="([^"]*)"', field[0])
        found[name] = html.unescape(value[1]) if value else ""
    text = re.search(r'<textarea[^>]* name="text"[^>]*>\r?\n?(.*?)</textarea>', form, re.S)
    chosen = re.search(r'<option[^>]* selected value="(\d+)"', form)
    assert text is not None
    return found | {"text": html.unescape(text[1]), "mailbox": chosen[1] if chosen else ""}


def focused(page: str) -> str:
    """Where a browser without JavaScript puts the focus: at the first that asks for it."""
    asks = re.search(r"<(?:input|select|textarea)\b[^>]* autofocus[^>]*>", page)
    name = re.search(r' name="(\w+)"', asks[0]) if asks else None
    return name[1] if name else ""


def outbox_entry(page: str) -> str | None:
    """The number beside *Outbox* in the list of folders; None without one."""
    entry = re.search(r'<a href="/mail/outbox"[^>]*>.*?</a>', page, re.S)
    assert entry is not None
    number = re.search(r'class="unread number">(\d+)<', entry[0])
    return number[1] if number else None


def same(shown: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return {name: value.replace("\r", "") for name, value in shown.items()} == {
        name: value.replace("\r", "") for name, value in wanted.items()
    }


# A new message


def test_a_new_message_is_empty_and_offers_bobs_mailboxes_only(
    session: Session, mailbox: Mailbox, bob: User, carol: User, bobs: FlaskClient
) -> None:
    mailbox_of(session, bob, "info@firm.test")
    mailbox_of(session, carol)
    page = bobs.get(NEW).text
    assert "Bob &lt;bob@firm.test&gt;" in page
    assert "Bob &lt;info@firm.test&gt;" in page
    assert "carol@firm.test" not in page
    shown = values(page)
    assert [shown[name] for name in ("to", "cc", "bcc", "subject", "text")] == [""] * 5
    assert shown["key"] != values(bobs.get(NEW).text)["key"]


def test_without_a_mailbox_writing_leads_to_connecting_one(bobs: FlaskClient) -> None:
    page = bobs.get(NEW).text
    assert 'href="/profile/mail/connect"' in page
    assert '<form class="write"' not in page
    assert bobs.post(NEW, data={"key": str(uuid.uuid4()), "to": CAROL}).status_code == 422


def test_bob_sends_a_message_without_javascript(
    session: Session, mailbox: Mailbox, bobs: FlaskClient, typed: dict[str, str], woken: Woken
) -> None:
    answer = bobs.post(NEW, data=typed)
    message = the_message(session)
    assert answer.status_code == 303
    assert answer.location == f"/mail/mailboxes/{mailbox.id}"
    assert "It is being sent." in bobs.get("/mail/outbox").text.partition('id="toasts"')[2]
    assert "It is being sent." not in bobs.get("/mail/outbox").text.partition('id="toasts"')[2]
    assert (message.state, message.mailbox_id) == (OutgoingState.QUEUED, mailbox.id)
    assert message.to == [{"name": "Carol", "address": CAROL}, {"name": "", "address": DAVE}]
    assert message.cc == [{"name": "Frank", "address": "frank@firm.test"}]
    assert message.bcc == [{"name": "", "address": ERIN}]
    assert (message.subject, message.text) == ("The plan", "Hello,\n\nhere it is.\n")
    assert (message.in_reply_to, message.references) == ("", [])
    assert str(message.form_key) == typed["key"]
    assert woken.said == [message.id]
    page = bobs.get(answer.location, follow_redirects=True).text
    assert outbox_entry(page) == "1"


def test_bob_sends_a_message_by_htmx(
    session: Session, mailbox: Mailbox, bobs: FlaskClient, typed: dict[str, str], woken: Woken
) -> None:
    answer = bobs.post(NEW, data=typed, headers=FRAGMENT)
    message = the_message(session)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["HX-Redirect"] == f"/mail/mailboxes/{mailbox.id}"
    assert woken.said == [message.id]


WRONG = [
    ({"to": "", "cc": "", "bcc": ""}, "to"),
    ({"to": "carol"}, "to"),
    ({"to": "Carol <carol@>, dave@firm.test"}, "to"),
    ({"to": ", ".join(f"p{n}@firm.test" for n in range(201))}, "to"),
    ({"cc": "frank"}, "cc"),
    ({"bcc": "erin@firm@test"}, "bcc"),
    ({"subject": "x" * 901}, "subject"),
    ({"subject": "a\x07b"}, "subject"),
    ({"text": "x" * 1_000_001}, "text"),
    ({"mailbox": "x"}, "mailbox"),
    ({"mailbox": "999999"}, "mailbox"),
]


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
@pytest.mark.parametrize(("wrong", "field"), WRONG)
def test_what_is_wrong_is_said_at_its_field_and_everything_typed_is_kept(
    session: Session,
    bobs: FlaskClient,
    typed: dict[str, str],
    woken: Woken,
    wrong: dict[str, str],
    field: str,
    headers: dict[str, str],
) -> None:
    sent = {**typed, **wrong}
    answer = bobs.post(NEW, data=sent, headers=headers)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert answer.text.count('class="field-error"') == 1
    assert focused(answer.text) == field
    shown = values(answer.text)
    if field == "mailbox":
        shown["mailbox"] = sent["mailbox"]
    assert same(shown, sent)
    assert none_queued(session)
    assert woken.said == []


def test_the_sentence_names_the_address_that_is_none(
    bobs: FlaskClient, typed: dict[str, str]
) -> None:
    page = bobs.post(NEW, data={**typed, "to": "dave@firm.test, <b>carol</b>"}).text
    assert "is not an e-mail address" in page
    assert "<b>carol</b>" not in page


def test_what_was_typed_into_bcc_is_seen_again(bobs: FlaskClient, typed: dict[str, str]) -> None:
    assert "<details open>" in bobs.post(NEW, data={**typed, "to": "x", "cc": ""}).text
    assert "<details>" in bobs.post(NEW, data={**typed, "to": "x", "cc": "", "bcc": ""}).text


def test_a_form_that_is_sent_twice_queues_once(
    session: Session, bob: User, mailbox: Mailbox, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    second = mailbox_of(session, bob, "info@firm.test")
    once = bobs.post(NEW, data=typed)
    again = bobs.post(NEW, data={**typed, "mailbox": str(second.id)})
    assert once.status_code == again.status_code == 303
    assert once.location == again.location == f"/mail/mailboxes/{mailbox.id}"
    assert the_message(session).mailbox_id == mailbox.id


def test_two_forms_queue_two_messages(
    session: Session, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    for _ in range(2):
        bobs.post(NEW, data={**typed, "key": values(bobs.get(NEW).text)["key"]})
    assert len(session.scalars(select(OutgoingMessage)).all()) == 2


def test_a_forged_key_neither_fails_nor_hides_a_message(
    session: Session, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    for _ in range(2):
        assert bobs.post(NEW, data={**typed, "key": "x"}).status_code == 303
    assert len(session.scalars(select(OutgoingMessage)).all()) == 2


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_carol_does_not_send_from_bobs_mailbox(
    session: Session,
    carol: User,
    carols: FlaskClient,
    typed: dict[str, str],
    headers: dict[str, str],
) -> None:
    mailbox_of(session, carol)
    before = dump(session)
    answer = carols.post(NEW, data=typed, headers=headers)
    assert answer.status_code == 422
    assert 'id="mailbox-error"' in answer.text
    assert "bob@firm.test" not in answer.text
    assert dump(session) == before


def test_bob_chooses_from_which_mailbox_it_goes(
    session: Session, bob: User, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    second = mailbox_of(session, bob, "info@firm.test")
    answer = bobs.post(NEW, data={**typed, "mailbox": str(second.id)})
    message = the_message(session)
    assert (message.mailbox_id, message.sender_address) == (second.id, "info@firm.test")
    landed = bobs.get(answer.location, follow_redirects=True)
    assert landed.request.path == f"/mail/folders/{inbox_of(session, second).id}"


def test_writing_in_a_folder_of_the_second_mailbox_writes_from_it(
    app: Flask, session: Session, mailbox: Mailbox, bob: User, bobs: FlaskClient
) -> None:
    second = mailbox_of(session, bob, "info@firm.test")
    folder = inbox_of(session, second)
    message = arrive(app, session, folder, letter())
    address = f"{NEW}?mailbox={second.id}"
    for page in (f"/mail/folders/{folder.id}", f"/mail/messages/{message.id}"):
        assert f'href="{address}"' in bobs.get(page).text
    page = bobs.get(address).text
    assert values(page)["mailbox"] == str(second.id)
    assert f'href="/mail/mailboxes/{second.id}">Cancel' in page
    assert f'href="{NEW}"' in bobs.get("/mail/outbox").text


@pytest.mark.parametrize("named", ["carols", "999999", "0", "-1", "9" * 5000, "x", ""])
def test_a_mailbox_that_is_not_bobs_is_not_chosen(
    session: Session, mailbox: Mailbox, carol: User, bobs: FlaskClient, named: str
) -> None:
    carols = mailbox_of(session, carol)
    named = str(carols.id) if named == "carols" else named
    answer = bobs.get(NEW, query_string={"mailbox": named})
    assert answer.status_code == 200
    assert "carol@firm.test" not in answer.text
    assert values(answer.text)["mailbox"] == ""
    assert 'href="/mail/">Cancel' in answer.text


def test_nobody_but_the_envelope_learns_of_bcc(
    session: Session, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    bobs.post(NEW, data=typed)
    dispatch = outbox.claim(session, the_message(session).id, WORKER, NOW)
    assert dispatch is not None
    assert dispatch.recipients == (CAROL, DAVE, "frank@firm.test", ERIN)
    raw = build(dispatch.outgoing)
    assert CAROL.encode() in raw
    assert b"erin" not in raw.lower()
    assert b"bcc" not in raw.lower()


def test_a_subject_cannot_carry_a_header_of_its_own(
    session: Session, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    bobs.post(NEW, data={**typed, "subject": "Hello\r\nBcc: mallory@firm.test"})
    message = the_message(session)
    assert message.subject == "Hello Bcc: mallory@firm.test"
    assert b"\r\nBcc:" not in build(outbox.outgoing_of(message))


def test_with_two_wrong_fields_the_first_one_has_the_focus(
    bobs: FlaskClient, typed: dict[str, str]
) -> None:
    assert focused(bobs.get(NEW).text) == "to"
    page = bobs.post(NEW, data={**typed, "bcc": "erin", "cc": "frank", "subject": ""}).text
    assert focused(page) == "cc"


def test_what_was_typed_is_marked_as_unsent_when_it_comes_back(
    bobs: FlaskClient, typed: dict[str, str]
) -> None:
    assert "data-unsent>" in bobs.get(NEW).text
    assert 'data-unsent="typed">' in bobs.post(NEW, data={**typed, "to": "carol"}).text


# A reply


def test_a_reply_is_addressed_titled_and_quoted(
    lunch: Message, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    page = bobs.get(f"/mail/messages/{lunch.id}/reply")
    shown = values(page.text)
    assert page.status_code == 200
    assert shown["to"] == "Carol <carol@firm.test>"
    assert shown["subject"] == "Re: Lunch"
    assert shown["text"].strip() == "On 2 March 2026, 08:00, Carol wrote:\n> At noon?"
    assert shown["mailbox"] == str(mailbox.id)
    assert (shown["cc"], shown["bcc"]) == ("", "")
    assert focused(page.text) == "text"
    assert "<h1>Your reply</h1>" in page.text


def test_a_date_that_no_calendar_reaches_is_quoted_as_the_servers(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    settings = app.extensions["postroom_settings"]
    app.extensions["postroom_settings"] = replace(settings, time_zone=ZoneInfo("Europe/Moscow"))
    headers = {"Date": "Fri, 31 Dec 9999 23:59:00 +0000"}
    message = arrive(app, session, inbox, letter(headers=headers))
    page = bobs.get(f"/mail/messages/{message.id}/reply").text
    assert "On 2 March 2026, 12:00, Carol wrote:" in values(page)["text"]
    assert 'title="Written on 2 March 2026, 12:00"' in bobs.get(f"/mail/messages/{message.id}").text


def test_a_reply_goes_out_of_the_mailbox_that_was_written_to(
    app: Flask, session: Session, mailbox: Mailbox, bob: User, bobs: FlaskClient
) -> None:
    second = mailbox_of(session, bob, "info@firm.test")
    message = arrive(app, session, inbox_of(session, second), letter())
    shown = values(bobs.get(f"/mail/messages/{message.id}/reply").text)
    assert shown["mailbox"] == str(second.id)


def test_a_quote_is_text_whatever_the_message_says(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    raw = letter(HOSTILE, sender=f'"{HOSTILE}" <carol@firm.test>', body=HOSTILE)
    message = arrive(app, session, inbox, raw)
    page = bobs.get(f"/mail/messages/{message.id}/reply").text
    assert "<script>alert" not in page
    assert f"> {HOSTILE}" in values(page)["text"]


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_bob_replies_and_the_conversation_is_kept(
    session: Session,
    lunch: Message,
    bobs: FlaskClient,
    woken: Woken,
    headers: dict[str, str],
) -> None:
    address = f"/mail/messages/{lunch.id}/reply"
    sent = {**values(bobs.get(address).text), "text": "Yes.\r\n"}
    answer = bobs.post(address, data=sent, headers=headers)
    message = the_message(session)
    target = f"/mail/mailboxes/{lunch.mailbox_id}"
    if headers:
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, target)
    else:
        assert (answer.status_code, answer.location) == (303, target)
    assert message.in_reply_to == "<m2@firm.test>"
    assert message.references == ["<m1@firm.test>", "<m2@firm.test>"]
    assert (message.subject, message.text) == ("Re: Lunch", "Yes.\n")
    assert message.to == [{"name": "Carol", "address": "carol@firm.test"}]
    assert woken.said == [message.id]
    raw = build(outbox.outgoing_of(message))
    assert b"\r\nIn-Reply-To: <m2@firm.test>\r\n" in raw
    assert b"\r\nReferences: <m1@firm.test> <m2@firm.test>\r\n" in raw


def test_bob_may_change_everything_of_a_reply_but_what_it_answers(
    session: Session, lunch: Message, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    forged = {"in_reply_to": "<x@evil.test>", "references": "<x@evil.test>"}
    bobs.post(f"/mail/messages/{lunch.id}/reply", data={**typed, **forged})
    message = the_message(session)
    assert (message.subject, message.text) == ("The plan", "Hello,\n\nhere it is.\n")
    assert [one["address"] for one in message.to] == [CAROL, DAVE]
    assert [one["address"] for one in message.bcc] == [ERIN]
    assert message.in_reply_to == "<m2@firm.test>"


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_a_reply_that_is_refused_keeps_what_was_typed_and_not_what_was_prefilled(
    session: Session,
    lunch: Message,
    bobs: FlaskClient,
    typed: dict[str, str],
    headers: dict[str, str],
) -> None:
    sent = {**typed, "to": "carol"}
    answer = bobs.post(f"/mail/messages/{lunch.id}/reply", data=sent, headers=headers)
    assert answer.status_code == 422
    assert 'id="to-error"' in answer.text
    assert same(values(answer.text), sent)
    assert none_queued(session)
    emptied = {**typed, "to": "", "cc": "", "bcc": "", "subject": "", "text": ""}
    answer = bobs.post(f"/mail/messages/{lunch.id}/reply", data=emptied, headers=headers)
    assert answer.status_code == 422
    assert same(values(answer.text), emptied)


def test_a_reply_that_is_sent_twice_queues_once(
    session: Session, lunch: Message, bobs: FlaskClient
) -> None:
    address = f"/mail/messages/{lunch.id}/reply"
    sent = values(bobs.get(address).text)
    for _ in range(2):
        assert bobs.post(address, data=sent).status_code == 303
    assert the_message(session).subject == "Re: Lunch"


def test_an_unreadable_message_can_be_answered_once_somebody_is_named(
    app: Flask, session: Session, inbox: Folder, bobs: FlaskClient
) -> None:
    message = arrive(app, session, inbox, unreadable())
    address = f"/mail/messages/{message.id}/reply"
    sent = values(bobs.get(address).text)
    assert bobs.post(address, data=sent).status_code == 422
    assert bobs.post(address, data={**sent, "to": CAROL}).status_code == 303
    assert (the_message(session).in_reply_to, the_message(session).references) == ("", [])


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_carol_neither_reads_nor_answers_bobs_mail(
    session: Session,
    lunch: Message,
    carol: User,
    carols: FlaskClient,
    typed: dict[str, str],
    headers: dict[str, str],
) -> None:
    own = mailbox_of(session, carol)
    before = dump(session)
    address = f"/mail/messages/{lunch.id}/reply"
    answer = carols.get(address, headers=headers)
    assert answer.status_code == 404
    assert "At noon?" not in answer.text
    sent = {**typed, "mailbox": str(own.id)}
    assert carols.post(address, data=sent, headers=headers).status_code == 404
    assert dump(session) == before


def test_bob_does_not_answer_from_carols_mailbox(
    session: Session, lunch: Message, carol: User, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    sent = {**typed, "mailbox": str(mailbox_of(session, carol).id)}
    answer = bobs.post(f"/mail/messages/{lunch.id}/reply", data=sent)
    assert answer.status_code == 422
    assert 'id="mailbox-error"' in answer.text
    assert none_queued(session)


# The outbox


def test_an_empty_outbox_says_so(mailbox: Mailbox, bobs: FlaskClient) -> None:
    page = bobs.get("/mail/outbox").text
    assert "Nothing waits to be sent." in page
    assert outbox_entry(page) is None


def test_who_has_a_mailbox_finds_the_outbox_before_it_is_needed(
    session: Session, inbox: Folder, mailbox: Mailbox, bobs: FlaskClient, carols: FlaskClient
) -> None:
    address = f"/mail/folders/{inbox.id}"
    assert outbox_entry(bobs.get(address).text) is None
    queued(session, mailbox)
    session.commit()
    page = bobs.get(address).text
    assert outbox_entry(page) == "1"
    assert "A message needs your decision" not in page
    empty = carols.get("/mail/").text
    assert 'href="/mail/outbox"' not in empty
    assert re.search(r'<nav class="section folders" [^>]*hidden>', empty)


def test_a_message_that_failed_is_marked_wherever_bob_is(
    failed: OutgoingMessage, inbox: Folder, bobs: FlaskClient
) -> None:
    page = bobs.get(f"/mail/folders/{inbox.id}").text
    assert 'class="wants-decision" title="A message needs your decision"' in page
    assert 'aria-label="Something here needs your attention"' in page


def test_the_outbox_tells_what_became_of_each_message(
    session: Session, mailbox: Mailbox, failed: OutgoingMessage, bobs: FlaskClient
) -> None:
    waiting = queued(session, mailbox, subject="Still here")
    page = bobs.get("/mail/outbox").text
    assert page.index(f'id="outgoing-{waiting.id}"') < page.index(f'id="outgoing-{failed.id}"')
    waits, broken = page.split(f'id="outgoing-{failed.id}"')
    assert "It is being sent." in waits
    assert "/send-again" not in waits
    assert "It went out, but was refused for some of the recipients." in broken
    assert "550 &lt;b&gt;nobody&lt;/b&gt;" in broken
    assert f'<span class="mono">{DAVE}</span>' in broken
    assert f'<span class="mono">{CAROL}</span>' not in broken
    for verb in ("send-again", "discard"):
        assert f'action="/mail/outbox/{failed.id}/{verb}"' in broken


def test_an_unconfirmed_message_says_that_it_may_have_arrived(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    message = queued(session, mailbox)
    outbox.claim(session, message.id, WORKER, NOW)
    outbox.start_data(session, message.id, WORKER)
    outbox.release(session, NOW)
    page = bobs.get("/mail/outbox").text
    assert "It may have arrived" in page
    assert f'action="/mail/outbox/{message.id}/send-again"' in page


def test_bob_sends_again_without_javascript(
    session: Session, failed: OutgoingMessage, bobs: FlaskClient, woken: Woken
) -> None:
    answer = bobs.post(f"/mail/outbox/{failed.id}/send-again")
    assert (answer.status_code, answer.location) == (303, "/mail/outbox")
    message = the_message(session)
    assert message.state is OutgoingState.QUEUED
    assert list(message.recipients) == [CAROL]
    assert woken.said == [failed.id]


def test_bob_sends_again_in_the_page(
    session: Session, failed: OutgoingMessage, bobs: FlaskClient, woken: Woken
) -> None:
    answer = bobs.post(f"/mail/outbox/{failed.id}/send-again", headers=FRAGMENT)
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div id="outbox">')
    assert "<html" not in answer.text
    assert "It is being sent." in answer.text
    assert outbox_entry(answer.text) == "1"
    assert "A message needs your decision" not in answer.text
    assert 'hx-swap-oob="innerHTML"' in answer.text
    assert "It is sent again." in answer.text
    assert the_message(session).state is OutgoingState.QUEUED
    assert woken.said == [failed.id]


def test_bob_discards_without_javascript(
    session: Session, failed: OutgoingMessage, bobs: FlaskClient, woken: Woken
) -> None:
    answer = bobs.post(f"/mail/outbox/{failed.id}/discard")
    assert (answer.status_code, answer.location) == (303, "/mail/outbox")
    assert the_message(session).state is OutgoingState.SENT
    assert "Nothing waits to be sent." in bobs.get("/mail/outbox").text


def test_bob_discards_in_the_page(
    session: Session, failed: OutgoingMessage, bobs: FlaskClient
) -> None:
    answer = bobs.post(f"/mail/outbox/{failed.id}/discard", headers=FRAGMENT)
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div id="outbox">')
    assert "Discarded." in answer.text
    assert f"outgoing-{failed.id}" not in answer.text
    folders = answer.text.partition('<hx-partial hx-target="#folders"')[2]
    assert outbox_entry(folders) is None
    assert re.search(r'<a href="/mail/outbox" aria-current="page">', folders)
    assert the_message(session).state is OutgoingState.SENT


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
@pytest.mark.parametrize("verb", ["send-again", "discard"])
def test_what_was_decided_in_another_window_is_not_decided_twice(
    session: Session,
    failed: OutgoingMessage,
    bobs: FlaskClient,
    woken: Woken,
    verb: str,
    headers: dict[str, str],
) -> None:
    bobs.post(f"/mail/outbox/{failed.id}/send-again")
    outbox.claim(session, failed.id, WORKER, NOW)
    session.commit()
    before = dump(session)
    answer = bobs.post(f"/mail/outbox/{failed.id}/{verb}", headers=headers)
    assert answer.status_code == 409
    assert "This has changed meanwhile" in answer.text
    if headers:
        assert answer.headers["HX-Reswap"] == "none"
    assert dump(session) == before
    assert woken.said == [failed.id]


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
@pytest.mark.parametrize("verb", ["send-again", "discard"])
def test_carol_decides_nothing_in_bobs_outbox(
    session: Session,
    failed: OutgoingMessage,
    carols: FlaskClient,
    woken: Woken,
    verb: str,
    headers: dict[str, str],
) -> None:
    before = dump(session)
    answer = carols.post(f"/mail/outbox/{failed.id}/{verb}", headers=headers)
    assert answer.status_code == 404
    assert dump(session) == before
    assert woken.said == []
    assert "Nothing waits to be sent." in carols.get("/mail/outbox").text


def test_nothing_is_decided_by_looking(failed: OutgoingMessage, bobs: FlaskClient) -> None:
    for verb in ("send-again", "discard"):
        assert bobs.get(f"/mail/outbox/{failed.id}/{verb}").status_code == 405


def test_an_answer_to_what_was_removed_meanwhile_keeps_what_was_typed(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    typed = {"key": str(uuid.uuid4()), "mailbox": str(mailbox.id), "to": "carol@firm.test"}
    answer = bobs.post("/mail/messages/99999/reply", data={**typed, "text": "At length"})
    assert answer.status_code == 404
    assert "At length" in answer.text
    assert 'action="/mail/new"' in answer.text
    assert none_queued(session)


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_bob_discards_what_waits_but_not_what_is_being_sent(
    session: Session, mailbox: Mailbox, bobs: FlaskClient, headers: dict[str, str]
) -> None:
    message = queued(session, mailbox)
    session.commit()
    address = f"/mail/outbox/{message.id}/discard"
    assert f'action="{address}"' in bobs.get("/mail/outbox").text
    outbox.claim(session, message.id, WORKER, NOW)
    session.commit()
    assert f'action="{address}"' not in bobs.get("/mail/outbox").text
    assert bobs.post(address, headers=headers).status_code == 409
    outbox.release(session, NOW)
    session.commit()
    assert bobs.post(address, headers=headers).status_code in {200, 303}
    assert the_message(session).state is OutgoingState.CANCELLED
    assert "Nothing waits to be sent." in bobs.get("/mail/outbox").text


def test_bob_reads_who_was_refused_and_that_the_others_are_tried_again(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    message = queued(session, mailbox, CAROL, DAVE, ERIN)
    outbox.claim(session, message.id, WORKER, NOW)
    outbox.start_data(session, message.id, WORKER)
    results = {
        CAROL: RecipientResult(250, "fine", accepted=True),
        DAVE: RecipientResult(450, "greylisted", accepted=False),
        ERIN: RecipientResult(550, "unknown", accepted=False),
    }
    outbox.settle(session, message.id, WORKER, results, Reply(250, "queued"), NOW)
    session.commit()
    page = bobs.get("/mail/outbox").text
    assert "Some of the recipients were refused; the others are tried again." in page
    assert re.search(rf"{DAVE}</span>: <q[^>]*>450 greylisted</q> · is tried again", page)
    assert re.search(rf"{ERIN}</span>: <q[^>]*>550 unknown</q> · refused", page)
    assert f'<span class="mono">{CAROL}</span>' not in page


def test_bob_reads_why_smtp_holds_his_message_and_sends_it_again(
    session: Session, mailbox: Mailbox, bobs: FlaskClient, woken: Woken
) -> None:
    message = queued(session, mailbox)
    for _ in range(3):
        outbox.claim(session, message.id, WORKER, NOW)
        note_trouble(session, message, "login_refused")
    outbox.hold_and_release(session)
    session.commit()
    page = bobs.get("/mail/outbox").text
    assert "smtp.firm.test:465 refused login or password." in page
    assert "#icon-triangle-alert" in page
    assert bobs.post(f"/mail/outbox/{message.id}/send-again").status_code == 303
    assert the_message(session).state is OutgoingState.QUEUED
    assert woken.said == [message.id]


def note_trouble(session: Session, message: OutgoingMessage, cause: str) -> None:
    outbox.note_trouble(
        session, message.id, WORKER, cause=cause, words="bye", permanent=False, now=NOW
    )


def test_a_message_that_its_mailbox_holds_says_why_and_cannot_be_sent_again(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    message = queued(session, mailbox)
    mailbox.state = MailboxState.LOGIN_REFUSED
    session.flush()
    outbox.hold_and_release(session)
    session.commit()
    shown = bobs.get("/mail/outbox").text.partition('id="outbox"')[2]
    assert "refuses the login or the password of bob@firm.test." in shown
    assert "It waits until the mailbox works again." in shown
    assert "/send-again" not in shown
    assert bobs.post(f"/mail/outbox/{message.id}/send-again").status_code == 409


def test_a_cause_is_told_in_words(session: Session, mailbox: Mailbox, bobs: FlaskClient) -> None:
    message = queued(session, mailbox)
    outbox.claim(session, message.id, WORKER, NOW)
    note_trouble(session, message, "connection_refused")
    session.commit()
    page = bobs.get("/mail/outbox").text
    assert "smtp.firm.test:465 does not accept connections: the port is closed." in page
    assert "It is tried again by itself." in page


@pytest.mark.parametrize("once", [False, True])
def test_nobody_has_received_it_is_said_only_where_it_is_known(
    session: Session, mailbox: Mailbox, bobs: FlaskClient, *, once: bool
) -> None:
    message = queued(session, mailbox, CAROL)
    if once:
        outbox.claim(session, message.id, WORKER, NOW)
        outbox.start_data(session, message.id, WORKER)
        outbox.release(session, NOW)
        outbox.send_again(session, message, NOW)
    outbox.claim(session, message.id, WORKER, NOW)
    unknown = {CAROL: RecipientResult(550, "unknown", accepted=False)}
    outbox.settle(session, message.id, WORKER, unknown, None, NOW)
    session.commit()
    page = bobs.get("/mail/outbox").text
    assert ("nobody has received it" in page) is not once
    assert ("An earlier try may have arrived" in page) is once


def test_the_texts_of_what_waits_are_loaded_by_no_page_and_the_rest_by_the_outbox_only(
    app: Flask, session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    queued(session, mailbox)
    session.commit()
    said: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *seen: said.append(seen[2]))
        for address, shows in ((NEW, False), ("/mail/outbox", True), ("/mail/changes", False)):
            said.clear()
            assert bobs.get(address).status_code == 200
            asked = " ".join(one for one in said if "outgoing_message" in one)
            assert "count(" in asked
            assert "outgoing_message.text" not in asked
            assert ("outgoing_message.subject" in asked) is shows


# Signatures


def sign(session: Session, mailbox: Mailbox, signature: str) -> None:
    mailbox.signature = clean_signature(signature)
    session.commit()


def test_a_new_message_ends_with_the_signature_of_the_mailbox_it_goes_out_of(
    session: Session, bob: User, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    office = mailbox_of(session, bob, "office@firm.test")
    sign(session, mailbox, "<p>Bob</p>")
    sign(session, office, "<p>The <b>office</b><br>Firm &amp; Sons</p>")
    assert values(bobs.get(NEW).text)["text"] == "\n\n-- \nBob"
    chosen = bobs.get(f"{NEW}?mailbox={office.id}").text
    assert values(chosen)["text"] == "\n\n-- \nThe office\nFirm & Sons"
    office.default_sender, mailbox.default_sender = True, False
    sign(session, mailbox, "")
    assert values(bobs.get(NEW).text)["text"] == "\n\n-- \nThe office\nFirm & Sons"
    assert values(bobs.get(f"{NEW}?mailbox={mailbox.id}").text)["text"] == ""


def test_each_choice_of_from_carries_its_signature(
    session: Session, bob: User, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    mailbox_of(session, bob, "office@firm.test")
    mailbox.sender_name = ""
    sign(session, mailbox, '<p>"Bob" &lt;b&gt;</p><p>Ulm</p>')
    carried = re.findall(r'<option data-signature="([^"]*)"[^>]*>([^<]*)<', bobs.get(NEW).text)
    assert [(html.unescape(one), html.unescape(name)) for one, name in carried] == [
        ('-- \n"Bob" <b>\nUlm', "bob@firm.test"),
        ("", "Bob <office@firm.test>"),
    ]


def test_in_a_reply_the_signature_stands_above_the_quote(
    session: Session, mailbox: Mailbox, lunch: Message, bobs: FlaskClient
) -> None:
    sign(session, mailbox, "<p>Bob</p>")
    text = values(bobs.get(f"/mail/messages/{lunch.id}/reply").text)["text"]
    said = "On 2 March 2026, 08:00, Carol wrote:"
    assert text == f"\n\n-- \nBob\n\n{said}\n> At noon?"
    sign(session, mailbox, "")
    text = values(bobs.get(f"/mail/messages/{lunch.id}/reply").text)["text"]
    assert text == f"\n\n{said}\n> At noon?"


def test_a_reply_keeps_its_mailbox_for_as_long_as_one_can_write_from_it(
    session: Session, bob: User, mailbox: Mailbox, lunch: Message, bobs: FlaskClient
) -> None:
    office = mailbox_of(session, bob, "office@firm.test")
    office.default_sender, mailbox.default_sender = True, False
    sign(session, mailbox, "<p>Bob</p>")
    sign(session, office, "<p>The office</p>")
    address = f"/mail/messages/{lunch.id}/reply"
    kept = values(bobs.get(address).text)
    assert (kept["mailbox"], kept["text"][:10]) == (str(mailbox.id), "\n\n-- \nBob\n")
    disconnecting.disconnect(session, mailbox, keep_mail=True, now=NOW)
    session.commit()
    page = bobs.get(address).text
    assert "bob@firm.test&gt;</option>" not in page
    assert values(page)["text"].startswith("\n\n-- \nThe office\n\nOn ")


def test_what_was_typed_comes_back_without_a_second_signature(
    session: Session, mailbox: Mailbox, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    sign(session, mailbox, "<p>Bob</p>")
    for text in ("", "Hello\r\n\r\n-- \r\nBob"):
        page = bobs.post(NEW, data={**typed, "to": "carol", "text": text}).text
        assert values(page)["text"].replace("\r", "") == text.replace("\r", "")


def test_the_line_before_a_signature_keeps_its_space_on_the_way(
    session: Session, mailbox: Mailbox, bobs: FlaskClient, typed: dict[str, str]
) -> None:
    bobs.post(NEW, data={**typed, "text": "Hello\r\n\r\n-- \r\nBob"})
    sent = message_from_bytes(build(outbox.outgoing_of(the_message(session))))
    body = sent.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.splitlines()[-2:] == [b"-- ", b"Bob"]
