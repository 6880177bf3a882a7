"""Disconnecting a mailbox, and connecting its address again."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from domain import (
    connecting,
    connection_tests,
    disconnecting,
    mailboxes,
    removal,
    service_deletion,
    services,
)
from domain.errors import NotFoundError, RefusedError
from models import Mailbox, MailboxState, User
from models.outbox import OutgoingState
from tests.conftest import author
from tests.mailroom import NOW, RING, mailbox_of, queued, service_of

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User) -> Iterator[Session]:
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    return mailbox_of(rows, bob)


def connected_again(rows: Session, bob: User, address: str) -> Mailbox:
    test = connecting.begin_test(
        rows,
        rows.get_one(User, bob.id),
        servers=service_of(rows).id,
        address=address,
        login="robert",
        password="another",
        tried=None,
        ring=RING,
        now=LATER,
    )
    return connecting.connect(rows, test.id, RING, LATER)


def test_the_password_is_forgotten_and_nothing_is_received_any_more(
    rows: Session, mailbox: Mailbox
) -> None:
    assert mailboxes.target(rows, mailbox.id, RING) is not None
    disconnecting.disconnect(rows, mailbox, keep_mail=True, now=LATER)
    assert (mailbox.state, mailbox.state_since) == (MailboxState.DISCONNECTED, LATER)
    assert (mailbox.sealed_password, mailbox.default_sender) == (b"", False)
    assert mailboxes.target(rows, mailbox.id, RING) is None
    assert mailboxes.due(rows, LATER + timedelta(days=1)) == []
    assert mailboxes.followed(rows, [mailbox.id]) == {}


def test_a_password_that_was_being_tried_meanwhile_is_not_kept(
    rows: Session, mailbox: Mailbox
) -> None:
    test = connecting.begin_password(rows, mailbox, "another", ring=RING, now=NOW)
    assert connection_tests.claim(rows, test.id, RING) is not None
    disconnecting.disconnect(rows, mailbox, keep_mail=True, now=LATER)
    with pytest.raises(NotFoundError):
        connecting.connect(rows, test.id, RING, LATER)
    assert mailbox.sealed_password == b""


def test_its_mail_stays_and_nobody_writes_from_it(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    other = mailbox_of(rows, bob, "office@firm.test")
    disconnecting.disconnect(rows, mailbox, keep_mail=True, now=LATER)
    assert mailboxes.connected(rows, bob) == [mailbox, other]
    assert mailboxes.senders(rows, bob) == [other]


def test_without_its_mail_it_is_removed(rows: Session, mailbox: Mailbox) -> None:
    disconnecting.disconnect(rows, mailbox, keep_mail=False, now=LATER)
    assert mailbox.state is MailboxState.REMOVING
    assert removal.waiting(rows) == [mailbox.id]


def test_the_mail_of_a_disconnected_one_can_be_removed_later(
    rows: Session, mailbox: Mailbox
) -> None:
    disconnecting.disconnect(rows, mailbox, keep_mail=True, now=NOW)
    disconnecting.disconnect(rows, mailbox, keep_mail=False, now=LATER)
    assert mailbox.state is MailboxState.REMOVING


@pytest.mark.parametrize(
    ("keep_first", "code"), [(True, "already_disconnected"), (False, "mailbox_going")]
)
def test_what_was_given_up_is_not_given_up_again(
    rows: Session, mailbox: Mailbox, keep_first: bool, code: str
) -> None:
    disconnecting.disconnect(rows, mailbox, keep_mail=keep_first, now=NOW)
    with pytest.raises(RefusedError) as refused:
        disconnecting.disconnect(rows, mailbox, keep_mail=True, now=LATER)
    assert refused.value.code == code


def test_what_waits_in_the_outbox_is_counted_before(rows: Session, mailbox: Mailbox) -> None:
    queued(rows, mailbox)
    queued(rows, mailbox).state = OutgoingState.SENT
    rows.flush()
    assert disconnecting.holdings(rows, mailbox) == disconnecting.Holdings(messages=0, waiting=1)


def test_the_same_address_connects_anew_with_other_servers_and_keeps_its_row(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    disconnecting.disconnect(rows, mailbox, keep_mail=True, now=NOW)
    again = connected_again(rows, bob, "BOB@firm.test")
    assert again is mailbox
    assert (again.login, again.state) == ("robert", MailboxState.CONNECTING)
    assert RING.open(again.sealed_password, again.uuid, "password") == "another"
    assert len(rows.scalars(select(Mailbox)).all()) == 1
    assert mailboxes.due(rows, LATER) == [mailbox.id]


def test_a_mailbox_that_is_going_cannot_be_connected_before_it_is_gone(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    disconnecting.disconnect(rows, mailbox, keep_mail=False, now=NOW)
    with pytest.raises(RefusedError) as refused:
        connected_again(rows, bob, "bob@firm.test")
    assert (refused.value.field, refused.value.code) == ("address", "mailbox_going")


def test_a_mailbox_whose_service_was_deleted_may_choose_another(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    first = service_of(rows)
    service_deletion.delete(rows, first, author())
    mailbox.agreed_domains = ["firm.test"]  # it had been moved, and nobody had agreed yet
    assert connected_again(rows, bob, "bob@firm.test") is mailbox
    assert (mailbox.state, mailbox.service) == (MailboxState.CONNECTING, service_of(rows))
    assert mailbox.agreed_domains == []
    service_deletion.restore(rows, first, author(), name="Old mail")
    assert mailbox.service is not first


def test_what_happens_to_the_service_does_not_wake_it(rows: Session, mailbox: Mailbox) -> None:
    service = service_of(rows)
    disconnecting.disconnect(rows, mailbox, keep_mail=True, now=NOW)
    assert services.listed_one(rows, service).mailboxes == 0
    assert service_deletion.consequences(rows, service).mailboxes == 0
    service_deletion.delete(rows, service, author())
    service_deletion.restore(rows, service, author())
    assert mailbox.state is MailboxState.DISCONNECTED


def test_the_default_sender_is_the_chosen_one_or_else_the_first(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    second = mailbox_of(rows, bob, "office@firm.test")
    assert mailboxes.senders(rows, bob) == [mailbox, second]
    assert (mailbox.default_sender, second.default_sender) == (True, False)
    disconnecting.disconnect(rows, mailbox, keep_mail=True, now=NOW)
    assert mailboxes.senders(rows, bob) == [second]
    assert connected_again(rows, bob, "bob@firm.test").default_sender is False


def test_a_service_that_comes_back_under_another_name_is_another_version_of_itself(
    rows: Session, mailbox: Mailbox
) -> None:
    service = service_of(rows)
    version = service.version
    service_deletion.delete(rows, service, author())
    service_deletion.restore(rows, service, author(), name="Firm mail again")
    assert service.version > version
