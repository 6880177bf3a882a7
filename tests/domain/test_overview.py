"""Every mailbox and its state: what an administrator is told of it, and how it is found."""

import sqlite3
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from domain import mailbox_search, mailboxes, outbox, overview, services
from domain.overview import Choice, Filters, Key, Line, Page
from domain.services import ServerSettings, ServiceSettings
from domain.sync import folder as folder_sync
from domain.sync import folders
from domain.sync.plan import Announced
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import ServerAddress
from mail.smtp import RecipientResult, Reply
from models import Folder, Mailbox, MailboxState, MailService, OwnServers, Role, User
from models.mailboxes import ENDED
from tests.conftest import add, author
from tests.mailroom import (
    NOW,
    fetched,
    inbox_of,
    letter,
    mailbox_of,
    queued,
    remote_folders,
    service_of,
)

HERE = uuid.uuid4()
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
HOUR = timedelta(hours=1)
CAROL = "carol@firm.test"
FIRST = Announced(uid_validity=7, uid_next=4, exists=3, highest_modseq=90)
ACCEPTED = RecipientResult(250, "2.1.5 fine", accepted=True)
UNKNOWN = RecipientResult(550, "5.1.1 nobody of that name", accepted=False)
TAKEN, NEVER = Reply(250, "2.0.0 queued"), Reply(554, "5.7.1 no")


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    """Asks for the people first: this session keeps others from writing."""
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    return mailbox_of(rows, bob)


def page(rows: Session, filters: Filters | None = None, after: Key | None = None) -> Page:
    return overview.page(rows, filters or Filters(), now=NOW, after=after, most=2)


def line(rows: Session) -> Line:
    """Of the one mailbox that there is."""
    rows.flush()
    (only,) = page(rows).lines
    return only


def addresses(rows: Session, filters: Filters) -> list[str]:
    rows.flush()
    return [one.address for one in overview.page(rows, filters, now=NOW).lines]


def refuse_at_smtp(rows: Session, mailbox: Mailbox, times: int = 3) -> None:
    """So many tries to send at which the server does not take the login."""
    message = queued(rows, mailbox, CAROL)
    for _ in range(times):
        assert outbox.claim(rows, message.id, HERE, NOW) is not None
        outbox.note_trouble(
            rows, message.id, HERE, cause="login_refused", words="no", permanent=False, now=NOW
        )


def other_service(rows: Session, name: str = "Other mail") -> MailService:
    return services.add(
        rows,
        ServiceSettings(
            name=name,
            imap=ServerSettings(ServerAddress("imap.other.test", 993), Security.TLS),
            smtp=ServerSettings(ServerAddress("smtp.other.test", 465), Security.TLS),
        ),
        author(),
    )


def give_own_servers(rows: Session, mailbox: Mailbox) -> None:
    own = OwnServers(
        imap_host="imap.own.test",
        imap_port=143,
        imap_security=Security.NONE,
        smtp_host="smtp.own.test",
        smtp_port=587,
        smtp_security=Security.STARTTLS,
    )
    rows.add(own)
    rows.flush()
    mailbox.service_id, mailbox.own_servers_id = None, own.id
    rows.flush()
    rows.refresh(mailbox)


# --- what is told -------------------------------------------------------------------------------


def test_a_mailbox_is_told_with_its_person_its_service_and_its_times(
    rows: Session, mailbox: Mailbox
) -> None:
    mailbox.last_received_at, mailbox.last_sent_at = NOW - HOUR, NOW - DAY
    assert line(rows) == Line(
        id=mailbox.id,
        person="Bob",
        active=True,
        address="bob@firm.test",
        login="bob@firm.test",
        service="Firm mail",
        service_deleted=False,
        state=MailboxState.WORKING,
        state_since=NOW,
        last_contact_at=NOW,
        last_received_at=NOW - HOUR,
        last_sent_at=NOW - DAY,
        imap_server=ServerAddress("imap.firm.test", 993),
        imap_cause="",
        imap_words="",
        smtp_server=ServerAddress("smtp.firm.test", 465),
        smtp_cause="",
        smtp_refuses=False,
    )


