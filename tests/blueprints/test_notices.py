"""Notices: what they ask for, with and without JavaScript, and where they stand."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import connection_tests, healing, notices, service_deletion
from jobs.tasks import Tasks
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from models import (
    ConnectionTest,
    ConnectionTestState,
    Folder,
    Mailbox,
    MailboxState,
    MailService,
    User,
    db,
)
from tests.conftest import FRAGMENT, PASSWORD, SignIn, author
from tests.mailroom import inbox_of, mailbox_of
from tests.notice_page import MAIL, Seen, notices_at, notices_in

SECRET = "canary-of-a-password"
POLL = {**FRAGMENT, "X-Poll": "yes"}
PASSWORD_STATES = [
    MailboxState.LOGIN_REFUSED,
    MailboxState.APP_PASSWORD_WANTED,
    MailboxState.SECRET_LOST,
]
TRIED_AGAIN = [
    MailboxState.CONNECTING,
    MailboxState.UNREACHABLE,
    MailboxState.CERTIFICATE_REFUSED,
    MailboxState.OVER_QUOTA,
]


@pytest.fixture
def box(session: Session, bob: User) -> Mailbox:
    return mailbox_of(session, bob)


@pytest.fixture
def bobs(bob: User, box: Mailbox, signed_in: SignIn) -> FlaskClient:
    return signed_in(bob)


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What the worker was told to look at."""
    told: list[tuple[str, int]] = []
    for name in ("mailbox", "connection_test"):
        monkeypatch.setattr(Tasks, name, lambda _self, key, name=name: told.append((name, key)))
    return told


def put(
    session: Session, box: Mailbox, state: MailboxState, *, ago: timedelta = timedelta(0)
) -> None:
    now = datetime.now(UTC)
    box.state, box.state_since = state, now - ago
    box.next_contact_at = now + timedelta(hours=1)
    session.commit()


def password(box: Mailbox) -> str:
    return f"/profile/mail/{box.id}/password"


def try_now(box: Mailbox) -> str:
    return f"/profile/mail/{box.id}/try"


def newest(session: Session) -> ConnectionTest:
    session.expire_all()
    return session.scalars(select(ConnectionTest).order_by(ConnectionTest.id.desc())).first() or (
        pytest.fail("nothing was tried")
    )


def of_box(session: Session) -> list[ConnectionTest]:
    session.expire_all()
    return list(
        session.scalars(select(ConnectionTest).where(ConnectionTest.sealed_password != b""))
    )


def only(page: str) -> Seen:
    (seen,) = notices_in(page)
    return seen


# --- the password ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", PASSWORD_STATES)
def test_the_password_is_typed_right_in_the_notice(
    session: Session, box: Mailbox, bobs: FlaskClient, state: MailboxState
) -> None:
    put(session, box, state)
    (seen,) = notices_at(bobs)
    assert seen.buttons == ["Save password"]
    assert seen.address == password(box)
    (field,) = re.findall(r'<input class="form-control"[^>]*>', seen.html)
    assert 'type="password"' in field
    assert 'name="password"' in field
    assert 'autocomplete="off"' in field
    assert "value=" not in field
    name = re.search(r' id="([^"]+)"', field)
    assert name is not None
    assert f'<label for="{name[1]}">Password of bob@firm.test</label>' in seen.html


def test_without_javascript_it_leads_to_the_page_that_watches_the_try(
    session: Session, box: Mailbox, bobs: FlaskClient, woken: list[tuple[str, int]]
) -> None:
    put(session, box, MailboxState.LOGIN_REFUSED)
    answer = bobs.post(password(box), data={"password": SECRET})
    test = newest(session)
    assert (answer.status_code, answer.location) == (303, f"/profile/mail/connect/{test.uuid}")
    assert woken == [("connection_test", test.id)]
    assert SECRET not in bobs.get(answer.location).text
    (seen,) = notices_at(bobs)
    assert "Trying the password…" in seen.html
    assert "Look again" in seen.html


