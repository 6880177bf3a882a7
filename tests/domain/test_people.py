"""People: the first administrator, adding others, and the links with which they come in."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import passwords, people
from domain.changelog import Author
from domain.errors import NotFoundError, RefusedError
from models import ChangeLogEntry, Invitation, Language, Role, Theme, User
from tests.conftest import PASSWORD

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BY = Author(name="Alice", user_id=None, now=NOW, key=b"k" * 32)
SECOND = timedelta(seconds=1)


def added(session: Session, **changed: str) -> tuple[User, str]:
    values = {"name": "Dave", "login": "dave", **changed}
    return people.add_person(session, role=Role.EMPLOYEE, by=BY, **values)


def set_up(session: Session, code: str, **changed: str) -> User:
    values = {"name": "Alice", "login": "alice", "password": PASSWORD, **changed}
    return people.set_up(session, code=code, by=BY, **values)


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(RefusedError) as caught:
        call()
    return caught.value.field, caught.value.code


def test_the_code_is_readable_and_makes_alice_the_administrator(session: Session) -> None:
    code = people.new_setup_code(session, NOW)
    assert re.fullmatch(r"([A-HJKMNP-Z2-9]{4}-){2}[A-HJKMNP-Z2-9]{4}", code)
    assert people.nobody_yet(session)
    alice = set_up(session, f" {code.lower()} ")
    assert (alice.login, alice.role) == ("alice", Role.ADMINISTRATOR)
    assert passwords.matches(alice.password_hash, PASSWORD)
    assert not people.nobody_yet(session)
    assert session.scalars(select(ChangeLogEntry)).one().action == "people.set_up"
    assert session.scalar(select(Invitation)) is None


def test_the_code_is_kept_as_a_hash_and_only_the_newest_one_counts(session: Session) -> None:
    first, second = people.new_setup_code(session, NOW), people.new_setup_code(session, NOW)
    kept = session.scalars(select(Invitation)).one()
    assert kept.token_hash == people.hash_token(second) != second
    assert refused(lambda: set_up(session, first)) == ("code", "setup_code_wrong")
    assert set_up(session, second).login == "alice"


def test_the_code_lasts_thirty_days(session: Session) -> None:
    code = people.new_setup_code(session, NOW - people.SETUP_CODE_LASTS)
    assert refused(lambda: set_up(session, code)) == ("code", "setup_code_wrong")
    code = people.new_setup_code(session, NOW - people.SETUP_CODE_LASTS + SECOND)
    assert set_up(session, code).login == "alice"


def test_nobody_is_set_up_beside_somebody(session: Session, bob: User) -> None:
    code = people.new_setup_code(session, NOW)
    with pytest.raises(NotFoundError):
        set_up(session, code)


def test_the_code_is_nobodys_link(session: Session, bob: User) -> None:
    code = people.new_setup_code(session, NOW)
    with pytest.raises(NotFoundError):
        people.accept_invitation(session, code, PASSWORD, NOW)


def test_dave_comes_in_once_with_his_link_and_chooses_a_password(session: Session) -> None:
    dave, token = added(session, name=" Dave  Smith ", login=" DAVE ")
    assert (dave.name, dave.login, dave.password_hash) == ("Dave Smith", "dave", None)
    assert people.hash_token(token) == session.scalars(select(Invitation)).one().token_hash
    assert people.invited(session, token, NOW) is dave
    assert people.accept_invitation(session, token, PASSWORD, NOW) is dave
    assert passwords.matches(dave.password_hash, PASSWORD)
    with pytest.raises(NotFoundError):
        people.accept_invitation(session, token, PASSWORD, NOW)


def test_a_link_lasts_seven_days(session: Session) -> None:
    _, token = added(session)
    late = NOW + people.LINK_LASTS
    assert people.invited(session, token, late - SECOND).login == "dave"
    with pytest.raises(NotFoundError):
        people.invited(session, token, late)


def test_a_new_link_ends_the_one_before_and_is_logged_without_its_token(session: Session) -> None:
    dave, first = added(session)
    second = people.new_link(session, dave, BY)
    with pytest.raises(NotFoundError):
        people.invited(session, first, NOW)
    assert people.invited(session, second, NOW) is dave
    entry = session.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.subject) == ("people.new_link", f"person:{dave.id}")
    assert second not in str(entry.changes)


def test_a_link_of_somebody_who_is_switched_off_is_worth_nothing(session: Session) -> None:
    dave, token = added(session)
    dave.active = False
    session.flush()
    with pytest.raises(NotFoundError):
        people.accept_invitation(session, token, PASSWORD, NOW)


def test_a_link_with_a_bad_password_can_be_used_again(session: Session) -> None:
    dave, token = added(session)
    for bad in ("short", "x" * 201, "my name is dave"):
        with pytest.raises(RefusedError) as caught:
            people.accept_invitation(session, token, bad, NOW)
        assert caught.value.field == "password"
    assert dave.password_hash is None
    assert people.accept_invitation(session, token, PASSWORD, NOW) is dave


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"name": "  "}, ("name", "person_name_length")),
        ({"name": "x" * 101}, ("name", "person_name_length")),
        ({"name": "Da\x07ve"}, ("name", "person_name_length")),
        ({"login": ""}, ("login", "login_form")),
        ({"login": "dave smith"}, ("login", "login_form")),
        ({"login": ".dave"}, ("login", "login_form")),
        ({"login": "d" * 101}, ("login", "login_form")),
        ({"login": "дейв"}, ("login", "login_form")),
        ({"login": "BOB"}, ("login", "login_taken")),
    ],
)
def test_what_is_wrong_with_a_new_person_is_said_at_its_field(
    session: Session, bob: User, changed: dict[str, str], wanted: tuple[str, str]
) -> None:
    assert refused(lambda: added(session, **changed)) == wanted
    assert session.scalars(select(User)).all() == [bob]


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("x" * 9, "password_short"),
        ("x" * 201, "password_long"),
        ("long enough BOB", "password_has_login"),
    ],
)
def test_a_password_is_judged_by_its_length_alone_and_by_the_login(
    session: Session, bob: User, password: str, code: str
) -> None:
    before = bob.password_hash
    assert refused(lambda: people.change_password(session, bob, old=PASSWORD, new=password)) == (
        "password",
        code,
    )
    assert bob.password_hash == before


def test_bob_changes_his_password_only_with_the_present_one(session: Session, bob: User) -> None:
    new = "x" * 10
    assert refused(lambda: people.change_password(session, bob, old="wrong", new=new)) == (
        "old",
        "password_wrong",
    )
    people.change_password(session, bob, old=PASSWORD, new=new)
    assert passwords.matches(bob.password_hash, new)
    assert not passwords.matches(bob.password_hash, PASSWORD)


def test_a_password_is_kept_as_a_salted_hash_and_nobody_has_none(
    session: Session, bob: User, carol: User
) -> None:
    assert bob.password_hash is not None
    assert bob.password_hash.startswith("$argon2id$")
    assert bob.password_hash != carol.password_hash
    assert not passwords.matches(None, "nobody has this password")
    assert not passwords.matches("not a hash", PASSWORD)


def test_bob_chooses_language_and_appearance(session: Session, bob: User) -> None:
    people.set_preferences(session, bob, language=Language.RU, theme=Theme.DARK)
    session.refresh(bob)
    assert (bob.language, bob.theme) == (Language.RU, Theme.DARK)
    people.set_preferences(session, bob, language=None, theme=Theme.AUTO)
    session.refresh(bob)
    assert (bob.language, bob.theme) == (None, Theme.AUTO)


def test_everyone_is_listed_by_name_whatever_its_letters(
    session: Session, carol: User, bob: User, alice: User
) -> None:
    added(session, name="aaron", login="aaron")
    assert [one.name for one in people.everyone(session)] == ["aaron", "Alice", "Bob", "Carol"]


def test_somebody_who_does_not_exist_is_not_found(session: Session, bob: User) -> None:
    assert people.find(session, bob.id) is bob
    with pytest.raises(NotFoundError):
        people.find(session, 99999)
