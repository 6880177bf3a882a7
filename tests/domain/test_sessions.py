"""Signing in and out, and what slows a guessing stranger down."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain import sessions as signing
from domain.errors import NotFoundError, RefusedError
from domain.people import hash_token
from models import Session as SessionRow
from models import SignInAttempt, User
from tests.conftest import PASSWORD

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OFFICE, ELSEWHERE = "192.0.2.1", "192.0.2.99"


def sign_in(
    session: Session,
    login: str = "bob",
    password: str = PASSWORD,
    *,
    address: str = OFFICE,
    now: datetime = NOW,
) -> User | None:
    return signing.sign_in(session, login=login, password=password, address=address, now=now)


def begun(session: Session, person: User, now: datetime = NOW) -> str:
    return signing.begin(session, person, address=OFFICE, user_agent="Firefox", now=now)


def failed(session: Session, count: int, login: str = "bob", address: str = OFFICE) -> None:
    for _ in range(count):
        signing.note_failure(session, login=login, address=address, now=NOW)


def attempts(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(SignInAttempt)) or 0


def test_bob_signs_in_with_his_password_however_he_writes_his_login(
    session: Session, bob: User
) -> None:
    assert sign_in(session, " BOB ") is bob
    assert sign_in(session, password="not this one") is None
    assert sign_in(session, "dave") is None


def test_who_has_no_password_yet_or_is_switched_off_does_not_get_in(
    session: Session, bob: User, carol: User
) -> None:
    bob.password_hash, carol.active = None, False
    session.flush()
    assert sign_in(session, "bob", "") is None
    assert sign_in(session, "bob", "nobody has this password") is None
    assert sign_in(session, "carol") is None


def test_ten_failures_close_the_door_for_that_login_and_no_other(
    session: Session, bob: User, carol: User
) -> None:
    for _ in range(9):
        assert sign_in(session, password="guess") is None
    failed(session, 1)
    with pytest.raises(RefusedError) as refused:
        sign_in(session, address=ELSEWHERE)
    assert (refused.value.field, refused.value.code) == ("login", "too_many_tries")
    assert refused.value.parameters == {"minutes": 15}
    assert sign_in(session, "carol") is carol


def test_the_door_opens_again_after_a_quarter_of_an_hour(session: Session, bob: User) -> None:
    failed(session, 10)
    with pytest.raises(RefusedError):
        sign_in(session, now=NOW + signing.WINDOW - SECOND)
    assert sign_in(session, now=NOW + signing.WINDOW) is bob


def test_who_signs_in_is_forgiven_earlier_failures(session: Session, bob: User) -> None:
    failed(session, 9)
    assert sign_in(session) is bob
    failed(session, 9)
    assert sign_in(session) is bob
    assert attempts(session) == 0


def test_fifty_failures_close_the_door_for_that_address_and_no_other(
    session: Session, bob: User
) -> None:
    for number in range(50):
        failed(session, 1, f"guess-{number}", OFFICE)
    with pytest.raises(RefusedError):
        sign_in(session)
    assert sign_in(session, address=ELSEWHERE) is bob


def test_failures_of_long_ago_are_forgotten(session: Session, bob: User) -> None:
    failed(session, 5)
    later = NOW + signing.WINDOW
    signing.note_failure(session, login="bob", address=OFFICE, now=later)
    assert attempts(session) == 1


def test_a_session_is_found_by_its_token_which_is_kept_nowhere(session: Session, bob: User) -> None:
    token = begun(session, bob)
    found = signing.find(session, token, NOW)
    assert found is not None
    assert (found.user_id, found.token_hash) == (bob.id, hash_token(token))
    assert signing.find(session, f"{token}x", NOW) is None
    assert signing.find(session, found.token_hash, NOW) is None
    assert begun(session, bob) != token


def test_a_session_ends_after_fourteen_idle_days(session: Session, bob: User) -> None:
    token = begun(session, bob)
    assert signing.find(session, token, NOW + timedelta(days=14) - SECOND) is not None
    assert signing.find(session, token, NOW + timedelta(days=14)) is None


def test_a_session_of_somebody_who_is_switched_off_is_over(session: Session, bob: User) -> None:
    token = begun(session, bob)
    bob.active = False
    session.flush()
    assert signing.find(session, token, NOW) is None


def test_what_a_browser_says_of_itself_is_cut(session: Session, bob: User) -> None:
    signing.begin(session, bob, address="a" * 99, user_agent="b" * 999, now=NOW)
    row = session.scalars(select(SessionRow)).one()
    assert (len(row.address), len(row.user_agent)) == (64, 200)


def test_bob_ends_one_session_of_his_and_none_of_carols(
    session: Session, bob: User, carol: User
) -> None:
    here, elsewhere, carols = (
        begun(session, bob),
        begun(session, bob, NOW + SECOND),
        begun(session, carol),
    )
    newest, oldest = signing.of_person(session, bob)
    assert newest.last_seen_at > oldest.last_seen_at
    other = signing.find(session, carols, NOW)
    assert other is not None
    with pytest.raises(NotFoundError):
        signing.end(session, bob, other.id)
    signing.end(session, bob, newest.id)
    assert signing.find(session, elsewhere, NOW) is None
    assert signing.find(session, here, NOW) is not None
    assert signing.find(session, carols, NOW) is not None


def test_all_sessions_end_but_the_one_that_is_named_and_carols(
    session: Session, bob: User, carol: User
) -> None:
    here, elsewhere, carols = begun(session, bob), begun(session, bob), begun(session, carol)
    kept = signing.find(session, here, NOW)
    assert kept is not None
    signing.end_all(session, bob, but=kept.id)
    assert signing.find(session, elsewhere, NOW) is None
    assert signing.find(session, here, NOW) is not None
    signing.end_all(session, bob)
    assert signing.find(session, here, NOW) is None
    assert signing.find(session, carols, NOW) is not None