def test_in_the_notice_it_is_tried_and_then_the_sentence_or_nothing_stands_there(
    session: Session, box: Mailbox, bobs: FlaskClient, woken: list[tuple[str, int]]
) -> None:
    put(session, box, MailboxState.LOGIN_REFUSED)
    answer = bobs.post(password(box), data={"password": SECRET}, headers=FRAGMENT)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert SECRET not in answer.text
    seen = only(answer.text)
    assert "Trying the password…" in seen.html
    assert "<form" not in seen.html
    assert f'hx-get="{password(box)}"' in seen.html
    assert 'hx-swap="none"' in seen.html  # an answer that is no notice must not replace them
    assert woken == [("connection_test", newest(session).id)]

    assert bobs.get(password(box), headers=POLL).status_code == 204
    error = MailServerError(Step.LOGIN, Cause.LOGIN_REFUSED, "no")
    connection_tests.fail(session, newest(session).id, Protocol.IMAP, error)
    session.commit()
    answer = bobs.get(password(box), headers=POLL)
    assert answer.text.startswith('<hx-partial hx-target="#notices"')
    seen = only(answer.text)
    assert "imap.firm.test:993 refused login or password. Type them again." in seen.html
    assert seen.buttons == ["Save password"]
    assert "hx-get" not in seen.html

    bobs.post(password(box), data={"password": SECRET}, headers=FRAGMENT)
    test = newest(session)
    box.state, box.state_since = MailboxState.CONNECTING, datetime.now(UTC)
    box.last_contact_at = datetime.now(UTC)
    test.state = ConnectionTestState.SUCCEEDED
    session.commit()
    answer = bobs.get(password(box), headers=POLL)
    assert (answer.status_code, notices_in(answer.text)) == (200, [])


@pytest.mark.parametrize("typed", ["", "two\nlines"])
def test_what_cannot_be_a_password_is_refused_at_the_field(
    session: Session, box: Mailbox, bobs: FlaskClient, typed: str, woken: list[tuple[str, int]]
) -> None:
    put(session, box, MailboxState.LOGIN_REFUSED)
    sentence = "Leave out line breaks" if typed else "Type the password of the mailbox."
    answer = bobs.post(password(box), data={"password": typed}, headers=FRAGMENT)
    assert answer.status_code == 422
    seen = only(answer.text)
    assert sentence in seen.html
    assert 'aria-invalid="true"' in seen.html
    described = re.search(r'aria-describedby="([^"]+)"', seen.html)
    assert described is not None
    assert f'id="{described[1]}"' in seen.html
    page = bobs.post(password(box), data={"password": typed})
    assert page.status_code == 422
    assert sentence in page.text
    assert "<html" in page.text
    assert of_box(session) == []
    assert woken == []


def test_of_two_mailboxes_the_refused_one_says_so(
    session: Session, bob: User, box: Mailbox, bobs: FlaskClient
) -> None:
    other = mailbox_of(session, bob, "sales@firm.test")
    for one in (box, other):
        put(session, one, MailboxState.LOGIN_REFUSED)
    answer = bobs.post(password(other), data={"password": ""}, headers=FRAGMENT)
    first, second = notices_in(answer.text)
    assert "aria-invalid" not in first.html
    assert "aria-invalid" in second.html
    bobs.post(password(other), data={"password": SECRET}, headers=FRAGMENT)
    first, second = notices_at(bobs)
    assert "<form" in first.html
    assert "Trying" in second.html
    assert bobs.get(password(box), headers=POLL).status_code == 200
    assert bobs.get(password(other), headers=POLL).status_code == 204


