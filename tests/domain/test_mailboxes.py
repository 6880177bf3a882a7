"""Connecting a mailbox, and what becomes of it when its server is in trouble."""

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import connecting, connection_tests, mailboxes, messages
from domain.errors import NotFoundError, RefusedError
from domain.secrets import KeyRing, SecretLostError
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from models import (
    ConnectionPurpose,
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    MailboxState,
    OwnServers,
    User,
)
from tests.mailroom import NOW, RING, mailbox_of, own_servers, service_of

SECOND = timedelta(seconds=1)


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    """Asks for the people first: this session keeps others from writing."""
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    return mailbox_of(rows, bob)


def begun(rows: Session, person: User, **changed: object) -> ConnectionTest:
    values: dict[str, object] = {
        "servers": service_of(rows).id,
        "address": "bob@firm.test",
        "login": " bob ",
        "password": "secret",
        "tried": None,
        "ring": RING,
        "now": NOW,
        **changed,
    }
    return connecting.begin_test(rows, person, **values)  # type: ignore[arg-type]


def trouble(rows: Session, mailbox: Mailbox, *causes: Cause) -> MailboxState:
    for cause in causes:
        error = MailServerError(Step.LOGIN, cause, f"words of {cause.value}")
        mailboxes.note_trouble(rows, mailbox.id, error, NOW)
    rows.refresh(mailbox)
    return mailbox.state


def test_a_test_that_ends_well_earns_bob_a_mailbox(rows: Session, bob: User) -> None:
    test = begun(rows, bob)
    claimed = connection_tests.claim(rows, test.id, RING)
    assert claimed is not None
    target, purpose = claimed
    assert purpose is ConnectionPurpose.CONNECT
    assert (target.credentials.login, target.credentials.password) == ("bob", "secret")
    assert (target.imap.host, target.smtp.host) == ("imap.firm.test", "smtp.firm.test")
    mailbox = connecting.connect(rows, test.id, RING, NOW)
    assert (mailbox.state, mailbox.sender_name) == (MailboxState.CONNECTING, "Bob")
    assert (test.state, test.mailbox_id) == (ConnectionTestState.SUCCEEDED, mailbox.id)
    assert mailboxes.due(rows, NOW) == [mailbox.id]


def test_connecting_twice_for_one_address_makes_one_mailbox(rows: Session, bob: User) -> None:
    first, second = begun(rows, bob), begun(rows, bob)
    one = connecting.connect(rows, first.id, RING, NOW)
    assert connecting.connect(rows, second.id, RING, NOW) is one
    assert len(rows.scalars(select(Mailbox)).all()) == 1


def test_an_address_that_bob_has_connected_is_refused_but_not_to_carol(
    rows: Session, mailbox: Mailbox, bob: User, carol: User
) -> None:
    with pytest.raises(RefusedError) as refused:
        begun(rows, bob)
    assert (refused.value.field, refused.value.code) == ("address", "already_connected")
    assert begun(rows, carol).user_id == carol.id


@pytest.mark.parametrize("written", ["Bob@firm.test", "bob@FIRM.test"])
def test_an_address_is_the_same_in_capitals(rows: Session, bob: User, written: str) -> None:
    first, second = begun(rows, bob), begun(rows, bob, address=written)
    one = connecting.connect(rows, first.id, RING, NOW)
    assert connecting.connect(rows, second.id, RING, NOW) is one
    with pytest.raises(RefusedError) as refused:
        begun(rows, bob, address=written)
    assert (refused.value.field, refused.value.code) == ("address", "already_connected")


def test_without_a_password_the_one_of_the_failed_try_is_used(rows: Session, bob: User) -> None:
    tried = begun(rows, bob)
    again = begun(rows, bob, password="", tried=tried)
    assert RING.open(again.sealed_password, again.uuid, "password") == "secret"
    again.state = ConnectionTestState.FAILED
    with pytest.raises(RefusedError) as refused:
        begun(rows, bob, password="")
    assert (refused.value.field, refused.value.code) == ("password", "required")


def test_the_password_of_a_refused_form_is_kept_sealed_and_used(
    rows: Session, bob: User, carol: User
) -> None:
    kept = connecting.keep_password(rows, bob, "secret", tried=None, ring=RING, now=NOW)
    assert kept is not None
    assert connecting.keep_password(rows, bob, "", tried=kept, ring=RING, now=NOW) is kept
    assert connection_tests.earlier_try(rows, bob, kept.uuid, NOW) is kept
    assert connection_tests.earlier_try(rows, carol, kept.uuid, NOW) is None
    test = begun(rows, bob, password="", tried=kept)
    assert RING.open(test.sealed_password, test.uuid, "password") == "secret"