def test_servers_of_its_own_have_no_service(rows: Session, mailbox: Mailbox) -> None:
    give_own_servers(rows, mailbox)
    told = line(rows)
    assert (told.service, told.service_deleted) == ("", False)
    assert told.imap_server == ServerAddress("imap.own.test", 143)
    assert told.smtp_server == ServerAddress("smtp.own.test", 587)


def test_whose_person_is_disabled_or_whose_service_is_deleted_says_so(
    rows: Session, mailbox: Mailbox
) -> None:
    mailbox.user.active = False
    service_of(rows).deleted_at = NOW
    told = line(rows)
    assert (told.active, told.service, told.service_deleted) == (False, "Firm mail", True)


def test_a_servers_words_are_told_only_where_it_refused_a_login(
    rows: Session, mailbox: Mailbox
) -> None:
    of_login = {Cause.LOGIN_REFUSED, Cause.LOGIN_DISABLED, Cause.APP_PASSWORD_WANTED}
    for cause in Cause:
        error = MailServerError(Step.LOGIN, cause, "Subject: the secret plan")
        mailboxes.note_trouble(rows, mailbox.id, error, NOW)
        told = line(rows)
        assert told.imap_cause == cause
        assert bool(told.imap_words) is (cause in of_login), cause


@pytest.mark.parametrize("state", [state for state in MailboxState if state.is_withheld])
def test_what_former_servers_said_is_over_while_nobody_asks_the_present_ones(
    rows: Session, mailbox: Mailbox, state: MailboxState
) -> None:
    error = MailServerError(Step.LOGIN, Cause.LOGIN_REFUSED, "no")
    mailboxes.note_trouble(rows, mailbox.id, error, NOW)
    mailbox.state = state
    assert (line(rows).imap_cause, line(rows).imap_words) == ("", "")


def test_a_login_that_smtp_refuses_is_told_from_the_first_time_and_believed_at_the_third(
    rows: Session, mailbox: Mailbox
) -> None:
    refuse_at_smtp(rows, mailbox, 1)
    assert (line(rows).smtp_cause, line(rows).smtp_refuses) == ("login_refused", False)
    refuse_at_smtp(rows, mailbox, 1)
    assert not line(rows).smtp_refuses
    refuse_at_smtp(rows, mailbox, 1)
    assert (line(rows).smtp_cause, line(rows).smtp_refuses) == ("login_refused", True)


@pytest.mark.parametrize("own", [False, True])
def test_another_login_or_another_server_has_not_refused_anything_yet(
    rows: Session, mailbox: Mailbox, *, own: bool
) -> None:
    if own:
        give_own_servers(rows, mailbox)
    refuse_at_smtp(rows, mailbox)
    assert line(rows).smtp_refuses
    mailbox.servers.version += 1  # a name, a default or a domain was changed
    assert line(rows).smtp_refuses
    mailbox.servers.smtp_port += 1000
    assert (line(rows).smtp_cause, line(rows).smtp_refuses) == ("", False)
    mailbox.servers.smtp_port -= 1000
    assert line(rows).smtp_refuses
    mailbox.smtp_login = "bob"
    assert (line(rows).smtp_cause, line(rows).smtp_refuses) == ("", False)
    assert addresses(rows, Filters(broken=True)) == []


# --- which are broken ---------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(MailboxState))
def test_broken_is_what_needs_a_person_from_the_first_moment(
    rows: Session, mailbox: Mailbox, state: MailboxState
) -> None:
    mailbox.state, mailbox.state_since = state, NOW
    expected = [mailbox.address] if state.needs_person else []
    assert addresses(rows, Filters(broken=True)) == expected
    assert page(rows).broken == len(expected)