def test_a_try_that_nobody_makes_is_given_up_after_ten_minutes(
    session: Session, box: Mailbox, bobs: FlaskClient
) -> None:
    put(session, box, MailboxState.LOGIN_REFUSED)
    bobs.post(password(box), data={"password": SECRET}, headers=FRAGMENT)
    newest(session).created_at -= connection_tests.RETRY_LASTS
    session.commit()
    assert "<form" in only(bobs.get(password(box), headers=POLL).text).html


def test_an_earlier_failure_is_forgotten_once_a_password_was_taken(
    session: Session, box: Mailbox, bobs: FlaskClient
) -> None:
    put(session, box, MailboxState.LOGIN_REFUSED)
    for state in (ConnectionTestState.FAILED, ConnectionTestState.SUCCEEDED):
        bobs.post(password(box), data={"password": SECRET}, headers=FRAGMENT)
        test = newest(session)
        test.state, test.cause = state, Cause.LOGIN_REFUSED.value
        session.commit()
    (seen,) = notices_at(bobs)
    assert "field-error" not in seen.html
    assert seen.buttons == ["Save password"]


def test_whoever_is_signed_out_meanwhile_keeps_the_page(
    session: Session, box: Mailbox, bobs: FlaskClient
) -> None:
    put(session, box, MailboxState.LOGIN_REFUSED)
    bobs.post("/sign-out")
    answer = bobs.get(password(box), headers=POLL)
    assert answer.status_code == 401
    assert 'id="notices"' not in answer.text


def test_the_page_of_a_new_password_is_there_for_who_has_no_javascript(
    session: Session, box: Mailbox, bobs: FlaskClient
) -> None:
    put(session, box, MailboxState.LOGIN_REFUSED)
    bobs.get(MAIL, follow_redirects=True)
    page = bobs.get(password(box))
    assert page.status_code == 200
    assert page.text.count('type="password"') == 1
    assert notices_in(page.text) == []
    assert bobs.head(password(box), headers=FRAGMENT).status_code in {200, 204}


# --- try now --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", TRIED_AGAIN)
def test_try_now_makes_the_visit_due_and_wakes_the_worker_once(
    session: Session,
    box: Mailbox,
    bobs: FlaskClient,
    woken: list[tuple[str, int]],
    state: MailboxState,
) -> None:
    put(session, box, state, ago=timedelta(minutes=5))
    (seen,) = notices_at(bobs)
    assert (seen.buttons, seen.address) == (["Try now"], try_now(box))
    for _ in range(5):
        answer = bobs.post(seen.address, headers=FRAGMENT)
        assert answer.status_code == 200
        assert "bob@firm.test is being tried." in answer.text
        assert only(answer.text).sentence == seen.sentence
    session.expire_all()
    assert box.next_contact_at <= datetime.now(UTC)
    assert box.state is state
    assert woken == [("mailbox", box.id)]


def test_without_javascript_try_now_leads_back_to_mail(
    session: Session, box: Mailbox, bobs: FlaskClient, woken: list[tuple[str, int]]
) -> None:
    put(session, box, MailboxState.UNREACHABLE)
    answer = bobs.post(try_now(box))
    assert (answer.status_code, answer.location) == (303, MAIL)
    assert "bob@firm.test is being tried." in bobs.get(MAIL, follow_redirects=True).text
    assert woken == [("mailbox", box.id)]


@pytest.mark.parametrize("state", [one for one in MailboxState if one not in TRIED_AGAIN])
def test_nothing_that_only_a_person_can_heal_is_tried_by_it(
    session: Session,
    box: Mailbox,
    bobs: FlaskClient,
    woken: list[tuple[str, int]],
    state: MailboxState,
) -> None:
    put(session, box, state)
    assert bobs.post(try_now(box)).status_code == 303
    session.expire_all()
    assert box.next_contact_at > datetime.now(UTC)
    assert woken == []


