"""What a reply begins with."""

from datetime import UTC, datetime

import pytest

from domain import replies
from domain.messages import Opened
from domain.replies import Draft
from domain.sync.folder import _content, _row
from mail.addresses import parse_recipients
from models import Folder, Mailbox, Message, MessageContent
from tests.mailroom import NOW, fetched, letter, unreadable


def opened(raw: bytes, address: str = "bob@firm.test") -> Opened:
    """A message as Bob opens it, without a database."""
    arrived = fetched(raw, 1)
    return Opened(
        Message(**_row(Folder(id=1, mailbox_id=1), arrived)),
        MessageContent(**_content(1, arrived)),
        Mailbox(address=address),
    )


def reply(raw: bytes, address: str = "bob@firm.test") -> Draft:
    return replies.reply_to(opened(raw, address))


def test_it_goes_to_the_sender_quotes_the_text_and_names_what_it_answers() -> None:
    draft = reply(letter(body="At noon?\n> or later\n", headers={"Message-ID": "<m1@firm.test>"}))
    assert draft.to == "Carol <carol@firm.test>"
    assert draft.subject == "Re: Lunch"
    assert draft.quoted == "> At noon?\n>> or later"
    assert (draft.author, draft.date) == ("Carol", datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
    assert (draft.in_reply_to, draft.references) == ("<m1@firm.test>", ("<m1@firm.test>",))


@pytest.mark.parametrize("subject", ["Re: Lunch", "RE: re: Lunch", "AW: Lunch", "Отв: Lunch"])
def test_a_reply_to_a_reply_says_re_once(subject: str) -> None:
    assert reply(letter(subject)).subject == "Re: Lunch"


def test_it_goes_where_the_sender_wants_replies() -> None:
    draft = reply(letter(headers={"Reply-To": "Team <team@firm.test>, dave@firm.test"}))
    assert draft.to == "Team <team@firm.test>, dave@firm.test"


def test_a_reply_to_ones_own_message_goes_to_its_recipients() -> None:
    raw = letter(sender="Bob <BOB@firm.test>", to="Carol <carol@firm.test>, dave@firm.test")
    assert reply(raw).to == "Carol <carol@firm.test>, dave@firm.test"
    assert reply(raw, "carol@firm.test").to == "Bob <BOB@firm.test>"


def test_a_conversation_keeps_its_thread() -> None:
    raw = letter(
        headers={
            "Message-ID": "<m3@firm.test>",
            "References": "<m1@firm.test> <m2@firm.test>",
            "In-Reply-To": "<m2@firm.test>",
        }
    )
    assert reply(raw).references == ("<m1@firm.test>", "<m2@firm.test>", "<m3@firm.test>")


def test_a_message_that_only_names_what_it_answers_continues_that_thread() -> None:
    raw = letter(headers={"Message-ID": "<m2@firm.test>", "In-Reply-To": "<m1@firm.test>"})
    assert reply(raw).references == ("<m1@firm.test>", "<m2@firm.test>")


def test_a_long_conversation_keeps_its_last_fifty() -> None:
    many = " ".join(f"<m{number}@firm.test>" for number in range(60))
    raw = letter(headers={"Message-ID": "<last@firm.test>", "References": many})
    references = reply(raw).references
    assert len(references) == replies.REFERENCES_MOST
    assert references[-1] == "<last@firm.test>"


@pytest.mark.parametrize(
    "name", ["Smith, John", 'Jo "Ace" Smith', "a@b.example", "Smith (Sales)", "Иван Петров", "a;b"]
)
def test_whatever_a_sender_is_called_the_reply_reaches_the_address(name: str) -> None:
    message = opened(letter())
    message.content.headers["sender"] = [{"name": name, "address": "carol@firm.test"}]
    (to,) = parse_recipients(replies.reply_to(message).to, "to")
    assert to.address == "carol@firm.test"


def test_a_name_that_only_repeats_the_address_is_left_out() -> None:
    assert reply(letter(sender='"carol@firm.test" <carol@firm.test>')).to == "carol@firm.test"


def test_without_a_date_the_day_it_came_is_named() -> None:
    message = opened(letter())
    message.content.headers["date"] = None
    message.message.received_at = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
    assert replies.reply_to(message).date == message.message.received_at


def test_even_an_unreadable_message_can_be_answered() -> None:
    draft = reply(unreadable())
    assert (draft.to, draft.in_reply_to, draft.references) == ("", "", ())
    assert draft.date == NOW
