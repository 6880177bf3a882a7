"""Every state of a mailbox has its words, in both languages and in one place."""

from datetime import timedelta

import pytest
from flask import Flask
from flask_babel import force_locale
from sqlalchemy.orm import Session

from models import Mailbox, MailboxState, User
from tests.mailroom import NOW, mailbox_of
from web import mailbox_states
from web.mailbox_states import Remedy

GOES_BY_ITSELF = {MailboxState.WORKING, MailboxState.REMOVING, MailboxState.DISCONNECTED}
NOTHING_WRONG = {MailboxState.WORKING, MailboxState.CONNECTING}


@pytest.fixture
def box(session: Session, bob: User) -> Mailbox:
    return mailbox_of(session, bob)


def said_of(box: Mailbox, state: MailboxState) -> dict[str, str]:
    box.state, box.state_since = state, NOW - timedelta(hours=1)
    said = {"name": mailbox_states.name_of(state)}
    sentence = mailbox_states.sentence_of(box)
    if sentence is not None:
        said["sentence"] = sentence
    if mailbox_states.remedy_of(state) is not None:
        said["notice"] = mailbox_states.notice_of(box)
        said["how far"] = mailbox_states.notice_of(box, received=2, expected=7)
    return said


@pytest.mark.parametrize("state", MailboxState)
def test_every_state_has_its_words_in_both_languages(
    app: Flask, box: Mailbox, state: MailboxState
) -> None:
    with app.test_request_context():
        with force_locale("en"):
            english = said_of(box, state)
        with force_locale("ru"):
            russian = said_of(box, state)
    for what, words in english.items():
        assert words != russian[what], (what, "is not translated")
        assert any("а" <= letter <= "я" for letter in russian[what].lower())
        if what != "name":
            assert "bob@firm.test" in words
            assert "bob@firm.test" in russian[what]
            assert words.endswith(".")
            assert len(words) <= 190


@pytest.mark.parametrize("state", MailboxState)
def test_a_notice_is_one_sentence_with_one_button(
    app: Flask, box: Mailbox, state: MailboxState
) -> None:
    with app.test_request_context():
        said = said_of(box, state)
        assert ("notice" not in said) == (state in GOES_BY_ITSELF)
        assert ("sentence" not in said) == (state in NOTHING_WRONG)
        assert ". " not in said.get("notice", "")
        assert ". " not in said.get("how far", "")


def test_no_two_states_sound_the_same(app: Flask, box: Mailbox) -> None:
    with app.test_request_context():
        assert len(set(mailbox_states.names().values())) == len(MailboxState)
        notices = [said_of(box, state).get("notice") for state in MailboxState]
    told = [notice for notice in notices if notice]
    assert len(set(told)) == len(told)


def test_every_button_has_a_name_of_its_own(app: Flask) -> None:
    with app.test_request_context():
        assert len({remedy.button for remedy in Remedy}) == len(Remedy)


def test_whoever_reads_of_several_states_gets_each_by_its_name(app: Flask) -> None:
    with app.test_request_context():
        names = mailbox_states.names()
        assert names == {state: mailbox_states.name_of(state) for state in MailboxState}