# --- the other buttons ----------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_who_agrees_is_connected(
    session: Session,
    box: Mailbox,
    bobs: FlaskClient,
    woken: list[tuple[str, int]],
    headers: dict[str, str],
) -> None:
    put(session, box, MailboxState.MOVED)
    box.agreed_domains = ["old.test"]
    session.commit()
    (seen,) = notices_at(bobs)
    assert seen.buttons == ["Agree"]
    answer = bobs.post(seen.address, headers=headers)
    assert answer.status_code == (200 if headers else 303)
    assert notices_at(bobs) == []
    assert woken == [("mailbox", box.id)]


def test_the_address_of_a_deleted_service_is_filled_in_where_it_is_connected_anew(
    session: Session, box: Mailbox, bobs: FlaskClient
) -> None:
    put(session, box, MailboxState.SERVICE_DELETED)
    (seen,) = notices_at(bobs)
    assert seen.buttons == ["Connect another mailbox"]
    assert seen.address == "/profile/mail/connect?address=bob@firm.test"
    assert 'value="bob@firm.test"' in bobs.get(seen.address).text


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_news_is_read_once(
    session: Session, box: Mailbox, bobs: FlaskClient, headers: dict[str, str]
) -> None:
    tell(session, box)
    (seen,) = notices_at(bobs)
    assert seen.buttons == ["Got it"]
    assert bobs.post(seen.address, headers=headers).status_code == (200 if headers else 303)
    assert notices_at(bobs) == []


def tell(session: Session, box: Mailbox) -> None:
    assert box.service is not None
    change: dict[str, tuple[object, object]] = {"imap_server": ("a.test:993", "b.test:993")}
    notices.servers_changed(session, box.service, change, datetime.now(UTC))
    session.commit()


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
@pytest.mark.parametrize("verb", ["password", "try", "agree"])
def test_nobody_elses_mailbox_is_touched(
    session: Session,
    box: Mailbox,
    carol: User,
    alice: User,
    signed_in: SignIn,
    woken: list[tuple[str, int]],
    headers: dict[str, str],
    verb: str,
) -> None:
    put(session, box, MailboxState.MOVED if verb == "agree" else MailboxState.UNREACHABLE)
    for person in (carol, alice):
        answer = signed_in(person).post(
            f"/profile/mail/{box.id}/{verb}", data={"password": SECRET}, headers=headers
        )
        assert answer.status_code == 404
    session.expire_all()
    assert box.next_contact_at > datetime.now(UTC)
    assert (of_box(session), woken) == ([], [])


def test_nobody_elses_news_is_dismissed(
    session: Session, bob: User, box: Mailbox, carol: User, signed_in: SignIn
) -> None:
    tell(session, box)
    notice = notices.of_person(session, bob)[0]
    for headers in ({}, FRAGMENT):
        answer = signed_in(carol).post(f"/profile/notices/{notice.id}/dismiss", headers=headers)
        assert answer.status_code == 404
    assert notices.of_person(session, bob) != []


# --- what gives a notice --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state", [MailboxState.WORKING, MailboxState.REMOVING, MailboxState.DISCONNECTED]
)
def test_what_asks_for_nothing_gives_no_notice(
    session: Session, box: Mailbox, bobs: FlaskClient, state: MailboxState
) -> None:
    put(session, box, state, ago=timedelta(days=1))
    assert notices_at(bobs) == []


def test_connecting_is_told_when_it_lasts_or_was_never_done(
    session: Session, box: Mailbox, bobs: FlaskClient
) -> None:
    put(session, box, MailboxState.CONNECTING, ago=timedelta(seconds=5))
    assert notices_at(bobs) == []
    put(session, box, MailboxState.CONNECTING, ago=timedelta(seconds=15))
    assert len(notices_at(bobs)) == 1
    put(session, box, MailboxState.CONNECTING)
    box.last_contact_at = None
    session.commit()
    (seen,) = notices_at(bobs)
    assert seen.sentence.startswith("bob@firm.test is being connected")


