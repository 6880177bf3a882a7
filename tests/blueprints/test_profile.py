"""The profile: preferences, password, sessions."""

import re
from datetime import UTC, datetime, timedelta

from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from time_machine import TimeMachineFixture

from models import User
from tests.conftest import FRAGMENT, PASSWORD, SignIn


def test_bob_chooses_his_language(bob: User, signed_in: SignIn) -> None:
    client = signed_in(bob)
    client.post("/profile/preferences", data={"language": "RU", "theme": "DARK"})
    page = client.get("/profile/").text
    assert '<html lang="ru" data-bs-theme="dark"' in page
    assert "Профиль" in page


def test_without_a_choice_the_browsers_language_is_used(client: FlaskClient, bob: User) -> None:
    assert "Войти" in client.get("/sign-in", headers={"Accept-Language": "ru,en;q=0.5"}).text
    assert "Sign in" in client.get("/sign-in", headers={"Accept-Language": "de"}).text


def test_a_language_that_does_not_exist_is_refused(bob: User, signed_in: SignIn) -> None:
    answer = signed_in(bob).post("/profile/preferences", data={"language": "XX", "theme": "DARK"})
    assert answer.status_code == 422


def test_a_changed_password_ends_every_other_session(bob: User, signed_in: SignIn) -> None:
    here, elsewhere = signed_in(bob), signed_in(bob)
    wrong = here.post("/profile/password", data={"old": "wrong", "password": "a new long one"})
    assert wrong.status_code == 422
    assert "a new long one" not in wrong.text
    assert "Type it once more" in wrong.text
    here.post("/profile/password", data={"old": PASSWORD, "password": "a new long one"})
    assert here.get("/profile/").status_code == 200
    assert elsewhere.get("/profile/").status_code == 303


def test_bob_ends_a_session_of_his_but_not_carols(
    bob: User, carol: User, signed_in: SignIn
) -> None:
    here, elsewhere, carols = signed_in(bob), signed_in(bob), signed_in(carol)
    page = here.get("/profile/").text
    others = re.findall(r"/profile/sessions/(\d+)/end", page)
    assert here.post(f"/profile/sessions/{others[0]}/end", headers=FRAGMENT).status_code == 200
    assert elsewhere.get("/profile/").status_code == 303
    own = int(others[0])
    assert here.post(f"/profile/sessions/{own + 1}/end").status_code == 404
    assert carols.get("/profile/").status_code == 200


def test_whoever_comes_back_stays_signed_in(
    session: Session, bob: User, signed_in: SignIn, time_machine: TimeMachineFixture
) -> None:
    client = signed_in(bob)
    for days in (10, 20):
        time_machine.move_to(datetime.now(UTC) + timedelta(days=10), tick=False)
        form = {"language": "", "theme": "AUTO"}
        assert client.post("/profile/preferences", data=form).location == "/profile/", days
    time_machine.move_to(datetime.now(UTC) + timedelta(days=15), tick=False)
    assert client.get("/profile/").location.startswith("/sign-in")
