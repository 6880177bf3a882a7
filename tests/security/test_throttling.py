"""Whoever guesses is slowed down, and told so."""

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from time_machine import TimeMachineFixture

from domain import connecting, connection_tests, services, sessions
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from models import ConnectionTest, ConnectionTestState, SignInAttempt, User
from tests.conftest import PASSWORD, SignIn

pytestmark = pytest.mark.security

GUESSES = 50
WAIT = "Too many failed tries. Wait 15 minutes, then try again."


@pytest.fixture(autouse=True)
def one_moment(time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(datetime.now(UTC), tick=False)


def test_fifty_guesses_of_one_password_are_slowed_down_and_told_so(
    client: FlaskClient, session: Session, bob: User, carol: User
) -> None:
    typed = [{"login": "bob", "password": f"guess {number}"} for number in range(GUESSES)]
    answers = [client.post("/sign-in", data=one) for one in typed]
    codes = [answer.status_code for answer in answers]
    looked_at = sessions.TRIES_PER_LOGIN
    assert codes == [422] * looked_at + [429] * (GUESSES - looked_at)
    assert all((WAIT in answer.text) == (answer.status_code == 429) for answer in answers)
    assert session.scalar(select(func.count()).select_from(SignInAttempt)) == looked_at
    # Bob's own word is not looked at either, or guessing would go on; Carol is not held up.
    right = {"login": "bob", "password": PASSWORD}
    assert client.post("/sign-in", data=right).status_code == 429
    assert client.post("/sign-in", data={**right, "login": " BOB "}).status_code == 429
    assert client.post("/sign-in", data={**right, "login": "carol"}).status_code == 303


def test_fifty_logins_tried_from_one_address_are_slowed_down_and_told_so(
    client: FlaskClient, bob: User
) -> None:
    codes = []
    for number in range(GUESSES):
        typed = {"login": f"guess{number}", "password": PASSWORD}
        codes.append(client.post("/sign-in", data=typed).status_code)
    assert codes == [422] * sessions.TRIES_PER_ADDRESS
    right = {"login": "bob", "password": PASSWORD}
    answer = client.post("/sign-in", data=right)
    assert (answer.status_code, WAIT in answer.text) == (429, True)
    # Who says that another address stands behind it is not believed.
    headers = {"X-Forwarded-For": "10.1.2.3", "Forwarded": "for=10.1.2.3", "X-Real-IP": "10.1.2.3"}
    assert client.post("/sign-in", data=right, headers=headers).status_code == 429
    elsewhere = {"REMOTE_ADDR": "10.1.2.3"}
    assert client.post("/sign-in", data=right, environ_base=elsewhere).status_code == 303


def test_it_is_over_after_a_quarter_of_an_hour(
    client: FlaskClient, bob: User, time_machine: TimeMachineFixture
) -> None:
    began = datetime.now(UTC)
    for _ in range(sessions.TRIES_PER_LOGIN):
        client.post("/sign-in", data={"login": "bob", "password": "guess"})
    right = {"login": "bob", "password": PASSWORD}
    time_machine.move_to(began + sessions.WINDOW - sessions.SEEN_STEP, tick=False)
    assert client.post("/sign-in", data=right).status_code == 429
    time_machine.move_to(began + sessions.WINDOW, tick=False)
    assert client.post("/sign-in", data=right).status_code == 303


def test_fifty_wrong_tries_of_a_mailbox_are_slowed_down_and_told_so(
    session: Session, bob: User, carol: User, signed_in: SignIn
) -> None:
    service = str(services.choosable(session)[0].id)
    typed = {"service": service, "login": "colleague", "address": "bob@gmail.com"}
    client, carols = signed_in(bob), signed_in(carol)
    begun, told = 0, 0
    for number in range(GUESSES):
        form = {**typed, "password": f"guess {number}"}
        answer = client.post("/profile/mail/connect", data=form)
        begun += answer.status_code == 303
        told += answer.status_code in {422, 429} and WAIT in answer.text
        refuse_all(session)
    assert (begun, told) == (connecting.TRIES_MOST, GUESSES - connecting.TRIES_MOST)
    form = {**typed, "password": "right", "address": "carol@gmail.com"}
    assert carols.post("/profile/mail/connect", data=form).status_code == 303


def refuse_all(session: Session) -> None:
    """As the mail server does with a wrong password."""
    wrong = MailServerError(Step.LOGIN, Cause.LOGIN_REFUSED)
    waiting = select(ConnectionTest.id).where(ConnectionTest.state == ConnectionTestState.WAITING)
    for test in session.scalars(waiting).all():
        connection_tests.fail(session, test, Protocol.IMAP, wrong)
    session.commit()