def test_another_password_takes_the_place_of_the_kept_one(rows: Session, bob: User) -> None:
    kept = connecting.keep_password(rows, bob, "first", tried=None, ring=RING, now=NOW)
    again = connecting.keep_password(rows, bob, "second", tried=kept, ring=RING, now=NOW)
    assert again is kept
    assert again is not None
    assert RING.open(again.sealed_password, again.uuid, "password") == "second"


def test_a_kept_password_is_no_test_that_can_be_watched_or_counts(rows: Session, bob: User) -> None:
    for _ in range(connecting.TRIES_MOST + 1):
        kept = connecting.keep_password(rows, bob, "secret", tried=None, ring=RING, now=NOW)
    assert kept is not None
    with pytest.raises(NotFoundError):
        connection_tests.find(rows, bob, kept.uuid)
    assert connection_tests.waiting(rows) == []
    assert begun(rows, bob).user_id == bob.id


def test_a_check_that_ended_well_makes_no_mailbox_but_keeps_its_password_to_go_on(
    rows: Session, bob: User
) -> None:
    check = begun(rows, bob, connects=False)
    assert check.purpose is ConnectionPurpose.CHECK
    connection_tests.succeed(rows, check.id)
    assert rows.scalars(select(Mailbox)).all() == []
    assert connection_tests.earlier_try(rows, bob, check.uuid, NOW) is check
    assert begun(rows, bob, password="", tried=check).purpose is ConnectionPurpose.CONNECT


def test_a_day_later_a_test_is_gone_with_the_servers_typed_for_it(rows: Session, bob: User) -> None:
    own = own_servers()
    test = begun(rows, bob, servers=own)
    used = begun(rows, bob, servers=own_servers(), address="office@firm.test")
    mailbox = connecting.connect(rows, used.id, RING, NOW)
    connection_tests.forget_old(rows, NOW + connection_tests.TESTS_KEPT - SECOND)
    assert rows.get(ConnectionTest, test.id) is not None
    connection_tests.forget_old(rows, NOW + connection_tests.TESTS_KEPT)
    rows.expire_all()
    assert rows.scalars(select(ConnectionTest)).all() == []
    assert [one.id for one in rows.scalars(select(OwnServers))] == [mailbox.own_servers_id]


def test_other_takes_another_login_for_smtp_where_one_is_typed(rows: Session, bob: User) -> None:
    test = begun(rows, bob, servers=own_servers(), smtp_login=" robert ")
    claimed = connection_tests.claim(rows, test.id, RING)
    assert claimed is not None
    assert claimed[0].smtp_credentials.login == "robert"
    assert claimed[0].credentials.login == "bob"


def test_a_try_is_claimed_once_and_again_after_the_worker_died(rows: Session, bob: User) -> None:
    test = begun(rows, bob)
    assert connection_tests.waiting(rows) == [test.id]
    assert connection_tests.claim(rows, test.id, RING) is not None
    assert connection_tests.claim(rows, test.id, RING) is None
    connection_tests.note_step(rows, test.id, Protocol.IMAP, Step.NAME, 12)
    assert connection_tests.waiting(rows) == []
    connection_tests.release(rows)
    rows.refresh(test)
    assert (connection_tests.waiting(rows), test.steps) == ([test.id], [])


def test_a_failed_try_can_be_corrected_for_ten_minutes_and_then_forgets_its_password(
    rows: Session, bob: User, carol: User
) -> None:
    test = begun(rows, bob)
    assert connection_tests.earlier_try(rows, bob, test.uuid, NOW) is None
    connection_tests.fail(rows, test.id, Protocol.IMAP, MailServerError(Step.NAME, Cause.CLOSED))
    soon, late = NOW + timedelta(minutes=9), NOW + timedelta(minutes=10)
    assert connection_tests.earlier_try(rows, bob, test.uuid, soon) is test
    assert connection_tests.earlier_try(rows, carol, test.uuid, soon) is None
    assert connection_tests.earlier_try(rows, bob, test.uuid, late) is None
    connection_tests.forget_old_passwords(rows, soon)
    rows.refresh(test)
    assert test.sealed_password
    connection_tests.forget_old_passwords(rows, late)
    rows.refresh(test)
    assert test.sealed_password == b""


@pytest.mark.parametrize("claimed", [False, True])
def test_a_try_that_nobody_ended_for_ten_minutes_is_given_up_and_forgets_its_password(
    rows: Session, bob: User, claimed: bool
) -> None:
    test = begun(rows, bob)
    if claimed:
        connection_tests.claim(rows, test.id, RING)
    before = test.state
    connection_tests.end_old(rows, NOW + timedelta(minutes=9))
    rows.refresh(test)
    assert test.state is before
    connection_tests.end_old(rows, NOW + timedelta(minutes=10))
    rows.refresh(test)
    assert (test.state, test.cause, test.sealed_password) == (
        ConnectionTestState.FAILED,
        connection_tests.NOT_TRIED,
        b"",
    )
    assert connection_tests.waiting(rows) == []


