"""What is sealed opens under the new key, for the same row and field, and means the same."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import connecting, connection_tests, health, key_rotation, mailboxes, outbox
from domain.errors import MailboxGoneError
from domain.health import KeyFiles, Status
from domain.key_rotation import BATCH, SEALED, LostKey, Presence, SealedColumn
from domain.secrets import KeyRing, SecretLostError
from models import ChangeLogEntry, ConnectionTest, Mailbox, MailboxState, OutgoingState, User
from tests.conftest import author
from tests.domain.test_outbox import refused_login, state_of
from tests.mailroom import NOW, RING, mailbox_of, queued, service_of

OLD_KEY, NEW_KEY = RING.keys["1"], b"n" * 32
BOTH = KeyRing(current="2", keys={"1": OLD_KEY, "2": NEW_KEY})
NEW_ONLY = KeyRing(current="2", keys={"2": NEW_KEY})
WRONG = KeyRing(current="1", keys={"1": b"x" * 32})


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    """Asks for the people first: this session keeps others from writing."""
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    return mailbox_of(rows, bob)


@pytest.fixture
def carols_test(rows: Session, carol: User) -> ConnectionTest:
    return connecting.begin_test(
        rows,
        rows.get_one(User, carol.id),
        servers=service_of(rows).id,
        address="carol@firm.test",
        login="carol",
        password="carols",
        tried=None,
        ring=RING,
        now=NOW,
    )


def reseal_all(rows: Session, ring: KeyRing = BOTH) -> int:
    return sum(key_rotation.reseal(rows, one, ring, after=0).resealed for one in SEALED)


def opened(ring: KeyRing, row: Mailbox | ConnectionTest) -> str:
    (one,) = (one for one in SEALED if isinstance(row, one.model))
    return ring.open(getattr(row, one.column.key), row.uuid, one.field)


def test_what_was_sealed_opens_under_the_new_key_alone(
    rows: Session, mailbox: Mailbox, carols_test: ConnectionTest
) -> None:
    assert reseal_all(rows) == 2
    assert opened(NEW_ONLY, mailbox) == "secret"
    assert opened(NEW_ONLY, carols_test) == "carols"
    with pytest.raises(SecretLostError):
        opened(RING, mailbox)


def test_it_stays_bound_to_its_row(
    rows: Session, mailbox: Mailbox, carols_test: ConnectionTest
) -> None:
    reseal_all(rows)
    mailbox.sealed_password, carols_test.sealed_password = (
        carols_test.sealed_password,
        mailbox.sealed_password,
    )
    for row in (mailbox, carols_test):
        with pytest.raises(SecretLostError):
            opened(NEW_ONLY, row)


def test_what_holds_no_secret_or_is_sealed_under_the_newest_key_is_left_alone(
    rows: Session, mailbox: Mailbox, carols_test: ConnectionTest
) -> None:
    connection_tests.succeed(rows, carols_test.id)
    carols_test.sealed_password = b""
    rows.flush()
    assert reseal_all(rows) == 1
    after = mailbox.sealed_password
    assert reseal_all(rows) == 0
    assert (mailbox.sealed_password, carols_test.sealed_password) == (after, b"")


def test_what_cannot_be_opened_is_left_as_it_is_and_named_by_its_address(
    rows: Session, mailbox: Mailbox, carol: User
) -> None:
    carols = mailbox_of(rows, carol)
    carols.sealed_password = lost = b"7:" + b"z" * 40
    rows.flush()
    assert reseal_all(rows) == 1
    assert carols.sealed_password == lost
    assert key_rotation.unopened(rows, BOTH) == ["carol@firm.test"]


def test_a_batch_holds_50_and_the_next_goes_on_after_it(rows: Session, bob: User) -> None:
    boxes = [mailbox_of(rows, bob, f"bob{number}@firm.test") for number in range(BATCH + 1)]
    one = sealed(Mailbox)
    first = key_rotation.reseal(rows, one, BOTH, after=0)
    assert (first.last, first.resealed) == (boxes[BATCH - 1].id, BATCH)
    second = key_rotation.reseal(rows, one, BOTH, after=first.last or 0)
    assert (second.last, second.resealed) == (boxes[BATCH].id, 1)
    assert key_rotation.reseal(rows, one, BOTH, after=second.last or 0).last is None


def test_a_lost_row_does_not_stop_the_batches(rows: Session, mailbox: Mailbox) -> None:
    mailbox.sealed_password = b"7:" + b"z" * 40
    rows.flush()
    batch = key_rotation.reseal(rows, sealed(Mailbox), BOTH, after=0)
    assert (batch.last, batch.resealed) == (mailbox.id, 0)


def test_what_smtp_refused_stays_refused(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox)
    refused_login(rows, message)
    assert mailbox.smtp_refuses
    reseal_all(rows)
    assert mailbox.smtp_refuses
    outbox.hold_and_release(rows)
    assert state_of(rows, message) is OutgoingState.HELD


def test_refusals_are_counted_on_after_a_rotation(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox)
    refused_login(rows, message, 2)
    reseal_all(rows)
    refused_login(rows, message, 1)
    assert mailbox.smtp_failures == 3
    assert mailbox.smtp_refuses


def test_what_smtp_refused_of_another_password_stays_forgiven(
    rows: Session, mailbox: Mailbox
) -> None:
    refused_login(rows, queued(rows, mailbox))
    mailbox.sealed_password = RING.seal("another", mailbox.uuid, mailboxes.PASSWORD)
    rows.flush()
    assert not mailbox.smtp_refuses
    reseal_all(rows)
    assert not mailbox.smtp_refuses


def test_a_connection_begins_anew_with_the_same_password(rows: Session, mailbox: Mailbox) -> None:
    before = mailboxes.target(rows, mailbox.id, RING)
    assert before is not None
    reseal_all(rows)
    with pytest.raises(MailboxGoneError):
        mailboxes.require_current(rows, before)
    after = mailboxes.target(rows, mailbox.id, NEW_ONLY)
    assert after is not None
    assert after.credentials == before.credentials
    mailboxes.require_current(rows, after)


def test_open_pages_learn_nothing_new(rows: Session, mailbox: Mailbox) -> None:
    version = mailbox.version
    reseal_all(rows)
    assert mailbox.version == version


def test_work_is_left_while_an_older_key_still_opens_something(
    rows: Session, mailbox: Mailbox, carols_test: ConnectionTest
) -> None:
    assert key_rotation.open_under_older(rows, RING) == set()
    assert key_rotation.open_under_older(rows, BOTH) == {"1"}
    key_rotation.reseal(rows, sealed(Mailbox), BOTH, after=0)
    assert key_rotation.open_under_older(rows, BOTH) == {"1"}
    reseal_all(rows)
    assert key_rotation.open_under_older(rows, BOTH) == set()


def test_what_no_key_opens_is_no_work_that_is_left(rows: Session, mailbox: Mailbox) -> None:
    two = KeyRing(current="2", keys={**WRONG.keys, "2": NEW_KEY})
    assert key_rotation.open_under_older(rows, two) == set()
    assert key_rotation.open_under_older(rows, NEW_ONLY) == set()


def test_the_ids_of_all_keys_are_found_lost_or_not_but_not_those_of_damage(
    rows: Session, mailbox: Mailbox, carols_test: ConnectionTest, bob: User
) -> None:
    mailbox.sealed_password = b"31:" + b"z" * 40
    for number, damaged in enumerate((b"no colon", b"9" * 40 + b":x", b"\xff:x", b"-1:x")):
        mailbox_of(rows, bob, f"bob{number}@firm.test").sealed_password = damaged
    rows.flush()
    assert key_rotation.key_ids(rows) == {"1", "31"}


def test_the_change_log_tells_from_which_key_to_which(rows: Session, mailbox: Mailbox) -> None:
    key_rotation.begin(rows, BOTH, {"10", "1"}, author())
    entry = rows.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.subject, entry.subject_name) == (
        "keys.rotate",
        "key:2",
        "secrets-2",
    )
    assert entry.changes == {"key": ["secrets-1, secrets-10", "secrets-2"]}


def test_a_mailbox_that_stopped_for_want_of_its_key_goes_on_when_it_is_back(
    rows: Session, mailbox: Mailbox, carol: User
) -> None:
    carols = mailbox_of(rows, carol)
    for one in (mailbox, carols):
        mailboxes.note_secret_lost(rows, one.id, NOW)
    carols.sealed_password = b"7:" + b"z" * 40
    version, later = mailbox.version, NOW + timedelta(hours=1)
    rows.flush()
    assert key_rotation.heal(rows, WRONG, later) == 0
    assert key_rotation.heal(rows, RING, later) == 1
    rows.refresh(mailbox)
    assert (mailbox.state, mailbox.state_since) == (MailboxState.CONNECTING, later)
    assert (mailbox.next_contact_at, mailbox.version) == (later, version + 1)
    rows.refresh(carols)
    assert carols.state is MailboxState.SECRET_LOST


def test_only_who_stopped_for_want_of_a_key_is_woken(rows: Session, mailbox: Mailbox) -> None:
    mailbox.state = MailboxState.LOGIN_REFUSED
    rows.flush()
    assert key_rotation.heal(rows, RING, NOW) == 0
    assert mailbox.state is MailboxState.LOGIN_REFUSED


def test_which_keys_are_lost_is_told_with_how_many_mailboxes_are_concerned(
    rows: Session, mailbox: Mailbox, carol: User, carols_test: ConnectionTest
) -> None:
    mailbox_of(rows, carol)
    assert key_rotation.presence(rows, RING) == Presence(opened=2, lost=[])
    assert key_rotation.presence(rows, WRONG) == Presence(0, [LostKey("1", True, 2)])
    assert key_rotation.presence(rows, NEW_ONLY) == Presence(0, [LostKey("1", False, 2)])
    mailbox.sealed_password = b"damaged"
    rows.flush()
    assert key_rotation.presence(rows, RING) == Presence(1, [LostKey("", False, 1)])


def test_of_who_may_not_sign_in_no_key_is_missed(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    rows.get_one(User, bob.id).active = False
    rows.flush()
    assert key_rotation.presence(rows, WRONG) == Presence(0, [])


def test_health_warns_while_some_passwords_open_and_fails_when_none_does(
    rows: Session, mailbox: Mailbox, carol: User
) -> None:
    carols = mailbox_of(rows, carol)
    carols.sealed_password = WRONG.seal("new", carols.uuid, mailboxes.PASSWORD)
    rows.flush()
    some = health.secrets(rows, KeyFiles(), WRONG)
    assert (some.status, some.problem) == (Status.WARNING, "some_lost")
    assert some.values == {"opened": 1, "lost": 1}
    assert some.lost == [LostKey("1", True, 1)]
    none = health.secrets(rows, KeyFiles(), NEW_ONLY)
    assert (none.status, none.problem) == (Status.FAILED, "key_wrong")
    assert none.lost == [LostKey("1", False, 2)]


@pytest.mark.parametrize(
    ("files", "ring", "problem"),
    [
        (KeyFiles("key_missing", "/k/secrets-1"), NEW_ONLY, ""),
        (KeyFiles("key_missing", "/k/secrets-1"), None, "key_missing"),
        (KeyFiles("key_missing", "/k/secrets-1"), RING, "key_wrong"),
        (KeyFiles("key_missing", "/k/cookie"), NEW_ONLY, "key_missing"),
        (KeyFiles("key_open", "/k/secrets-1"), NEW_ONLY, "key_open"),
    ],
)
def test_a_key_that_was_deleted_after_a_rotation_is_missed_only_if_something_needs_it(
    rows: Session, mailbox: Mailbox, files: KeyFiles, ring: KeyRing | None, problem: str
) -> None:
    reseal_all(rows)
    assert health.secrets(rows, files, ring).problem == problem


def sealed(model: type[Mailbox] | type[ConnectionTest]) -> SealedColumn:
    (found,) = (one for one in SEALED if one.model is model)
    return found
