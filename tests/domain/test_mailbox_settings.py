"""What Bob sets for his mailboxes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from domain import company, mailbox_settings, mailboxes, process_permission
from domain.errors import RefusedError
from domain.mailbox_settings import MailboxSettings
from models import Mailbox, MailboxState, User
from models.mailboxes import ProcessChoice
from tests.mailroom import mailbox_of, own_servers, service_of

WANTED = MailboxSettings(
    sender_name=" Robert  Baker ",
    signature="<p>Robert<script>alert(1)</script></p>",
    notifies=True,
    process_choice=ProcessChoice.NOT_ALLOWED,
)


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    with sessions() as opened:
        yield opened


@pytest.fixture
def three(rows: Session, bob: User) -> list[Mailbox]:
    return [mailbox_of(rows, bob, f"{name}@firm.test") for name in ("one", "two", "three")]


def order(rows: Session, person: User) -> list[str]:
    return [one.address.partition("@")[0] for one in mailboxes.connected(rows, person)]


def test_what_is_set_is_kept_and_the_signature_is_harmless(rows: Session, bob: User) -> None:
    mailbox = mailbox_of(rows, bob)
    version = mailbox.version
    mailbox_settings.edit(rows, mailbox, WANTED)
    assert (mailbox.sender_name, mailbox.signature) == ("Robert Baker", "<p>Robert</p>")
    assert (mailbox.notifies, mailbox.process_choice) == (True, ProcessChoice.NOT_ALLOWED)
    assert mailbox.version > version


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("sender_name", "x" * 101, "sender_name_long"),
        ("sender_name", "Robert\x00Baker", "sender_name_long"),
        ("signature", "x" * 20_001, "signature_long"),
    ],
)
def test_what_is_too_long_or_no_line_is_refused_at_its_field(
    rows: Session, bob: User, field: str, value: str, code: str
) -> None:
    mailbox = mailbox_of(rows, bob)
    with pytest.raises(RefusedError) as refused:
        mailbox_settings.edit(rows, mailbox, replace(WANTED, **{field: value}))  # type: ignore[arg-type]
    assert (refused.value.field, refused.value.code) == (field, code)
    assert mailbox.sender_name == "Bob"


def test_mailboxes_change_places_with_their_neighbours(
    rows: Session, bob: User, three: list[Mailbox]
) -> None:
    assert mailbox_settings.move(rows, three[2], up=True)
    assert order(rows, bob) == ["one", "three", "two"]
    assert mailbox_settings.move(rows, three[0], up=False)
    assert order(rows, bob) == ["three", "one", "two"]
    assert not mailbox_settings.move(rows, three[2], up=True)
    assert not mailbox_settings.move(rows, three[1], up=False)
    assert order(rows, bob) == ["three", "one", "two"]


def test_a_mailbox_that_is_connected_later_stands_last(
    rows: Session, bob: User, three: list[Mailbox]
) -> None:
    mailbox_settings.move(rows, three[0], up=False)
    mailbox_of(rows, bob, "four@firm.test")
    assert order(rows, bob) == ["two", "one", "three", "four"]


def test_one_default_sender_takes_the_place_of_the_other(
    rows: Session, bob: User, three: list[Mailbox]
) -> None:
    mailbox_settings.make_default(rows, three[1])
    assert [one.default_sender for one in three] == [False, True, False]
    assert mailboxes.senders(rows, bob) == [three[1], three[0], three[2]]


def test_the_database_knows_one_default_sender_of_a_person(
    rows: Session, three: list[Mailbox], carol: User
) -> None:
    assert mailbox_of(rows, carol).default_sender
    with pytest.raises(sa.exc.IntegrityError):
        rows.execute(sa.update(Mailbox).values(default_sender=True))


def test_a_mailbox_that_was_given_up_is_nobodys_default(rows: Session, bob: User) -> None:
    mailbox = mailbox_of(rows, bob)
    mailbox.state = MailboxState.DISCONNECTED
    with pytest.raises(RefusedError):
        mailbox_settings.make_default(rows, mailbox)


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize(
    ("choice", "allowed"),
    [
        (ProcessChoice.COMPANY, None),
        (ProcessChoice.ALLOWED, True),
        (ProcessChoice.NOT_ALLOWED, False),
    ],
)
def test_the_owners_choice_comes_before_the_companys_in_both_directions(
    choice: ProcessChoice, default: bool, allowed: bool | None
) -> None:
    wanted = default if allowed is None else allowed
    assert process_permission.is_allowed(choice, default) is wanted


def test_the_company_says_it_for_each_service_and_for_other(rows: Session, bob: User) -> None:
    mailbox = mailbox_of(rows, bob)
    service_of(rows).process_default = False
    assert process_permission.company_default(rows, mailbox) is False
    mailbox.service, mailbox.own_servers = None, own_servers()
    for said in (True, False):
        company.settings(rows).other_process_default = said
        assert process_permission.company_default(rows, mailbox) is said