def test_carol_finds_neither_bobs_mailbox_nor_his_test(
    rows: Session, mailbox: Mailbox, bob: User, carol: User
) -> None:
    test = begun(rows, bob, address="second@firm.test")
    assert mailboxes.find(rows, bob, mailbox.id) is mailbox
    assert connection_tests.find(rows, bob, test.uuid) is test
    for asked in (
        lambda: mailboxes.find(rows, carol, mailbox.id),
        lambda: connection_tests.find(rows, carol, test.uuid),
        lambda: connection_tests.find(rows, bob, uuid.uuid4()),
    ):
        with pytest.raises(NotFoundError):
            asked()
    assert mailboxes.connected(rows, carol) == []


def test_a_mailbox_is_reached_only_while_its_person_is_active(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    target = mailboxes.target(rows, mailbox.id, RING)
    assert target is not None
    assert (target.uuid, target.credentials.password) == (mailbox.uuid, "secret")
    late = NOW + timedelta(days=1)
    assert mailboxes.due(rows, late) == [mailbox.id]
    rows.get_one(User, bob.id).active = False
    rows.flush()
    assert mailboxes.target(rows, mailbox.id, RING) is None
    assert mailboxes.due(rows, late) == []
    assert mailboxes.target(rows, 99999, RING) is None


def test_a_lost_key_is_told_and_waits_for_a_person(rows: Session, mailbox: Mailbox) -> None:
    with pytest.raises(SecretLostError):
        mailboxes.target(rows, mailbox.id, KeyRing(current="2", keys={"2": b"x" * 32}))
    before = mailbox.version
    for _ in range(2):
        mailboxes.note_secret_lost(rows, mailbox.id, NOW)
    assert (mailbox.state, mailbox.version) == (MailboxState.SECRET_LOST, before + 1)
    assert mailboxes.due(rows, NOW + timedelta(days=1)) == []


def test_a_mailbox_that_works_is_looked_at_every_minute(rows: Session, mailbox: Mailbox) -> None:
    assert mailbox.state is MailboxState.WORKING
    assert mailboxes.due(rows, NOW + 59 * SECOND) == []
    assert mailboxes.due(rows, NOW + 60 * SECOND) == [mailbox.id]


def test_the_waits_grow_from_a_second_to_a_quarter_of_an_hour() -> None:
    for failures in range(1, 60):
        whole = min(2.0 ** (failures - 1), 15 * 60)
        for _ in range(20):
            assert 0.75 * whole <= mailboxes.wait_after(failures).total_seconds() <= whole
    assert len({mailboxes.wait_after(12) for _ in range(20)}) > 1


def test_an_unreachable_server_is_tried_again_ever_less_often(
    rows: Session, mailbox: Mailbox
) -> None:
    before = mailbox.version
    waits = []
    for _ in range(12):
        trouble(rows, mailbox, Cause.CONNECTION_REFUSED)
        waits.append((mailbox.next_contact_at - NOW).total_seconds())
    assert mailbox.state is MailboxState.UNREACHABLE
    assert 0.75 <= waits[0] <= 1
    assert 1.5 <= waits[1] <= 2
    assert 15 * 60 * 0.75 <= waits[-1] <= 15 * 60
    assert mailboxes.due(rows, NOW + timedelta(minutes=15)) == [mailbox.id]
    assert (mailbox.last_error_cause, mailbox.last_error_words) == (
        "connection_refused",
        "words of connection_refused",
    )
    # An open page is told once, not at every try.
    assert mailbox.version == before + 1


def test_when_the_server_is_back_the_trouble_is_over(rows: Session, mailbox: Mailbox) -> None:
    trouble(rows, mailbox, *[Cause.TIMED_OUT] * 5)
    before, healed = mailbox.version, NOW + timedelta(hours=1)
    mailboxes.note_contact(rows, mailbox.id, healed)
    assert (mailbox.state, mailbox.state_since) == (MailboxState.WORKING, healed)
    assert (mailbox.failures, mailbox.last_error_cause, mailbox.last_error_words) == (0, "", "")
    assert (mailbox.last_contact_at, mailbox.version) == (healed, before + 1)
    mailboxes.note_contact(rows, mailbox.id, healed + 60 * SECOND)
    assert (mailbox.state_since, mailbox.version) == (healed, before + 1)
    trouble(rows, mailbox, Cause.TIMED_OUT)
    assert mailbox.next_contact_at - NOW <= SECOND


def test_a_refused_login_is_believed_the_third_time(rows: Session, mailbox: Mailbox) -> None:
    assert (
        trouble(rows, mailbox, Cause.LOGIN_REFUSED, Cause.LOGIN_REFUSED) is MailboxState.UNREACHABLE
    )
    assert mailboxes.due(rows, NOW + timedelta(days=1)) == [mailbox.id]
    assert trouble(rows, mailbox, Cause.LOGIN_REFUSED) is MailboxState.LOGIN_REFUSED
    assert mailboxes.due(rows, NOW + timedelta(days=1)) == []


def test_a_server_that_was_away_first_has_to_refuse_the_login_three_times_too(
    rows: Session, mailbox: Mailbox
) -> None:
    assert (
        trouble(rows, mailbox, *[Cause.CLOSED] * 4, Cause.LOGIN_REFUSED, Cause.LOGIN_REFUSED)
        is MailboxState.UNREACHABLE
    )
    assert trouble(rows, mailbox, Cause.LOGIN_REFUSED) is MailboxState.LOGIN_REFUSED


@pytest.mark.parametrize(
    ("cause", "state"),
    [
        (Cause.APP_PASSWORD_WANTED, MailboxState.APP_PASSWORD_WANTED),
        (Cause.CERTIFICATE_EXPIRED, MailboxState.CERTIFICATE_REFUSED),
        (Cause.CERTIFICATE_WRONG_NAME, MailboxState.CERTIFICATE_REFUSED),
        (Cause.CERTIFICATE_UNTRUSTED, MailboxState.CERTIFICATE_REFUSED),
        (Cause.CERTIFICATE_REFUSED, MailboxState.CERTIFICATE_REFUSED),
        (Cause.OVER_QUOTA, MailboxState.OVER_QUOTA),
    ],
)
def test_what_needs_a_person_is_said_at_once(
    rows: Session, mailbox: Mailbox, cause: Cause, state: MailboxState
) -> None:
    assert trouble(rows, mailbox, cause) is state
    assert state.needs_person


def test_a_password_that_is_not_wanted_is_not_tried_again(rows: Session, mailbox: Mailbox) -> None:
    trouble(rows, mailbox, Cause.APP_PASSWORD_WANTED)
    assert mailboxes.due(rows, NOW + timedelta(days=1)) == []


def test_whoever_asks_a_mailbox_that_needs_a_person_is_not_signed_in_to(
    rows: Session, mailbox: Mailbox
) -> None:
    for state in MailboxState:
        mailbox.state = state
        stopped = not state.is_in_use and not state.may_heal
        assert (mailboxes.target_to_follow(rows, mailbox.id, RING) is None) == stopped
    assert mailboxes.target_to_follow(rows, 99999, RING) is None


@pytest.mark.parametrize("cause", [Cause.CERTIFICATE_EXPIRED, Cause.OVER_QUOTA])
def test_what_may_have_been_mended_without_a_word_is_looked_at_again_and_heals(
    rows: Session, mailbox: Mailbox, cause: Cause
) -> None:
    trouble(rows, mailbox, *[cause] * 20)
    assert mailboxes.due(rows, NOW + timedelta(minutes=10)) == []
    assert mailboxes.due(rows, NOW + timedelta(minutes=15)) == [mailbox.id]
    mailboxes.note_contact(rows, mailbox.id, NOW)
    assert mailbox.state is MailboxState.WORKING


@pytest.mark.parametrize("cause", [Cause.THROTTLED, Cause.UNAVAILABLE, Cause.NAME_NOT_FOUND])
def test_what_heals_by_itself_is_tried_again(rows: Session, mailbox: Mailbox, cause: Cause) -> None:
    assert trouble(rows, mailbox, *[cause] * 5) is MailboxState.UNREACHABLE
    assert mailboxes.due(rows, NOW + timedelta(days=1)) == [mailbox.id]


def test_what_is_said_of_a_mailbox_that_is_gone_changes_nothing(rows: Session, bob: User) -> None:
    mailboxes.note_contact(rows, 99999, NOW)
    mailboxes.note_trouble(rows, 99999, MailServerError(Step.NAME, Cause.CLOSED), NOW)
    mailboxes.note_secret_lost(rows, 99999, NOW)
    assert rows.scalar(select(Mailbox)) is None


def test_a_touched_mailbox_is_newer_for_its_person_only(
    rows: Session, mailbox: Mailbox, bob: User, carol: User
) -> None:
    mailbox_of(rows, carol)
    bobs, carols = messages.version(rows, bob), messages.version(rows, carol)
    mailboxes.touch(rows, mailbox.id)
    assert messages.version(rows, bob) == bobs + 1
    assert messages.version(rows, carol) == carols
