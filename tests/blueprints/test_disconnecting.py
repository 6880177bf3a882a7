"""Giving a mailbox up: what it is about, the choice, and the progress of a removal."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from domain import removal
from domain.disconnecting import disconnect
from models import Mailbox, MailboxState, User
from tests.conftest import FRAGMENT, SignIn
from tests.mailroom import NOW, arrive_many, inbox_of, mailbox_of, many_letters, queued


@pytest.fixture
def mailbox(session: Session, bob: User) -> Mailbox:
    own = mailbox_of(session, bob)
    session.commit()
    return own


@pytest.fixture
def bobs(bob: User, signed_in: SignIn) -> FlaskClient:
    return signed_in(bob)


def page_of(mailbox: Mailbox) -> str:
    return f"/profile/mail/{mailbox.id}/disconnect"


def fill(client: FlaskClient, session: Session, mailbox: Mailbox, count: int) -> None:
    raws, moments = many_letters(count)
    inbox = inbox_of(session, mailbox)
    arrive_many(client.application, session, inbox, raws, received_at=moments)


def state_of(session: Session, mailbox: Mailbox) -> MailboxState:
    session.expire_all()
    return session.get_one(Mailbox, mailbox.id).state


def test_the_numbers_are_said_before_anything_happens(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    fill(bobs, session, mailbox, 3)
    queued(session, mailbox)
    session.commit()
    page = bobs.get(page_of(mailbox)).text
    assert "3 messages received here" in page
    assert "1 message not sent yet" in page
    assert bobs.head(page_of(mailbox)).status_code == 200
    assert state_of(session, mailbox) is MailboxState.WORKING


def test_kept_mail_stays_and_the_list_says_so(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    answer = bobs.post(page_of(mailbox), data={"mail": "keep"}, follow_redirects=True)
    assert "bob@firm.test is disconnected. Its mail is kept." in answer.text
    assert "Connect it again" in answer.text
    assert state_of(session, mailbox) is MailboxState.DISCONNECTED


def test_deleting_leads_to_the_list_that_shows_how_far_it_is(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    fill(bobs, session, mailbox, 2)
    session.commit()
    answer = bobs.post(page_of(mailbox), data={"mail": "delete"}, headers=FRAGMENT)
    assert answer.headers["HX-Redirect"] == "/profile/mail"
    assert state_of(session, mailbox) is MailboxState.REMOVING
    assert "2 messages left" in bobs.get("/profile/mail").text


def test_the_progress_is_told_when_it_changed_and_its_end_loads_the_list(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    fill(bobs, session, mailbox, 2)
    disconnect(session, session.get_one(Mailbox, mailbox.id), keep_mail=False, now=NOW)
    session.commit()
    asked = f"/profile/mail/{mailbox.id}/removing"
    assert bobs.get(f"{asked}?shown=2", headers=FRAGMENT).status_code == 204
    assert "2 messages left" in bobs.get(f"{asked}?shown=5", headers=FRAGMENT).text
    while not removal.finish(session, mailbox.id):
        session.commit()
    session.commit()
    gone = bobs.get(f"{asked}?shown=2", headers=FRAGMENT)
    assert (gone.status_code, gone.headers["HX-Redirect"]) == (404, "/profile/mail")


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
@pytest.mark.parametrize("data", [{}, {"mail": "burn"}])
def test_without_a_choice_nothing_happens(
    session: Session,
    mailbox: Mailbox,
    bobs: FlaskClient,
    headers: dict[str, str],
    data: dict[str, str],
) -> None:
    answer = bobs.post(page_of(mailbox), data=data, headers=headers)
    assert answer.status_code == 422
    assert 'id="mail-error"' in answer.text
    assert ("<html" in answer.text) is not bool(headers)
    assert state_of(session, mailbox) is MailboxState.WORKING


def test_a_disconnected_one_can_only_be_deleted(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    bobs.post(page_of(mailbox), data={"mail": "keep"})
    assert 'value="keep"' not in bobs.get(page_of(mailbox)).text
    assert bobs.post(page_of(mailbox), data={"mail": "keep"}).status_code == 422
    assert bobs.post(page_of(mailbox), data={"mail": "delete"}).status_code == 303
    assert state_of(session, mailbox) is MailboxState.REMOVING


def test_one_that_is_going_is_not_given_up_twice(
    session: Session, mailbox: Mailbox, bobs: FlaskClient
) -> None:
    bobs.post(page_of(mailbox), data={"mail": "delete"})
    answer = bobs.post(page_of(mailbox), data={"mail": "delete"})
    assert answer.status_code == 422
    assert "is being removed. Wait until that is done" in answer.text


def test_carol_gives_up_no_mailbox_of_bobs(
    session: Session, mailbox: Mailbox, carol: User, signed_in: SignIn
) -> None:
    carols = signed_in(carol)
    for headers in ({}, FRAGMENT):
        assert carols.get(page_of(mailbox), headers=headers).status_code == 404
        answer = carols.post(page_of(mailbox), data={"mail": "delete"}, headers=headers)
        assert answer.status_code == 404
        asked = f"/profile/mail/{mailbox.id}/removing"
        assert carols.get(asked, headers=headers).status_code == 404
    assert state_of(session, mailbox) is MailboxState.WORKING
