"""People: the first administrator, adding others, links to come in with, and who may come in."""

import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import mailboxes, outbox, passwords, people, removal
from domain import sessions as signing
from domain.changelog import Author
from domain.errors import ConflictError, NotFoundError, RefusedError
from domain.people import Listed
from models import (
    ChangeLogEntry,
    Invitation,
    Language,
    Mailbox,
    MailboxState,
    OutgoingMessage,
    OutgoingState,
    Role,
    Theme,
    User,
)
from models.outbox import HELD_LONG
from tests.conftest import PASSWORD, add
from tests.mailroom import RING, dump, mailbox_of, queued

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BY = Author(name="Alice", user_id=None, now=NOW, key=b"k" * 32)
SECOND = timedelta(seconds=1)
TWO_DAYS = timedelta(days=2)
WORKER = uuid.uuid4()


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
    assert people.find_by_login(session, " BOB ") is bob
    with pytest.raises(NotFoundError):
        people.find(session, 99999)
    with pytest.raises(NotFoundError):
        people.find_by_login(session, "bo")


# Disabling and enabling


@pytest.fixture
def rows(sessions: sessionmaker[Session], alice: User, bob: User, carol: User) -> Iterator[Session]:
    """As the web and runners write: with foreign keys, each transaction from its beginning."""
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    return mailbox_of(rows, bob)


def by(person: User) -> Author:
    return replace(BY, name=person.name, user_id=person.id)


def here(rows: Session, person: User) -> User:
    return rows.get_one(User, person.id)


def disabled(rows: Session, person: User) -> User:
    found = here(rows, person)
    assert people.disable(rows, found, BY)
    return found


def enabled(rows: Session, person: User, now: datetime) -> None:
    assert people.enable(rows, here(rows, person), replace(BY, now=now))


def state_of(rows: Session, message: OutgoingMessage) -> OutgoingState:
    rows.refresh(message)
    return message.state


def newest_entry(rows: Session) -> ChangeLogEntry:
    return rows.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id.desc())).first() or (
        pytest.fail("nothing was logged")
    )


def logged(rows: Session) -> tuple[str, str, str, dict[str, object]]:
    entry = newest_entry(rows)
    return entry.action, entry.subject, entry.subject_name, entry.changes


def test_disabling_ends_every_session_of_bob_and_of_nobody_else(
    rows: Session, alice: User, bob: User
) -> None:
    tokens = [
        signing.begin(rows, here(rows, person), address="", user_agent="", now=NOW)
        for person in (bob, bob, alice)
    ]
    found = disabled(rows, bob)
    assert [signing.find(rows, token, NOW) is not None for token in tokens] == [False, False, True]
    assert signing.of_person(rows, found) == []
    enabled(rows, bob, NOW)
    assert signing.find(rows, tokens[0], NOW) is None
    assert logged(rows) == ("people.enable", f"person:{bob.id}", "Bob", {"active": [False, True]})


def test_who_is_disabled_cannot_sign_in_and_can_with_the_same_password_afterwards(
    rows: Session, bob: User
) -> None:
    disabled(rows, bob)
    assert logged(rows) == ("people.disable", f"person:{bob.id}", "Bob", {"active": [True, False]})

    def tries() -> User | None:
        return signing.sign_in(rows, login="bob", password=PASSWORD, address="", now=NOW)

    assert tries() is None
    enabled(rows, bob, NOW)
    assert tries() is here(rows, bob)


def test_a_link_is_worth_nothing_while_its_person_is_disabled(rows: Session) -> None:
    dave, token = added(rows)
    disabled(rows, dave)
    with pytest.raises(NotFoundError):
        people.invited(rows, token, NOW)
    assert refused(lambda: people.new_link(rows, dave, BY)) == ("person", "person_disabled")
    enabled(rows, dave, NOW)
    assert people.invited(rows, token, NOW) is dave


def test_disabling_twice_and_enabling_twice_changes_and_logs_nothing(
    rows: Session, bob: User
) -> None:
    found = disabled(rows, bob)
    before = dump(rows)
    assert not people.disable(rows, found, BY)
    assert dump(rows) == before
    enabled(rows, bob, NOW)
    before = dump(rows)
    assert not people.enable(rows, found, BY)
    assert dump(rows) == before