def test_broken_is_what_could_not_be_reached_for_more_than_an_hour(
    rows: Session, mailbox: Mailbox
) -> None:
    mailbox.state = MailboxState.UNREACHABLE
    for since, broken in ((NOW, 0), (NOW - HOUR, 0), (NOW - HOUR - SECOND, 1)):
        mailbox.state_since = since
        assert len(addresses(rows, Filters(broken=True))) == broken
        assert page(rows).broken == broken


def test_what_has_long_worked_is_not_broken(rows: Session, mailbox: Mailbox) -> None:
    mailbox.state_since = NOW - DAY
    assert addresses(rows, Filters(broken=True)) == []


def test_broken_is_what_smtp_refuses_for_good(rows: Session, mailbox: Mailbox) -> None:
    refuse_at_smtp(rows, mailbox, 2)
    assert page(rows, Filters(broken=True)).broken == 0
    refuse_at_smtp(rows, mailbox, 1)
    assert addresses(rows, Filters(broken=True)) == [mailbox.address]
    assert page(rows).broken == 1


def test_broken_ones_are_counted_whatever_is_shown(
    rows: Session, bob: User, mailbox: Mailbox
) -> None:
    mailbox.state = MailboxState.LOGIN_REFUSED
    for number in range(3):
        mailbox_of(rows, bob, f"{number}@firm.test").state = MailboxState.OVER_QUOTA
    rows.flush()
    found = page(rows, Filters(search="nothing like it"))
    assert (found.lines, found.last, found.broken) == ([], None, 4)


# --- which are wanted ---------------------------------------------------------------------------


def test_the_mailboxes_of_one_service_or_of_none_are_found(
    rows: Session, bob: User, carol: User, mailbox: Mailbox
) -> None:
    other = other_service(rows)
    hers, own = mailbox_of(rows, carol), mailbox_of(rows, bob, "own@firm.test")
    hers.service_id = other.id
    give_own_servers(rows, own)
    firm = service_of(rows)
    assert addresses(rows, Filters(service_id=firm.id)) == [mailbox.address]
    assert addresses(rows, Filters(service_id=other.id)) == [hers.address]
    assert addresses(rows, Filters(other=True)) == [own.address]
    assert addresses(rows, Filters()) == [mailbox.address, own.address, hers.address]


@pytest.mark.parametrize("state", ENDED)
def test_what_was_given_up_uses_no_server_and_is_counted_and_listed_with_none(
    rows: Session, bob: User, mailbox: Mailbox, state: MailboxState
) -> None:
    mailbox.state = state
    own = mailbox_of(rows, bob, "own@firm.test")
    give_own_servers(rows, own)
    own.state = state
    firm = service_of(rows)
    assert services.listed_one(rows, firm).mailboxes == 0
    assert addresses(rows, Filters(service_id=firm.id)) == []
    assert addresses(rows, Filters(other=True)) == []
    assert addresses(rows, Filters()) == [mailbox.address, own.address]
    assert overview.choices(rows, 0) == []


def test_filters_hold_together(rows: Session, bob: User, carol: User, mailbox: Mailbox) -> None:
    for person, address, state in (
        (bob, "b@firm.test", MailboxState.MOVED),
        (carol, "c@firm.test", MailboxState.MOVED),
    ):
        mailbox_of(rows, person, address).state = state
    wanted = Filters(broken=True, service_id=service_of(rows).id, search="bob")
    assert addresses(rows, wanted) == ["b@firm.test"]


@pytest.mark.parametrize(
    "search",
    [
        "анна",
        "АННА",
        "Ёжиков",
        "WEISS",
        "spring",
        "A.SPRING",
        "ospring",
        "box@FIRM",
        " firm \t анна",
        "firm",
    ],
)
def test_a_person_a_login_and_an_address_are_found_in_any_case(
    rows: Session, bob: User, search: str
) -> None:
    bob.name, bob.login = "Анна ёжикова-Weiß", "a.spring"
    mailbox_of(rows, rows.merge(bob), "Box@firm.test").login = "ospring"
    assert addresses(rows, Filters(search=search)) == ["Box@firm.test"]


