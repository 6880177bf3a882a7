"""Sessions: the cookie, a new one at every sign-in, and all that ends it (OWASP ASVS 5.0, V7)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from time_machine import TimeMachineFixture

from app import create_app
from domain import people
from domain.sessions import IDLE_LASTS, hash_token
from models import Role, User, db
from models import Session as SessionRow
from tests.conftest import FRAGMENT, PASSWORD, SignIn, add, author, settings_in
from tests.mailroom import dump
from tests.security.walk import NOBODY, Walk

pytestmark = pytest.mark.security

COOKIE = "postroom"
RIGHT = {"login": "bob", "password": PASSWORD}
NEW = "staple battery horse"
PAGE = "/profile/"


def is_in(client: FlaskClient) -> bool:
    page, fragment = client.get(PAGE), client.get(PAGE, headers=FRAGMENT)
    assert (page.status_code, fragment.status_code) in {(200, 200), (303, 401)}
    return page.status_code == 200


def cookie_of(client: FlaskClient) -> str:
    found = client.get_cookie(COOKIE)
    assert found is not None
    return found.value


def with_cookie(app: Flask, value: str) -> FlaskClient:
    client = app.test_client()
    client.set_cookie(COOKIE, value)
    return client


def set_cookie(client: FlaskClient) -> "Morsel[str]":
    (header,) = client.post("/sign-in", data=RIGHT).headers.getlist("Set-Cookie")
    (cookie,) = SimpleCookie(header).values()
    return cookie


def serializer(app: Flask) -> URLSafeTimedSerializer:
    found = SecureCookieSessionInterface().get_signing_serializer(app)
    assert found is not None
    return found


def test_the_cookie_is_for_this_host_and_no_script(client: FlaskClient, bob: User) -> None:
    cookie = set_cookie(client)
    assert (cookie.key, cookie["path"], cookie["domain"]) == (COOKIE, "/", "")
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", "")


def test_over_https_it_is_sent_over_https_only_and_set_by_this_host_alone(
    data_folder: Path, bob: User
) -> None:
    app = create_app(replace(settings_in(data_folder), https=True))
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    cookie = set_cookie(client)
    assert (cookie.key, cookie["path"], cookie["domain"]) == (f"__Host-{COOKIE}", "/", "")
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", True)
    assert client.get(PAGE, base_url="https://localhost").status_code == 200
    with app.app_context():
        db.engine.dispose()


def test_the_cookie_holds_a_token_of_256_bits_and_nothing_of_the_person(
    app: Flask, session: Session, bob: User, signed_in: SignIn
) -> None:
    kept = serializer(app).loads(cookie_of(signed_in(bob)))
    assert kept.keys() <= {"_permanent", "_user_id", "_fresh", "csrf_token", "_flashes", "_id"}
    assert len(kept["_user_id"]) == 43  # 32 bytes in Base64
    (row,) = session.scalars(select(SessionRow))
    assert row.token_hash == hash_token(kept["_user_id"]) != kept["_user_id"]


def test_signing_in_takes_nothing_over_from_whoever_held_the_browser(
    app: Flask, session: Session, bob: User, carol: User, signed_in: SignIn
) -> None:
    client = signed_in(carol)
    carols = cookie_of(client)
    with client.session_transaction() as planted:
        planted["planted"], planted["csrf_token"] = "by Carol", "known to Carol"
    client.post("/sign-in", data=RIGHT)
    kept = serializer(app).loads(cookie_of(client))
    assert "planted" not in kept
    assert kept.get("csrf_token") != "known to Carol"
    # The session that was there before has ended, not only been forgotten by this browser.
    assert not is_in(with_cookie(app, carols))
    assert [row.user.login for row in session.scalars(select(SessionRow))] == ["bob"]


def test_each_way_in_begins_a_new_session_and_ends_the_one_before(
    app: Flask, session: Session, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    first = cookie_of(client)
    client.post("/sign-in", data=RIGHT)
    second = cookie_of(client)
    token = people.new_link(session, bob, author())
    session.commit()
    assert client.post(f"/invitation/{token}", data={"password": NEW}).status_code == 303
    assert is_in(client)
    assert len({first, second, cookie_of(client)}) == 3
    assert not is_in(with_cookie(app, first))
    assert not is_in(with_cookie(app, second))


def test_a_failed_sign_in_leaves_the_session_as_it_was(bob: User, signed_in: SignIn) -> None:
    client = signed_in(bob)
    client.post("/sign-in", data={**RIGHT, "password": "wrong"})
    assert is_in(client)


def test_signing_out_ends_it_for_whoever_kept_the_cookie_too(
    app: Flask, session: Session, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    stolen = with_cookie(app, cookie_of(client))
    assert is_in(stolen)
    client.post("/sign-out")
    assert not is_in(stolen)
    assert session.scalars(select(SessionRow)).all() == []


def test_a_changed_password_ends_all_others_and_a_refused_one_ends_none(
    bob: User, signed_in: SignIn
) -> None:
    here, elsewhere = signed_in(bob), signed_in(bob)
    here.post("/profile/password", data={"old": "wrong", "password": NEW})
    assert is_in(elsewhere)
    here.post("/profile/password", data={"old": PASSWORD, "password": NEW})
    assert (is_in(here), is_in(elsewhere)) == (True, False)


def disabled(session: Session, person: User) -> None:
    people.disable(session, session.get_one(User, person.id), author())


def only_switched_off(session: Session, person: User) -> None:
    session.get_one(User, person.id).active = False


def ended(session: Session, person: User) -> None:
    session.execute(delete(SessionRow).where(SessionRow.user_id == person.id))


def idle(session: Session, person: User) -> None:
    for row in session.scalars(select(SessionRow).where(SessionRow.user_id == person.id)):
        row.last_seen_at -= IDLE_LASTS


@pytest.mark.parametrize("happens", [disabled, only_switched_off, ended, idle])
def test_it_ends_at_once_and_for_that_person_alone(
    alice: User,
    bob: User,
    carol: User,
    signed_in: SignIn,
    session: Session,
    happens: Callable[[Session, User], None],
) -> None:
    bobs, carols = signed_in(bob), signed_in(carol)
    assert is_in(bobs)
    happens(session, bob)
    session.commit()
    assert (is_in(bobs), is_in(carols)) == (False, True)


def test_whoever_is_disabled_is_kept_from_every_route_and_the_own_rows(
    app: Flask, session: Session
) -> None:
    walk = Walk(app, session)
    for visit in walk.visits("GET", "HEAD", "POST"):
        if visit.who != NOBODY:
            client = walk.client(visit.who)
            only_switched_off(session, walk.person(visit.who))
            session.commit()
            before = dump(session)
            for headers, codes in (({}, {303, 401}), (FRAGMENT, {401})):
                answer = client.open(
                    visit.path, method=visit.method, data=visit.form, headers=headers
                )
                assert answer.status_code in codes, str(visit)
            assert dump(session) == before, str(visit)


def test_a_session_that_was_ended_is_not_back_when_its_person_is(
    alice: User, bob: User, signed_in: SignIn
) -> None:
    bobs, alices = signed_in(bob), signed_in(alice)
    for verb in ("disable", "enable"):
        assert alices.post(f"/administration/people/{bob.id}/{verb}").status_code == 303
    assert not is_in(bobs)


def test_another_role_counts_in_the_sessions_that_are_open(
    alice: User, bob: User, signed_in: SignIn
) -> None:
    bobs, alices = signed_in(bob), signed_in(alice)
    page = "/administration/people/"
    seen = [bobs.get(page).status_code]
    for role in ("administrator", "employee"):
        alices.post(f"{page}{bob.id}/make-{role}")
        seen.append(bobs.get(page).status_code)
    assert seen == [404, 200, 404]
    assert is_in(bobs)


def test_an_administrator_who_was_one_changes_nothing_any_more(
    alice: User, signed_in: SignIn, session: Session
) -> None:
    dave = add(session, "Dave", Role.ADMINISTRATOR)
    daves = signed_in(dave)
    people.set_role(session, dave, Role.EMPLOYEE, author())
    session.commit()
    assert daves.post(f"/administration/people/{alice.id}/make-employee").status_code == 404
    assert session.get_one(User, alice.id).is_administrator


def test_it_lasts_as_long_as_it_is_used_and_not_for_looking_alone(
    bob: User, signed_in: SignIn, time_machine: TimeMachineFixture
) -> None:
    client, began = signed_in(bob), datetime.now(UTC)
    time_machine.move_to(began + IDLE_LASTS - timedelta(minutes=1), tick=False)
    assert is_in(client)
    time_machine.move_to(began + IDLE_LASTS + timedelta(minutes=1), tick=False)
    assert not is_in(client)


def tampered(value: str) -> dict[str, str]:
    payload, time, signature = value.rsplit(".", 2)
    flipped = ("B" if signature[5] != "B" else "C").join((signature[:5], signature[6:]))
    return {
        "no signature": payload,
        "empty signature": f"{payload}.{time}.",
        "another signature": f"{payload}.{time}.{flipped}",
        "a longer payload": f"{payload}A.{time}.{signature}",
        "another time": f"{payload}.{time[::-1]}.{signature}",
        "nothing": "",
        "dots": "..",
        "not even text": "\x7f\x01",
        "endless": "A" * 4000,
    }


def test_a_cookie_that_was_tampered_with_is_worth_nothing(
    app: Flask, bob: User, signed_in: SignIn
) -> None:
    own = cookie_of(signed_in(bob))
    assert is_in(with_cookie(app, own))
    for how, value in tampered(own).items():
        assert not is_in(with_cookie(app, value)), how


def test_a_cookie_signed_with_another_key_or_naming_nobodys_token_is_worth_nothing(
    app: Flask, session: Session, bob: User, signed_in: SignIn
) -> None:
    kept = serializer(app).loads(cookie_of(signed_in(bob)))
    assert is_in(with_cookie(app, str(serializer(app).dumps(kept))))
    right_key, app.secret_key = app.secret_key, b"of somebody else"
    forged = str(serializer(app).dumps(kept))
    app.secret_key = right_key
    assert not is_in(with_cookie(app, forged))
    (row,) = session.scalars(select(SessionRow))
    for token in (str(bob.id), "bob", row.token_hash, "", "x" * 43):
        value = str(serializer(app).dumps({**kept, "_user_id": token}))
        assert not is_in(with_cookie(app, value)), token


def test_no_other_cookie_lets_anybody_in(app: Flask, bob: User, signed_in: SignIn) -> None:
    token = serializer(app).loads(cookie_of(signed_in(bob)))["_user_id"]
    client = app.test_client()
    for name in ("remember_token", "session", "_user_id"):
        client.set_cookie(name, token)
    assert not is_in(client)
    assert app.test_client().get(f"{PAGE}?_user_id={token}").status_code == 303