def test_how_far_it_is_counts_the_messages_of_all_its_folders(
    session: Session, bob: User, box: Mailbox, bobs: FlaskClient
) -> None:
    other = mailbox_of(session, bob, "sales@firm.test")
    inbox_of(session, other).remote_total = 1000
    put(session, box, MailboxState.CONNECTING, ago=timedelta(minutes=1))
    folders = session.scalars(select(Folder).where(Folder.mailbox_id == box.id)).all()
    for folder, (total, remote) in zip(folders, [(40, 50), (0, 20), (5, 5)], strict=True):
        folder.total, folder.remote_total = total, remote
    session.commit()
    (seen,) = notices_at(bobs)
    assert "45 of 75 messages are here so far." in seen.sentence
    (page,) = re.findall(
        r'<div class="notice notice-progress"[^>]*>',
        bobs.get(f"/mail/mailboxes/{box.id}", follow_redirects=True).text,
    )
    assert 'aria-live="off"' in page


def test_the_help_of_the_provider_stands_where_an_app_password_is_wanted(
    session: Session, box: Mailbox, bobs: FlaskClient
) -> None:
    assert box.service is not None
    box.service.help_url = "https://provider.test/help"
    put(session, box, MailboxState.APP_PASSWORD_WANTED)
    (seen,) = notices_at(bobs)
    assert '<a href="https://provider.test/help" target="_blank" rel="noopener' in seen.html
    put(session, box, MailboxState.LOGIN_REFUSED)
    (seen,) = notices_at(bobs)
    assert "provider.test" not in seen.html
    box.service.help_url = ""
    put(session, box, MailboxState.APP_PASSWORD_WANTED)
    (seen,) = notices_at(bobs)
    assert "How to get one" not in seen.html


def test_trouble_comes_before_news_and_each_has_an_id_of_its_own(
    session: Session, bob: User, box: Mailbox, bobs: FlaskClient
) -> None:
    other = mailbox_of(session, bob, "sales@firm.test")
    tell(session, box)
    for one in (box, other):
        put(session, one, MailboxState.OVER_QUOTA)
    page = bobs.get(MAIL, follow_redirects=True).text
    ids = re.findall(r'<div class="notice [^"]*" id="([^"]+)"', page)
    assert ids[:2] == [f"notice-mailbox-{box.id}", f"notice-mailbox-{other.id}"]
    assert len(set(ids)) == len(ids) == 4


# --- at sign-in -----------------------------------------------------------------------------------

PLACES = ["/profile/", "/profile/mail", "/administration/mail/services/", "/nowhere"]


@pytest.fixture
def alices(session: Session, alice: User) -> Mailbox:
    return mailbox_of(session, alice)


@pytest.mark.parametrize("place", PLACES)
def test_whoever_signs_in_elsewhere_is_told_on_the_first_page(
    session: Session, app: Flask, alice: User, alices: Mailbox, signed_in: SignIn, place: str
) -> None:
    put(session, alices, MailboxState.LOGIN_REFUSED)
    client = signed_in(alice)
    (seen,) = notices_at(client, place)
    assert "alice@firm.test" in seen.sentence
    assert notices_at(client, place) == []
    assert needing(client.get("/profile/").text) == 1
    client.post("/sign-out")
    client.post("/sign-in", data={"login": "alice", "password": PASSWORD})
    assert len(notices_at(client, place)) == 1


def test_whoever_saw_them_at_mail_is_not_told_again(
    session: Session, alice: User, alices: Mailbox, signed_in: SignIn
) -> None:
    put(session, alices, MailboxState.LOGIN_REFUSED)
    client = signed_in(alice)
    assert len(notices_at(client)) == 1
    assert notices_at(client, "/profile/") == []
    assert len(notices_at(client)) == 1


def test_a_server_that_is_only_out_of_reach_is_told_too_and_asks_for_nobody(
    session: Session, alice: User, alices: Mailbox, signed_in: SignIn
) -> None:
    put(session, alices, MailboxState.UNREACHABLE)
    client = signed_in(alice)
    assert len(notices_at(client, "/profile/")) == 1
    assert needing(client.get("/profile/").text) == 0