@pytest.mark.parametrize("search", ["анна carol", "nna\ncarol", "%", "_", "springbox"])
def test_every_word_has_to_occur_as_it_stands(rows: Session, bob: User, search: str) -> None:
    bob.name, bob.login = "Анна", "a.spring"
    mailbox_of(rows, rows.merge(bob), "box@firm.test")
    assert addresses(rows, Filters(search=search)) == []


def test_a_search_for_nothing_finds_everything(rows: Session, mailbox: Mailbox) -> None:
    assert addresses(rows, Filters(search="  ")) == [mailbox.address]


def test_more_mailboxes_than_a_statement_takes_parameters_are_found(
    rows: Session, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = rows.connection().connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 100)
    ids = [*range(-200, 0), mailbox.id]
    monkeypatch.setattr(overview, "matching", lambda *_: mailbox_search.is_one_of(ids))
    assert addresses(rows, Filters(search="bob")) == [mailbox.address]


def test_the_services_that_mailboxes_have_are_offered_and_the_one_asked_for(
    rows: Session, bob: User, mailbox: Mailbox
) -> None:
    firm, unused, gone = service_of(rows), other_service(rows), other_service(rows, "A gone one")
    mailbox_of(rows, bob, "gone@firm.test").service_id = gone.id
    gone.deleted_at = NOW
    rows.flush()
    used = [
        Choice(gone.id, "A gone one", deleted=True),
        Choice(firm.id, "Firm mail", deleted=False),
    ]
    assert overview.choices(rows, 0) == used
    assert overview.choices(rows, firm.id) == used
    asked = Choice(unused.id, "Other mail", deleted=False)
    assert overview.choices(rows, unused.id) == [*used, asked]


# --- page after page ----------------------------------------------------------------------------


def test_each_mailbox_stands_on_one_page_by_person_whatever_the_case(
    session: Session, rows: Session, bob: User, carol: User
) -> None:
    names = ("zoe", "Alf", "alf2", "Bea")
    people = [bob, carol, *(add(session, name, Role.EMPLOYEE) for name in names)]
    people[4].name = "aLF"  # two of one name
    session.commit()
    made = [
        (person.name.lower(), mailbox_of(rows, person, f"{person.login}-{number}@firm.test").id)
        for number in range(3)
        for person in people
    ]
    seen = [page(rows)]
    while seen[-1].last is not None and len(seen) < 20:
        seen.append(page(rows, after=seen[-1].last))
    assert [len(one.lines) for one in seen] == [2] * 9
    found = [(one.person.lower(), one.id) for each in seen for one in each.lines]
    assert found == sorted(made)


def test_a_page_that_is_just_full_is_the_last(rows: Session, bob: User, mailbox: Mailbox) -> None:
    mailbox_of(rows, bob, "second@firm.test")
    assert (len(page(rows).lines), page(rows).last) == (2, None)


# --- last received, last sent -------------------------------------------------------------------


def test_the_newest_message_that_arrived_is_when_mail_was_last_received(
    rows: Session, mailbox: Mailbox
) -> None:
    assert mailbox.last_received_at is None
    inbox = inbox_of(rows, mailbox)
    batch = [
        fetched(letter(), uid, received_at=at)
        for uid, at in enumerate((NOW - DAY, NOW, NOW - HOUR), 1)
    ]
    folder_sync.store(rows, inbox, batch)
    assert line(rows).last_received_at == NOW


