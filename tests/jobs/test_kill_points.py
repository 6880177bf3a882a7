"""The worker is killed at each named point, as by a power cut; the next one reaches the end."""

import hashlib
from pathlib import Path

import pytest

from jobs.fail_points import POINTS
from models import ConnectionTestState, OutgoingState, User
from tests.jobs.office import Office
from tests.waiting import until

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

MESSAGES = 40  # more than the first batch, so that there is a second one


def test_killed_while_connecting_it_connects_once(office: Office, bob: User) -> None:
    test = office.asks_to_connect(bob)
    office.killed_at("connecting.tried")
    assert (office.test_state(test), office.mailboxes()) == (ConnectionTestState.RUNNING, 0)
    office.runs_on()
    until(lambda: office.test_state(test) is ConnectionTestState.SUCCEEDED)
    assert office.mailboxes() == 1


@pytest.mark.parametrize(
    ("point", "already"), [("sync.source_kept", {0}), ("sync.batch_stored", {25})]
)
def test_killed_while_receiving_it_goes_on_where_it_was(
    office: Office, bob: User, point: str, already: set[int]
) -> None:
    office.connects(bob)
    office.firm.deliver(
        "bob", *(f"Subject: {number}\r\n\r\nx\r\n".encode() for number in range(MESSAGES))
    )
    office.killed_at(point)
    assert len(office.received()) in already
    office.runs_on()
    until(lambda: len(office.received()) == MESSAGES)
    hashes = [source_hash for _, source_hash in office.received()]
    assert sorted(map(str, hashes)) == sorted(map(hash_over_imap, office.firm.messages("bob")))


@pytest.mark.parametrize("point", ["outbox.claimed", "outbox.data_starts"])
def test_killed_before_the_content_it_is_sent_by_the_next_worker(
    office: Office, bob: User, point: str
) -> None:
    office.connects(bob)
    outgoing = office.sends("carol@firm.test")
    office.killed_at(point)
    assert office.state(outgoing) is OutgoingState.CLAIMED
    office.runs_on()
    until(lambda: office.copied(outgoing))
    assert office.state(outgoing) is OutgoingState.SENT
    until(lambda: len(office.firm.messages("carol")) == 1)


@pytest.mark.parametrize(
    ("point", "delivered"), [("outbox.data_started", 0), ("outbox.answered", 1)]
)
def test_killed_after_the_content_began_it_is_unconfirmed_and_not_sent_again(
    office: Office, bob: User, point: str, delivered: int
) -> None:
    office.connects(bob)
    outgoing = office.sends("carol@firm.test")
    office.killed_at(point)
    assert office.state(outgoing) is OutgoingState.DATA_STARTED
    office.runs_on()
    until(lambda: office.state(outgoing) is OutgoingState.UNCONFIRMED)
    # Another message of the same outbox overtakes it: the worker had every chance to send both.
    other = office.sends("carol@firm.test")
    until(lambda: office.copied(other))
    until(lambda: len(office.firm.messages("carol")) == delivered + 1)
    assert office.state(outgoing) is OutgoingState.UNCONFIRMED


def test_killed_after_it_was_sent_only_the_copy_is_made_up_for(office: Office, bob: User) -> None:
    office.connects(bob)
    outgoing = office.sends("carol@firm.test")
    office.killed_at("outbox.sent")
    assert (office.state(outgoing), office.copied(outgoing)) == (OutgoingState.SENT, False)
    office.runs_on()
    until(lambda: office.copied(outgoing))
    assert len(office.firm.messages("bob", "Sent")) == 1
    assert len(office.firm.messages("carol")) == 1


def test_every_point_is_played() -> None:
    played = Path(__file__).read_text(encoding="utf-8")
    assert [point for point in POINTS if f'"{point}"' not in played] == []


def hash_over_imap(stored: bytes) -> str:
    """Of a message in a maildir, which has line ends of its own."""
    return hashlib.sha256(stored.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).hexdigest()
