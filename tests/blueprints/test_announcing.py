"""What an open page announces of new mail."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from domain import announcing
from models import Folder, Mailbox, MailboxState, User
from tests.conftest import FRAGMENT, SignIn
from tests.mailroom import arrive, inbox_of, letter, mailbox_of


@pytest.fixture
def mailbox(session: Session, bob: User) -> Mailbox:
    own = mailbox_of(session, bob)
    own.notifies = True
    session.commit()
    return own


@pytest.fixture
def bobs(bob: User, signed_in: SignIn) -> FlaskClient:
    return signed_in(bob)


def comes(
    client: FlaskClient, session: Session, folder: Folder, subject: str, **how: object
) -> None:
    moment = how.pop("received_at", datetime.now(UTC))
    raw = letter(subject)
    arrive(client.application, session, folder, raw, received_at=moment, **how)  # type: ignore[arg-type]
    session.commit()


def told(client: FlaskClient, after: str) -> list[tuple[str, str]]:
    """Titles and texts of what is announced."""
    asked = {"version": "0", "announced": after}
    page = client.get("/mail/changes", query_string=asked, headers=FRAGMENT).text
    return re.findall(r'data-title="([^"]*)" data-body="([^"]*)"', page)


def shown_until(client: FlaskClient) -> str:
    page = client.get("/mail/", follow_redirects=True).text
    found = re.search(r'name="announced" value="(\d+)"', page)
    assert found is not None
    assert "data-announce" not in page
    return found[1]


def test_new_mail_is_announced_with_sender_and_subject_once(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    comes(bobs, session, inbox_of(session, mailbox), "Was there before")
    until = shown_until(bobs)
    comes(bobs, session, inbox_of(session, mailbox), "Lunch")
    ((title, text),) = told(bobs, until)
    assert (title, text) == ("Carol", "Lunch")
    assert told(bobs, str(announcing.newest(session))) == []


def test_old_mail_of_a_new_mailbox_read_mail_and_other_folders_are_no_news(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    until = shown_until(bobs)
    inbox = inbox_of(session, mailbox)
    old = datetime.now(UTC) - announcing.FRESH - timedelta(seconds=5)
    comes(bobs, session, inbox, "Old", received_at=old)
    comes(bobs, session, inbox, "Read", seen=True)
    others = [one for one in session.query(Folder) if one.id != inbox.id]
    comes(bobs, session, others[0], "Elsewhere")
    assert told(bobs, until) == []


def test_many_are_announced_as_one(session: Session, mailbox: Mailbox, bobs: FlaskClient) -> None:
    until = shown_until(bobs)
    for number in range(announcing.AT_ONCE + 1):
        comes(bobs, session, inbox_of(session, mailbox), f"Number {number}")
    assert told(bobs, until) == [("Postroom", "More than 5 new messages")]


def test_who_did_not_ask_for_it_is_told_nothing(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    mailbox.notifies = False
    session.commit()
    assert 'id="announced"' not in bobs.get("/mail/", follow_redirects=True).text
    comes(bobs, session, inbox_of(session, mailbox), "Lunch")
    assert told(bobs, "0") == []


def test_of_two_mailboxes_only_the_one_that_notifies_does(
    session: Session, mailbox: Mailbox, bob: User, bobs: FlaskClient
) -> None:
    quiet = mailbox_of(session, bob, "office@firm.test")
    comes(bobs, session, inbox_of(session, quiet), "Quiet")
    comes(bobs, session, inbox_of(session, mailbox), "Loud")
    assert [text for _, text in told(bobs, "0")] == ["Loud"]


def test_a_disconnected_mailbox_and_somebody_elses_announce_nothing(
    session: Session, mailbox: Mailbox, bobs: FlaskClient, carol: User, signed_in: SignIn
) -> None:
    carols = mailbox_of(session, carol)
    carols.notifies = True
    comes(bobs, session, inbox_of(session, mailbox), "For Bob")
    assert [text for _, text in told(bobs, "0")] == ["For Bob"]
    assert told(signed_in(carol), "0") == []
    mailbox.state = MailboxState.DISCONNECTED
    session.commit()
    assert told(bobs, "0") == []


@pytest.mark.parametrize("after", ["", "x", "-1", "1" * 30, "²"])
def test_what_is_no_number_announces_nothing(
    session: Session, mailbox: Mailbox, bobs: FlaskClient, after: str
) -> None:
    comes(bobs, session, inbox_of(session, mailbox), "Lunch")
    assert told(bobs, after) == []