def test_older_messages_that_arrive_later_do_not_move_it_back(
    rows: Session, mailbox: Mailbox
) -> None:
    inbox = inbox_of(rows, mailbox)
    for uid, (at, expected) in enumerate(
        ((NOW, NOW), (NOW - DAY, NOW), (NOW + MINUTE, NOW + MINUTE)), 1
    ):
        folder_sync.store(rows, inbox, [fetched(letter(), uid, received_at=at)])
        assert line(rows).last_received_at == expected


@pytest.mark.parametrize(
    ("role", "counts"),
    [
        (None, True),
        ("archive", True),
        ("sent", False),
        ("drafts", False),
        ("trash", False),
        ("junk", False),
    ],
)
def test_what_lies_in_sent_drafts_trash_or_junk_was_not_received(
    rows: Session, mailbox: Mailbox, role: str | None, *, counts: bool
) -> None:
    remote = remote_folders(("INBOX", None), ("Place", role))
    ours, _changed = folders.follow(rows, mailbox.id, remote)
    place = next(one for one in ours if one.name == "Place")
    folder_sync.store(rows, rows.get_one(Folder, place.id), [fetched(letter(), 1)])
    assert line(rows).last_received_at == (NOW if counts else None)


def test_a_message_of_a_renumbered_folder_was_not_received_once_more(
    rows: Session, mailbox: Mailbox
) -> None:
    inbox, raw = inbox_of(rows, mailbox), letter()
    folder_sync.begin(rows, inbox, FIRST)
    folder_sync.store(rows, inbox, [fetched(raw, 1)])
    folder_sync.renumber(rows, inbox, FIRST)
    again = fetched(raw, 2, received_at=NOW + DAY)
    folder_sync.store(rows, inbox, [again])
    assert line(rows).last_received_at == NOW
    folder_sync.store(rows, inbox, [again, fetched(letter(), 3, received_at=NOW + MINUTE)])
    assert line(rows).last_received_at == NOW + MINUTE


def test_what_arrives_in_one_mailbox_says_nothing_of_another(
    rows: Session, carol: User, mailbox: Mailbox
) -> None:
    hers = mailbox_of(rows, carol)
    folder_sync.store(rows, inbox_of(rows, mailbox), [fetched(letter(), 1)])
    rows.refresh(hers)
    assert hers.last_received_at is None


def test_a_message_that_is_kept_nowhere_was_not_received(
    sessions: sessionmaker[Session], bob: User, session: Session
) -> None:
    """Both are of one transaction."""
    with sessions.begin() as first:
        mailbox_id = mailbox_of(first, bob).id
    with sessions() as second:
        inbox = inbox_of(second, second.get_one(Mailbox, mailbox_id))
        folder_sync.store(second, inbox, [fetched(letter(), 1)])
        second.rollback()
    assert session.get_one(Mailbox, mailbox_id).last_received_at is None


def test_when_a_server_took_a_message_is_when_mail_was_last_sent(
    rows: Session, mailbox: Mailbox
) -> None:
    for at, expected in ((NOW, NOW), (NOW + DAY, NOW + DAY), (NOW + HOUR, NOW + DAY)):
        message = queued(rows, mailbox, CAROL, now=at)
        assert outbox.claim(rows, message.id, HERE, at) is not None
        assert outbox.start_data(rows, message.id, HERE)
        outbox.settle(rows, message.id, HERE, {CAROL: ACCEPTED}, TAKEN, at)
        assert line(rows).last_sent_at == expected
        assert message.sent_at == at


@pytest.mark.parametrize("reply", [None, NEVER])
def test_what_nobody_took_was_not_sent(
    rows: Session, mailbox: Mailbox, reply: Reply | None
) -> None:
    message = queued(rows, mailbox, CAROL)
    assert outbox.claim(rows, message.id, HERE, NOW) is not None
    if reply is not None:
        assert outbox.start_data(rows, message.id, HERE)
    result = UNKNOWN if reply is None else ACCEPTED
    outbox.settle(rows, message.id, HERE, {CAROL: result}, reply, NOW)
    assert line(rows).last_sent_at is None