def test_news_is_told_at_sign_in(
    session: Session, alice: User, alices: Mailbox, signed_in: SignIn
) -> None:
    tell(session, alices)
    assert len(notices_at(signed_in(alice), "/profile/")) == 1


def test_the_mark_counts_the_mailboxes_that_need_their_owner(
    session: Session, bob: User, alice: User, box: Mailbox, bobs: FlaskClient, signed_in: SignIn
) -> None:
    page = bobs.get("/profile/").text
    assert needing(page) == 0
    assert "rail-count" not in page
    other = mailbox_of(session, bob, "sales@firm.test")
    for one, state in ((box, MailboxState.LOGIN_REFUSED), (other, MailboxState.DISCONNECTED)):
        put(session, one, state)
    assert needing(bobs.get("/profile/").text) == 1
    put(session, other, MailboxState.MOVED)
    page = bobs.get("/profile/").text
    assert needing(page) == 2
    assert 'title="2 mailboxes need you"' in page
    # Where the notices stand it would only be out of date.
    assert needing(bobs.get(MAIL, follow_redirects=True).text) == 0
    assert needing(signed_in(alice).get("/profile/").text) == 0


def needing(page: str) -> int:
    found = re.search(r'<span class="rail-count number"><span aria-hidden="true">(\d+)<', page)
    return int(found[1]) if found else 0


def test_it_costs_a_page_one_statement_for_everybody(
    app: Flask, session: Session, bob: User, signed_in: SignIn
) -> None:
    for number in range(3):
        mailbox_of(session, bob, f"b{number}@firm.test")
    client = signed_in(bob)
    with statements(app) as first:
        assert client.get("/profile/").status_code == 200
    with statements(app) as later:
        assert client.get("/profile/").status_code == 200
    of_mail = [one for one in later if "mailbox" in one or "notice" in one]
    assert len(of_mail) == 1
    assert len(first) == len(later)
    plan = str(explain(session, bob))
    assert "SCAN mailbox" not in plan
    assert "SCAN notice" not in plan


def explain(session: Session, person: User) -> list[str]:
    statement = healing._GLANCE.params(person=person.id).compile(
        dialect=session.get_bind().dialect, compile_kwargs={"literal_binds": True}
    )
    return [str(row) for row in session.execute(sa.text(f"EXPLAIN QUERY PLAN {statement}"))]


def test_a_page_that_brings_its_own_notices_asks_nothing_more(
    app: Flask, session: Session, bobs: FlaskClient, box: Mailbox
) -> None:
    bobs.get(MAIL, follow_redirects=True)
    with statements(app) as asked:
        bobs.get(f"/mail/folders/{inbox_of(session, box).id}")
    assert not any("SELECT (SELECT count" in one for one in asked)


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    found: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        found.append(statement)

    with app.app_context():
        sa.event.listen(db.engine, "before_cursor_execute", note)
    yield found
    with app.app_context():
        sa.event.remove(db.engine, "before_cursor_execute", note)


def test_a_page_that_shows_an_error_without_a_database_asks_it_nothing(
    app: Flask, bobs: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bobs.get(MAIL)
    app.testing = False
    broken = sa.exc.OperationalError("SELECT", {}, Exception("gone"))

    def fails(*_args: object) -> None:
        raise broken

    monkeypatch.setattr("web.notices.healing.glance", fails)
    answer = bobs.get("/profile/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text


def test_a_service_that_was_deleted_and_came_back_leaves_no_notice(
    session: Session, box: Mailbox, bobs: FlaskClient
) -> None:
    service = session.get_one(MailService, box.service_id)
    service_deletion.delete(session, service, author())
    session.commit()
    assert len(notices_at(bobs)) == 1
    service_deletion.restore(session, service, author())
    session.commit()
    assert notices_at(bobs) == []