def test_mail_of_a_disabled_person_is_neither_fetched_nor_watched_nor_sent_and_stays(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message = queued(rows, mailbox)
    disabled(rows, bob)
    assert mailboxes.due(rows, NOW + TWO_DAYS) == []
    assert mailboxes.followed(rows, [mailbox.id]) == {}
    assert mailboxes.target(rows, mailbox.id, RING) is None
    assert outbox.due(rows, NOW) == []
    assert outbox.claim(rows, message.id, WORKER, NOW) is None
    # At once, and not only when the worker comes by.
    assert state_of(rows, message) is OutgoingState.HELD
    assert rows.get_one(Mailbox, mailbox.id).state is MailboxState.WORKING


def test_enabling_brings_back_mailboxes_without_a_password_and_what_waited(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message = queued(rows, mailbox)
    disabled(rows, bob)
    mailbox.next_contact_at = NOW + TWO_DAYS
    rows.flush()
    now = NOW + TWO_DAYS - SECOND
    enabled(rows, bob, now)
    assert mailboxes.due(rows, now) == [mailbox.id]
    assert mailboxes.followed(rows, [mailbox.id]).keys() == {mailbox.id}
    target = mailboxes.target(rows, mailbox.id, RING)
    assert target is not None
    assert target.credentials.password == "secret"
    assert state_of(rows, message) is OutgoingState.QUEUED
    assert outbox.due(rows, now) == [message.id]


def test_mail_that_was_queued_two_days_before_stays_held_until_its_sender_decides(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message, young = queued(rows, mailbox), queued(rows, mailbox, now=NOW + SECOND)
    disabled(rows, bob)
    now = NOW + TWO_DAYS
    enabled(rows, bob, now)
    for _ in range(2):
        assert state_of(rows, message) is OutgoingState.HELD
        assert state_of(rows, young) is OutgoingState.QUEUED
        outbox.hold_and_release(rows)  # the worker comes by
    assert message.cause == HELD_LONG
    assert outbox.claim(rows, message.id, WORKER, now) is None
    assert outbox.waiting(rows, here(rows, bob)).wants_decision
    outbox.send_again(rows, message, now)
    outbox.hold_and_release(rows)
    assert (state_of(rows, message), message.cause) == (OutgoingState.QUEUED, "")
    assert not outbox.waiting(rows, here(rows, bob)).wants_decision
    assert outbox.claim(rows, message.id, WORKER, now) is not None


def test_old_mail_that_stays_held_may_be_discarded_and_other_held_mail_not_sent_again(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message = queued(rows, mailbox)
    disabled(rows, bob)
    with pytest.raises(ConflictError):
        outbox.send_again(rows, message, NOW)
    rows.refresh(mailbox)
    version = mailbox.version
    enabled(rows, bob, NOW + TWO_DAYS)
    rows.refresh(mailbox)
    assert mailbox.version > version  # an open page learns of it
    rows.refresh(message)
    assert message.may_be_sent_again
    outbox.discard(rows, message)
    assert state_of(rows, message) is OutgoingState.CANCELLED


def test_enabling_bob_touches_nothing_of_carols(
    rows: Session, mailbox: Mailbox, bob: User, carol: User
) -> None:
    hers = mailbox_of(rows, carol)
    hers.state = MailboxState.LOGIN_REFUSED
    hers.next_contact_at = NOW + TWO_DAYS
    message = queued(rows, hers)
    disabled(rows, bob)
    enabled(rows, bob, NOW + TWO_DAYS + SECOND)
    rows.refresh(hers)
    assert hers.next_contact_at == NOW + TWO_DAYS
    assert (state_of(rows, message), message.cause) == (OutgoingState.HELD, "")


# Roles, and who is always left


def test_a_role_is_given_and_taken_and_logged(rows: Session, bob: User) -> None:
    found = here(rows, bob)
    assert people.set_role(rows, found, Role.ADMINISTRATOR, BY)
    changes: dict[str, object] = {"role": ["EMPLOYEE", "ADMINISTRATOR"]}
    assert logged(rows) == ("people.role", f"person:{bob.id}", "Bob", changes)
    before = dump(rows)
    assert not people.set_role(rows, found, Role.ADMINISTRATOR, BY)
    assert dump(rows) == before
    assert people.set_role(rows, found, Role.EMPLOYEE, BY)
    assert newest_entry(rows).changes == {"role": ["ADMINISTRATOR", "EMPLOYEE"]}
    rows.refresh(found)
    assert found.role is Role.EMPLOYEE


def makes_employee(rows: Session, person: User, author: Author) -> bool:
    return people.set_role(rows, person, Role.EMPLOYEE, author)


TAKEN = pytest.mark.parametrize("take", [people.disable, makes_employee])
Take = Callable[[Session, User, Author], bool]


@TAKEN
def test_the_last_active_administrator_stays_and_nothing_is_changed(
    rows: Session, alice: User, bob: User, take: Take
) -> None:
    adam = here(rows, add(rows, "Adam", Role.ADMINISTRATOR))
    disabled(rows, adam)
    before = dump(rows)
    for author in (BY, by(bob), by(alice)):
        code = refused(lambda author=author: take(rows, here(rows, alice), author))  # type: ignore[misc]
        assert code == ("person", "last_administrator")
    assert dump(rows) == before
    # Who is disabled already is not the one who is left.
    assert makes_employee(rows, adam, by(alice))


@TAKEN
def test_nobody_shuts_their_own_door_even_while_another_administrates(
    rows: Session, alice: User, take: Take
) -> None:
    adam = add(rows, "Adam", Role.ADMINISTRATOR)
    before = dump(rows)
    own = refused(lambda: take(rows, here(rows, alice), by(alice)))
    assert own == ("person", "not_yourself")
    assert dump(rows) == before
    assert take(rows, here(rows, alice), by(adam))


@TAKEN
def test_of_two_administrators_who_do_it_to_each_other_at_once_one_is_left(
    sessions: sessionmaker[Session], session: Session, alice: User, take: Take
) -> None:
    adam = add(session, "Adam", Role.ADMINISTRATOR)
    together = threading.Barrier(2)
    answers: list[str] = []

    def takes(victim_id: int, author: Author) -> None:
        together.wait()
        with sessions() as own, own.begin():
            try:
                take(own, own.get_one(User, victim_id), author)
                answers.append("done")
            except RefusedError as error:
                answers.append(error.code)

    threads = [
        threading.Thread(target=takes, args=(victim.id, by(author)))
        for victim, author in ((alice, adam), (adam, alice))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["done", "last_administrator"]
    session.expire_all()
    left = session.scalars(select(User).where(User.role == Role.ADMINISTRATOR, User.active)).all()
    assert len(left) == 1


# The list, and the way back in


def test_the_list_counts_the_mailboxes_of_each_and_tells_those_that_go(
    rows: Session, alice: User, bob: User, carol: User
) -> None:
    for address in ("bob@firm.test", "info@firm.test", "old@firm.test"):
        mailbox = mailbox_of(rows, bob, address)
    removal.begin_removal(rows, mailbox, BY.now)
    mailbox_of(rows, carol)
    found = people.listed(rows)
    assert [(one.person.name, one.mailboxes, one.removing) for one in found] == [
        ("Alice", 0, 0),
        ("Bob", 2, 1),
        ("Carol", 1, 0),
    ]
    assert [people.listed_one(rows, one.person) for one in found] == found
    assert found[0] == Listed(here(rows, alice))


def test_who_is_locked_out_gets_a_link_and_keeps_the_password_until_it_is_used(
    rows: Session, bob: User
) -> None:
    earlier = people.new_link(rows, here(rows, bob), BY)
    token = people.reset(rows, here(rows, bob), BY)
    assert logged(rows) == ("people.reset", f"person:{bob.id}", "Bob", {})
    assert token not in str(dump(rows))
    with pytest.raises(NotFoundError):
        people.invited(rows, earlier, NOW)
    assert people.invited(rows, token, NOW).login == "bob"
    assert passwords.matches(here(rows, bob).password_hash, PASSWORD)


def test_who_was_disabled_is_enabled_by_it_with_mail_and_all(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message = queued(rows, mailbox)
    disabled(rows, bob)
    token = people.reset(rows, here(rows, bob), BY)
    assert logged(rows)[3] == {"active": [False, True]}
    assert people.invited(rows, token, NOW).active
    assert state_of(rows, message) is OutgoingState.QUEUED
