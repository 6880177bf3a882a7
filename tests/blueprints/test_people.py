"""Administration / People."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from domain import people, removal
from domain.changelog import first_broken
from models import ChangeLogEntry, Folder, Mailbox, MailboxState, Role, User
from models.mailboxes import ENDED
from tests.conftest import FRAGMENT, PASSWORD, SignIn, add, author
from tests.mailroom import dump, inbox_of, mailbox_of

LIST = "/administration/people/"
ADD = "/administration/people/add"
DAVE = {"name": "Dave", "login": "Dave", "role": "EMPLOYEE"}


def test_alice_adds_dave_without_javascript(
    alice: User, signed_in: SignIn, session: Session
) -> None:
    client = signed_in(alice)
    assert "<form" in client.get(ADD).text
    page = client.post(ADD, data=DAVE)
    assert "/invitation/" in page.text
    dave = session.scalars(select(User).where(User.login == "dave")).one()
    assert (dave.name, dave.role, dave.password_hash) == ("Dave", Role.EMPLOYEE, None)


def test_alice_adds_dave_in_a_window(alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    window = client.get(ADD, headers=FRAGMENT).text
    assert window.lstrip().startswith("<dialog")
    answer = client.post(ADD, data=DAVE, headers=FRAGMENT).text
    assert "/invitation/" in answer
    assert "Dave" in answer
    assert "<html" not in answer


def test_a_login_that_is_taken_is_refused_and_everything_typed_is_kept(
    alice: User, bob: User, signed_in: SignIn
) -> None:
    answer = signed_in(alice).post(
        ADD, data={"name": "Robert", "login": "BOB", "role": "ADMINISTRATOR"}, headers=FRAGMENT
    )
    assert answer.status_code == 422
    assert 'value="Robert"' in answer.text
    assert 'value="BOB"' in answer.text
    assert "login-error" in answer.text


def test_a_login_with_a_space_or_a_name_without_letters_is_refused(
    alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    for typed in ({"login": "dave smith"}, {"login": ""}, {"name": " "}, {"name": "x" * 101}):
        assert client.post(ADD, data={**DAVE, **typed}).status_code == 422


def test_an_employee_adds_nobody(bob: User, signed_in: SignIn, session: Session) -> None:
    assert signed_in(bob).post(ADD, data=DAVE).status_code == 404
    assert session.scalar(select(User).where(User.login == "dave")) is None


def test_somebody_who_does_not_exist_gets_no_link(alice: User, signed_in: SignIn) -> None:
    assert signed_in(alice).post("/administration/people/99999/link").status_code == 404


def test_who_was_added_by_whom_stands_in_the_change_log(
    client: FlaskClient, alice: User, signed_in: SignIn, session: Session
) -> None:
    signed_in(alice).post(ADD, data=DAVE)
    entry = session.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id.desc())).first()
    assert entry is not None
    assert (entry.author_name, entry.action, entry.subject_name) == ("Alice", "people.add", "Dave")
    assert entry.changes["login"] == [None, "dave"]
    key = client.application.extensions["postroom_keys"].change_log
    # The fixture's people were added with a key of its own.
    assert first_broken(session, key) == 1


# A row and what can be done


class Woken:
    """Stands where the word to the worker goes out, and keeps it."""

    def __init__(self) -> None:
        self.said: list[int] = []

    def removing(self, mailbox_id: int) -> None:
        self.said.append(mailbox_id)


@pytest.fixture
def woken(app: Flask) -> Woken:
    woken = Woken()
    app.extensions["postroom_tasks"] = woken
    return woken


@pytest.fixture
def alices(alice: User, bob: User, signed_in: SignIn, woken: Woken) -> FlaskClient:
    return signed_in(alice)


@pytest.fixture
def mailbox(session: Session, bob: User) -> Mailbox:
    found = mailbox_of(session, bob)
    # Counters alone: nobody counts messages for this page.
    inbox_of(session, found).total = 1234
    session.commit()
    return found


def at(person: User, verb: str) -> str:
    return f"{LIST}{person.id}/{verb}"


def fresh(session: Session, person: User) -> User:
    session.expire_all()
    return session.get_one(User, person.id)


def disable(session: Session, person: User) -> None:
    people.disable(session, fresh(session, person), author())
    session.commit()


def row_of(page: str, person: User) -> str:
    found = re.search(rf'<tr id="person-{person.id}".*?</tr>', page, re.S)
    assert found is not None
    return found[0]


def offers(row: str) -> set[str]:
    return set(re.findall(r'(?:action|href)="/administration/people/\d+/([\w-]+)"', row))


def alerts(page: str) -> str:
    """What the toast says that stays until it is closed."""
    toasts = page[page.index('id="toasts"') :]
    found = re.search(r'toast-failed">.*?<span>(.*?)</span>', toasts, re.S)
    return found[1] if found else ""


def actions(session: Session) -> list[str]:
    found = session.scalars(select(ChangeLogEntry.action).order_by(ChangeLogEntry.id)).all()
    return [action for action in found if action != "people.add"]


def test_each_row_says_role_state_password_and_mailboxes(
    alices: FlaskClient, session: Session, alice: User, bob: User, carol: User
) -> None:
    for address in ("bob@firm.test", "info@firm.test"):
        mailbox_of(session, bob, address)
    dave, _ = people.add_person(session, name="Dave", login="dave", role=Role.EMPLOYEE, by=author())
    disable(session, carol)
    page = alices.get(LIST).text
    words = {
        alice: ("Administrator", "active", "password set", "–"),
        bob: ("Employee", "active", "password set", "2 mailboxes"),
        carol: ("Employee", "disabled", "password set", "–"),
        dave: ("Employee", "active", "no password yet", "–"),
    }
    for person, wanted in words.items():
        row = row_of(page, person)
        text = " ".join(re.sub(r"<[^>]+>", " ", row).split())
        assert all(word in text for word in (person.name, person.login, *wanted)), text
        assert ('class="is-disabled"' in row) is (person is carol)


def test_a_row_offers_what_can_be_done_and_nothing_that_locks_oneself_out(
    alices: FlaskClient, session: Session, alice: User, bob: User, carol: User, mailbox: Mailbox
) -> None:
    adam = add(session, "Adam", Role.ADMINISTRATOR)
    disable(session, carol)
    page = alices.get(LIST).text
    assert offers(row_of(page, alice)) == {"link"}
    assert offers(row_of(page, adam)) == {"link", "make-employee", "disable"}
    assert offers(row_of(page, bob)) == {"link", "make-administrator", "disable"}
    assert offers(row_of(page, carol)) == {"enable"}
    disable(session, bob)
    assert offers(row_of(alices.get(LIST).text, bob)) == {"enable", "delete-mail"}
    removal.begin_removal(session, session.get_one(Mailbox, mailbox.id), author().now)
    session.commit()
    row = row_of(alices.get(LIST).text, bob)
    assert "mail is being deleted" in row
    assert offers(row) == {"enable", "delete-mail"}


# Disabling and enabling


def test_what_follows_is_said_before_alice_disables_bob_without_javascript(
    alices: FlaskClient, session: Session, bob: User, mailbox: Mailbox
) -> None:
    page = alices.get(at(bob, "disable")).text
    assert "Bob is signed out everywhere and cannot sign in." in page
    assert "Nothing is received or sent any more for: bob@firm.test." in page
    assert fresh(session, bob).active
    answer = alices.post(at(bob, "disable"))
    assert (answer.status_code, answer.location) == (303, LIST)
    assert not fresh(session, bob).active
    page = alices.get(LIST).text
    assert "Bob is disabled." in page
    toasts = page[page.index('id="toasts"') :]
    assert f'action="{at(bob, "enable")}"' in toasts
    assert "Undo" in toasts


@pytest.mark.parametrize("state", ENDED)
def test_of_a_mailbox_that_was_given_up_nothing_is_said(
    alices: FlaskClient, session: Session, bob: User, mailbox: Mailbox, state: MailboxState
) -> None:
    session.get_one(Mailbox, mailbox.id).state = state
    session.commit()
    page = alices.get(at(bob, "disable")).text
    assert "is signed out everywhere" in page
    assert "bob@firm.test" not in page


def test_whoever_only_asks_for_the_headers_disables_nobody(
    alices: FlaskClient, session: Session, bob: User
) -> None:
    assert alices.head(at(bob, "disable")).status_code == 200
    assert fresh(session, bob).active


def test_alice_disables_bob_in_a_window_and_the_row_is_swapped_with_a_way_back(
    alices: FlaskClient, session: Session, bob: User, carol: User
) -> None:
    window = alices.get(at(bob, "disable"), headers=FRAGMENT).text
    assert window.lstrip().startswith("<dialog")
    assert "any more for" not in window  # no mailbox is connected
    answer = alices.post(at(bob, "disable"), headers=FRAGMENT)
    assert_is_row_of(answer, bob)
    assert answer.headers["HX-Trigger"] == "postroom:close-window"
    assert (
        f'hx-post="{at(bob, "enable")}" hx-sync="this:drop" hx-target="#person-{bob.id}"'
        in (answer.text[answer.text.index('id="toasts"') :])
    )
    assert "Carol" not in answer.text
    assert not fresh(session, bob).active


def assert_is_row_of(answer: TestResponse, person: User, status: int = 200) -> None:
    assert answer.status_code == status
    assert answer.text.lstrip().startswith(f'<tr id="person-{person.id}"')
    assert answer.text.count("<tr") == 1
    assert answer.headers["HX-Retarget"] == f"#person-{person.id}"
    assert answer.headers["HX-Reswap"] == "outerHTML"


def test_bob_is_signed_out_at_once_and_signs_in_with_his_password_afterwards(
    alices: FlaskClient, bob: User, signed_in: SignIn, client: FlaskClient
) -> None:
    bobs = signed_in(bob)
    assert bobs.get("/profile/").status_code == 200
    alices.post(at(bob, "disable"))
    assert bobs.get("/profile/").location.startswith("/sign-in")
    typed = {"login": "bob", "password": PASSWORD}
    assert client.post("/sign-in", data=typed).status_code == 422
    alices.post(at(bob, "enable"))
    assert bobs.get("/profile/").location.startswith("/sign-in")
    assert client.post("/sign-in", data=typed).status_code == 303


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_alice_enables_bob_again(
    alices: FlaskClient, session: Session, bob: User, headers: dict[str, str]
) -> None:
    disable(session, bob)
    answer = alices.post(at(bob, "enable"), headers=headers)
    if headers:
        assert_is_row_of(answer, bob)
        assert "Bob is enabled." in answer.text
        assert "Undo" not in answer.text
    else:
        assert (answer.status_code, answer.location) == (303, LIST)
    assert fresh(session, bob).active
    assert actions(session) == ["people.disable", "people.enable"]


def test_a_link_for_somebody_disabled_is_refused_with_the_reason(
    alices: FlaskClient, session: Session, bob: User
) -> None:
    disable(session, bob)
    for headers in ({}, FRAGMENT):
        answer = alices.post(at(bob, "link"), headers=headers)
        assert answer.status_code == 422
        assert alerts(answer.text) == "Bob is disabled. Enable Bob first."
        assert "/invitation/" not in answer.text
        assert ("<html" in answer.text) is (not headers)


# Roles


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_alice_makes_bob_an_administrator_and_an_employee_again(
    alices: FlaskClient, session: Session, bob: User, headers: dict[str, str]
) -> None:
    for verb, role, words in (
        ("make-administrator", Role.ADMINISTRATOR, "Bob is an administrator now."),
        ("make-employee", Role.EMPLOYEE, "Bob is an employee now."),
    ):
        answer = alices.post(at(bob, verb), headers=headers)
        if headers:
            assert_is_row_of(answer, bob)
            assert words in answer.text
        else:
            assert (answer.status_code, answer.location) == (303, LIST)
            assert words in alices.get(LIST).text
        assert fresh(session, bob).role is role
    assert actions(session) == ["people.role", "people.role"]


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
@pytest.mark.parametrize("verb", ["disable", "make-employee"])
@pytest.mark.parametrize("others", [0, 1])
def test_nobody_is_left_without_an_administrator_and_nobody_locks_themself_out(
    alices: FlaskClient,
    session: Session,
    alice: User,
    headers: dict[str, str],
    verb: str,
    others: int,
) -> None:
    if others:
        add(session, "Adam", Role.ADMINISTRATOR)
    before = dump(session, but=["session"])
    answer = alices.post(at(alice, verb), headers=headers)
    assert answer.status_code == 422
    assert ("<html" in answer.text) is (not headers)
    words = (
        "Only another administrator can do this to you."
        if others
        else "Alice is the last active administrator. Make somebody else an administrator first."
    )
    assert words in answer.text
    assert dump(session, but=["session"]) == before
    if verb == "disable":
        assert answer.text.lstrip().startswith("<dialog") is bool(headers)
        assert 'role="alert"' in answer.text
    elif headers:
        assert_is_row_of(answer, alice, 422)


# Deleting mail


def test_the_mail_of_somebody_active_is_not_deleted_and_the_page_says_what_to_do(
    alices: FlaskClient, session: Session, bob: User, mailbox: Mailbox
) -> None:
    page = alices.get(at(bob, "delete-mail")).text
    assert "Bob is active. Disable Bob first." in page
    assert f'href="{at(bob, "disable")}"' in page
    assert 'name="login"' not in page
    before = dump(session, but=["session"])
    for headers in ({}, FRAGMENT):
        answer = alices.post(at(bob, "delete-mail"), data={"login": "bob"}, headers=headers)
        assert answer.status_code == 422
        assert "Bob is active. Disable Bob first." in answer.text
    assert dump(session, but=["session"]) == before


def test_before_mail_is_deleted_the_numbers_are_shown_and_the_login_is_typed(
    alices: FlaskClient, session: Session, bob: User, mailbox: Mailbox, woken: Woken
) -> None:
    mailbox_of(session, bob, "info@firm.test")
    disable(session, bob)
    page = alices.get(at(bob, "delete-mail")).text
    assert re.search(r"bob@firm\.test</dt>\s*<dd class=\"number\">1234 messages<", page)
    assert re.search(r"info@firm\.test</dt>\s*<dd class=\"number\">0 messages<", page)
    assert "Type bob to confirm." in page
    before = dump(session, but=["session"])
    for headers in ({}, FRAGMENT):
        answer = alices.post(at(bob, "delete-mail"), data={"login": "<alice>"}, headers=headers)
        assert answer.status_code == 422
        assert "This is not the login of Bob." in answer.text
        assert 'id="login-error"' in answer.text
        assert 'value="&lt;alice&gt;"' in answer.text
        assert answer.text.lstrip().startswith('<div id="mail"') is bool(headers)
        assert alices.post(at(bob, "delete-mail"), headers=headers).status_code == 422
    assert dump(session, but=["session"]) == before
    assert woken.said == []


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_alice_deletes_the_mail_of_bob_and_the_worker_is_told(
    alices: FlaskClient,
    session: Session,
    bob: User,
    mailbox: Mailbox,
    woken: Woken,
    headers: dict[str, str],
) -> None:
    disable(session, bob)
    answer = alices.post(at(bob, "delete-mail"), data={"login": "Bob"}, headers=headers)
    if headers:
        led_to = (answer.status_code, answer.headers["HX-Redirect"])
        assert led_to == (204, at(bob, "delete-mail"))
    else:
        assert (answer.status_code, answer.location) == (303, at(bob, "delete-mail"))
    session.expire_all()
    assert session.scalars(select(Mailbox.state)).all() == [MailboxState.REMOVING]
    assert woken.said == [mailbox.id]
    entry = session.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id.desc())).first()
    assert entry is not None
    assert (entry.author_name, entry.action) == ("Alice", "people.delete_mail")
    assert entry.changes == {"mailboxes": [1, 0], "messages": [1234, 0]}


def test_an_open_page_is_told_how_many_messages_are_left_and_when_none_is(
    app: Flask, alices: FlaskClient, session: Session, bob: User, mailbox: Mailbox
) -> None:
    disable(session, bob)
    alices.post(at(bob, "delete-mail"), data={"login": "bob"})
    page = alices.get(at(bob, "delete-mail")).text
    assert "1234 messages left" in page
    assert 'name="login"' not in page
    polled = re.search(r'data-poll hx-get="([^"]+)"', page)
    assert polled is not None
    address = polled[1].replace("&amp;", "&")
    assert alices.get(address, headers=FRAGMENT).status_code == 204
    inbox_of(session, mailbox).total = 734
    session.commit()
    answer = alices.get(address, headers=FRAGMENT)
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div id="mail"')
    assert "734 messages left" in answer.text
    session.delete(session.get_one(Mailbox, mailbox.id))
    session.commit()
    answer = alices.get(address, headers=FRAGMENT)
    assert "No mail of Bob is kept here." in answer.text
    assert "data-poll" not in answer.text


def test_while_mail_is_deleted_the_page_says_that_no_worker_runs(
    app: Flask, alices: FlaskClient, session: Session, bob: User, mailbox: Mailbox
) -> None:
    removal.begin_removal(session, session.get_one(Mailbox, mailbox.id), author().now)
    session.commit()
    assert "worker does not run" not in alices.get(at(bob, "delete-mail")).text
    app.extensions["postroom_worker_runs"] = (float("inf"), False)
    assert "worker does not run" in alices.get(at(bob, "delete-mail")).text


def test_who_has_no_mail_has_none_to_delete(
    alices: FlaskClient, session: Session, bob: User
) -> None:
    disable(session, bob)
    page = alices.get(at(bob, "delete-mail")).text
    assert "No mail of Bob is kept here." in page
    assert 'name="login"' not in page
    answer = alices.post(at(bob, "delete-mail"), data={"login": "bob"})
    assert answer.status_code == 422
    assert session.scalar(select(func.count()).select_from(Folder)) == 0


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_an_employee_does_none_of_this(
    bob: User, carol: User, signed_in: SignIn, session: Session, headers: dict[str, str]
) -> None:
    mailbox_of(session, carol)
    client = signed_in(bob)
    before = dump(session, but=["session"])
    for verb in ("disable", "enable", "make-administrator", "make-employee", "delete-mail"):
        answer = client.post(at(carol, verb), data={"login": "carol"}, headers=headers)
        assert answer.status_code == 404
    for verb in ("disable", "delete-mail"):
        assert client.get(at(carol, verb), headers=headers).status_code == 404
    assert dump(session, but=["session"]) == before


def test_nobody_who_does_not_exist_is_changed(alices: FlaskClient) -> None:
    for verb in ("disable", "enable", "make-administrator", "make-employee", "delete-mail"):
        assert alices.post(f"{LIST}99999/{verb}").status_code == 404
