"""Hide, show, delete, restore and move: rows that are swapped in place, and plain forms."""

import re
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from domain import mailboxes, notices, service_deletion
from models import ChangeLogEntry, Mailbox, MailboxState, MailService, User
from tests.conftest import FRAGMENT, SignIn, author
from tests.mailroom import RING, mailbox_of, service_of

LIST = "/administration/mail/services/"


@pytest.fixture
def alices(alice: User, signed_in: SignIn) -> FlaskClient:
    return signed_in(alice)


@pytest.fixture
def firm(session: Session) -> MailService:
    service = service_of(session)
    session.commit()
    return service


@pytest.fixture
def box(session: Session, bob: User, firm: MailService) -> Mailbox:
    mailbox = mailbox_of(session, bob)
    session.commit()
    return mailbox


def named(session: Session, name: str) -> MailService:
    session.expire_all()
    return session.scalars(select(MailService).where(MailService.name == name)).one()


def actions(session: Session) -> list[str]:
    return list(session.scalars(select(ChangeLogEntry.action).order_by(ChangeLogEntry.id)))


# --- the eye ------------------------------------------------------------------------------------


def test_hiding_swaps_the_row_and_offers_the_way_back(
    alices: FlaskClient, session: Session
) -> None:
    gmail = named(session, "gmail.com")
    answer = alices.post(f"{LIST}{gmail.id}/hide", headers=FRAGMENT)
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith(f'<tr id="service-{gmail.id}" class="is-hidden"')
    assert "Hidden" in answer.text
    assert f'hx-post="{LIST}{gmail.id}/show"' in answer.text
    toast = answer.text.partition('id="toasts"')[2]
    assert "Undo" in toast
    assert "<form" not in toast, "behind a <tr>, a parser drops what a form holds"
    assert named(session, "gmail.com").hidden


def test_without_javascript_hiding_leads_back_to_the_list_with_a_form_to_undo_it(
    alices: FlaskClient, session: Session
) -> None:
    gmail = named(session, "gmail.com")
    answer = alices.post(f"{LIST}{gmail.id}/hide")
    assert (answer.status_code, answer.location) == (303, LIST)
    page = alices.get(LIST).text
    assert "gmail.com is hidden" in page
    undo = re.search(r'<form method="post" action="([^"]+)"[^>]*>(?:(?!</form>).)*Undo', page, re.S)
    assert undo is not None
    assert alices.post(undo[1]).status_code == 303
    assert not named(session, "gmail.com").hidden


@pytest.mark.parametrize(("verb", "hidden"), [("hide", True), ("show", False)])
def test_done_twice_it_is_logged_once(
    alices: FlaskClient, session: Session, verb: str, hidden: bool
) -> None:
    gmail = named(session, "gmail.com")
    gmail.hidden = not hidden
    session.commit()
    before = len(actions(session))
    for _ in range(2):
        assert alices.post(f"{LIST}{gmail.id}/{verb}", headers=FRAGMENT).status_code == 200
    assert named(session, "gmail.com").hidden is hidden
    assert actions(session)[before:] == [f"services.{verb}"]


def test_a_hidden_service_cannot_be_chosen_even_by_a_forged_request(
    session: Session, firm: MailService, bob: User, signed_in: SignIn
) -> None:
    firm.hidden = True
    session.commit()
    client = signed_in(bob)
    assert "Firm mail" not in client.get("/profile/mail/connect").text
    forged = {
        "address": "bob@firm.test",
        "service": str(firm.id),
        "login": "bob",
        "password": "secret",
    }
    answer = client.post("/profile/mail/connect", data=forged)
    assert answer.status_code == 422
    assert "This service cannot be chosen. Choose another." in answer.text
    assert "bob@firm.test" in answer.text


def test_a_provider_with_oauth_only_says_why_nobody_can_connect_to_it(
    alices: FlaskClient, session: Session, bob: User, signed_in: SignIn
) -> None:
    outlook = named(session, "outlook.com")
    answer = alices.post(f"{LIST}{outlook.id}/show", headers=FRAGMENT)
    assert "Cannot be connected yet: OAuth 2.0 is not there." in answer.text
    typed = {
        "address": "bob@outlook.com",
        "service": str(outlook.id),
        "login": "bob@outlook.com",
        "password": "secret",
    }
    answer = signed_in(bob).post("/profile/mail/connect", data=typed)
    assert answer.status_code == 422
    assert "outlook.com takes only OAuth 2.0" in answer.text


@pytest.mark.parametrize("verb", ["hide", "show", "delete", "move", "restore"])
def test_an_employee_finds_none_of_these(
    session: Session, firm: MailService, bob: User, signed_in: SignIn, verb: str
) -> None:
    client = signed_in(bob)
    for headers in ({}, FRAGMENT):
        answer = client.post(f"{LIST}{firm.id}/{verb}", data={"target": "1"}, headers=headers)
        assert answer.status_code == 404
    assert named(session, "Firm mail").deleted_at is None


# --- the bin ------------------------------------------------------------------------------------


def test_before_anything_happens_the_window_names_who_would_stop(
    alices: FlaskClient, session: Session, box: Mailbox, carol: User, firm: MailService
) -> None:
    other = mailbox_of(session, carol, "carol@elsewhere.test")
    other.service_id = named(session, "gmail.com").id
    mailbox_of(session, carol)
    session.commit()
    window = alices.get(f"{LIST}{firm.id}/delete", headers=FRAGMENT).text
    assert "<dialog" in window
    assert "2 mailboxes of 2 people will stop." in window
    assert "bob@firm.test" in window
    bobs, carols = (
        re.search(rf"<li>(?:(?!</li>).)*{name}@firm\.test.*?</li>", window, re.S)
        for name in ("bob", "carol")
    )
    assert bobs is not None
    assert carols is not None
    assert "keeps another mailbox" in carols[0]
    assert "keeps another mailbox" not in bobs[0]
    for offered in ("Hide instead", "Move to another service", "Delete"):
        assert offered in window
    assert named(session, "Firm mail").deleted_at is None


def test_whoever_only_asks_for_the_headers_deletes_nothing(
    alices: FlaskClient, session: Session, box: Mailbox, firm: MailService
) -> None:
    assert alices.head(f"{LIST}{firm.id}/delete").status_code == 200
    assert named(session, "Firm mail").deleted_at is None


def test_the_same_stands_on_a_page_of_its_own(
    alices: FlaskClient, box: Mailbox, firm: MailService
) -> None:
    page = alices.get(f"{LIST}{firm.id}/delete").text
    assert "<html" in page
    assert "1 mailbox of 1 person will stop." in page


def test_of_many_mailboxes_the_ones_searched_for_are_shown(
    alices: FlaskClient, session: Session, bob: User, box: Mailbox, firm: MailService
) -> None:
    for number in range(14):
        mailbox_of(session, bob, f"box{number}@firm.test")
    session.commit()
    window = alices.get(f"{LIST}{firm.id}/delete", headers=FRAGMENT).text
    assert 'type="search"' in window
    found = alices.get(f"{LIST}{firm.id}/delete?search=BOX1", headers=FRAGMENT).text
    assert "<dialog" not in found
    assert "5 mailboxes match" in found
    assert "box13@firm.test" in found
    assert "box2@firm.test" not in found
    nothing = alices.get(f"{LIST}{firm.id}/delete?search=%25", headers=FRAGMENT).text
    assert "0 mailboxes match" in nothing


def test_people_are_searched_for_in_any_case_by_all_the_words(
    alices: FlaskClient, session: Session, box: Mailbox, bob: User, carol: User, firm: MailService
) -> None:
    bob.name = "Иван Ёлкин"
    mailbox_of(session, carol)
    session.commit()
    for search in ("иван", "ИВАН", "ёлкин иван", "иван firm.test"):
        found = alices.get(
            f"{LIST}{firm.id}/delete", query_string={"search": search}, headers=FRAGMENT
        ).text
        assert "1 mailbox matches" in found, search
        assert "bob@firm.test" in found
    found = alices.get(
        f"{LIST}{firm.id}/delete", query_string={"search": "иван carol"}, headers=FRAGMENT
    ).text
    assert "0 mailboxes match" in found


def test_the_row_of_a_deleted_service_says_what_stopped(
    alices: FlaskClient, session: Session, box: Mailbox, firm: MailService
) -> None:
    answer = alices.post(f"{LIST}{firm.id}/delete", headers=FRAGMENT).text
    assert "Its mailboxes have stopped" in answer
    alices.post(f"{LIST}{firm.id}/restore", headers=FRAGMENT)
    session.execute(delete(Mailbox))
    session.commit()
    answer = alices.post(f"{LIST}{firm.id}/delete", headers=FRAGMENT).text
    assert "Firm mail was deleted. No mailbox used it." in answer
    assert "have stopped" not in answer


def test_deleting_leaves_a_row_that_brings_it_back(
    alices: FlaskClient, session: Session, box: Mailbox, firm: MailService
) -> None:
    answer = alices.post(f"{LIST}{firm.id}/delete", headers=FRAGMENT)
    assert answer.status_code == 200
    assert answer.headers["HX-Retarget"] == f"#service-{firm.id}"
    assert answer.headers["HX-Trigger"] == "postroom:close-window"
    assert "Firm mail was deleted." in answer.text
    assert f'hx-post="{LIST}{firm.id}/restore"' in answer.text
    session.expire_all()
    assert session.get_one(Mailbox, box.id).state is MailboxState.SERVICE_DELETED
    assert "Firm mail" not in alices.get(LIST).text
    back = alices.post(f"{LIST}{firm.id}/restore", headers=FRAGMENT)
    assert back.text.lstrip().startswith(f'<tr id="service-{firm.id}"')
    session.expire_all()
    assert session.get_one(Mailbox, box.id).state is MailboxState.CONNECTING
    assert actions(session)[-2:] == ["services.delete", "services.restore"]


def test_without_javascript_deleting_and_undoing_are_forms(
    alices: FlaskClient, session: Session, box: Mailbox, firm: MailService
) -> None:
    assert alices.post(f"{LIST}{firm.id}/delete").location == LIST
    page = alices.get(LIST).text
    assert "Firm mail was deleted." in page
    assert f'action="{LIST}{firm.id}/restore"' in page
    assert "Firm mail" in alices.get(f"{LIST}deleted").text
    assert alices.post(f"{LIST}{firm.id}/restore").location == LIST
    assert named(session, "Firm mail").deleted_at is None


def test_a_standard_service_cannot_be_deleted(alices: FlaskClient, session: Session) -> None:
    gmail = named(session, "gmail.com")
    assert "/delete" not in alices.get(LIST).text
    for method in (alices.get, alices.post):
        assert method(f"{LIST}{gmail.id}/delete").status_code == 404
    assert named(session, "gmail.com").deleted_at is None


def test_a_name_that_was_taken_meanwhile_must_be_changed_first(
    alices: FlaskClient, session: Session, firm: MailService
) -> None:
    alices.post(f"{LIST}{firm.id}/delete")
    second = service_of(session)
    session.commit()
    assert second.id != firm.id
    for headers in ({}, FRAGMENT):
        answer = alices.post(f"{LIST}{firm.id}/restore", headers=headers)
        assert answer.status_code == 422
        assert "There is a service named Firm mail already." in answer.text
        assert 'name="name"' in answer.text
    answer = alices.post(f"{LIST}{firm.id}/restore", data={"name": "Old firm mail"})
    assert answer.status_code == 303
    session.expire_all()
    assert session.get_one(MailService, firm.id).name == "Old firm mail"


def test_mail_of_a_deleted_service_stays_readable_and_its_owner_is_told_why(
    alices: FlaskClient, session: Session, box: Mailbox, firm: MailService, bob: User,
    signed_in: SignIn,
) -> None:  # fmt: skip
    bobs = signed_in(bob)
    alices.post(f"{LIST}{firm.id}/delete")
    page = bobs.get("/mail/", follow_redirects=True)
    assert page.status_code == 200
    assert "An administrator deleted the mail service of bob@firm.test." in page.text
    assert mailboxes.target(session, box.id, RING) is None
    assert mailboxes.due(session, datetime.now(UTC)) == []


# --- moving -------------------------------------------------------------------------------------


def test_the_same_domain_goes_on_at_once_and_another_waits_for_its_owner(
    alices: FlaskClient, session: Session, box: Mailbox, firm: MailService, bob: User,
    signed_in: SignIn,
) -> None:  # fmt: skip
    gmail = named(session, "gmail.com")
    answer = alices.post(f"{LIST}{firm.id}/move", data={"target": gmail.id}, headers=FRAGMENT)
    assert answer.headers["HX-Retarget"] == "#services"
    assert "1 mailbox moved to gmail.com." in answer.text
    session.expire_all()
    moved = session.get_one(Mailbox, box.id)
    assert (moved.service_id, moved.state) == (gmail.id, MailboxState.MOVED)
    assert mailboxes.target(session, box.id, RING) is None
    bobs = signed_in(bob)
    page = bobs.get("/mail/", follow_redirects=True).text
    assert "imap.gmail.com:993" in page
    asked = re.search(rf'action="(/profile/mail/{box.id}/agree[^"]*)"', page)
    assert asked is not None
    assert bobs.post(asked[1]).status_code == 303
    session.expire_all()
    assert session.get_one(Mailbox, box.id).state is MailboxState.CONNECTING
    assert mailboxes.target(session, box.id, RING) is not None


def test_bob_agrees_only_to_the_servers_that_the_page_named(
    alices: FlaskClient, session: Session, box: Mailbox, firm: MailService, bob: User,
    signed_in: SignIn,
) -> None:  # fmt: skip
    for_gmail, for_yandex = named(session, "gmail.com"), named(session, "yandex.ru")
    alices.post(f"{LIST}{firm.id}/move", data={"target": for_gmail.id}, headers=FRAGMENT)
    bobs = signed_in(bob)
    page = bobs.get("/mail/", follow_redirects=True).text
    assert "imap.gmail.com:993, smtp.gmail.com:465" in page
    asked = re.search(rf'action="(/profile/mail/{box.id}/agree[^"]*)"', page)
    assert asked is not None
    alices.post(f"{LIST}{for_gmail.id}/move", data={"target": for_yandex.id}, headers=FRAGMENT)
    session.expire_all()
    session.get_one(Mailbox, box.id).service = for_yandex
    session.commit()
    answer = bobs.post(asked[1], headers=FRAGMENT)
    assert "has other servers meanwhile. Read them first." in answer.text
    assert "imap.yandex.ru:993, smtp.yandex.ru:465" in answer.text
    session.expire_all()
    assert session.get_one(Mailbox, box.id).state is MailboxState.MOVED


def test_moved_within_its_domain_a_mailbox_goes_on(
    session: Session, box: Mailbox, firm: MailService
) -> None:
    firm.name, firm.name_key = "Old firm mail", "old firm mail"
    target = service_of(session)
    target.imap_host = "imap.new.firm.test"
    session.commit()
    assert service_deletion.move(session, firm, target.id, author()) == 1
    assert (box.service_id, box.state) == (target.id, MailboxState.CONNECTING)


def test_moved_on_and_back_before_it_was_agreed_needs_no_agreement(
    session: Session, box: Mailbox, firm: MailService
) -> None:
    gmail = named(session, "gmail.com")
    service_deletion.move(session, firm, gmail.id, author())
    assert box.state is MailboxState.MOVED
    service_deletion.move(session, gmail, named(session, "mail.ru").id, author())
    assert box.agreed_domains == ["firm.test"]
    service_deletion.move(session, named(session, "mail.ru"), firm.id, author())
    assert (box.state, box.agreed_domains) == (MailboxState.CONNECTING, [])


def test_deleting_and_restoring_does_not_agree_in_the_owners_place(
    session: Session, box: Mailbox, firm: MailService
) -> None:
    other = named(session, "gmail.com")
    other.standard = False
    service_deletion.move(session, firm, other.id, author())
    service_deletion.delete(session, other, author())
    states = [box.state]
    service_deletion.agree(session, box, service_deletion.asked_of(box), datetime.now(UTC))
    states.append(box.state)
    service_deletion.restore(session, other, author())
    states.append(box.state)
    assert states == [
        MailboxState.SERVICE_DELETED,
        MailboxState.SERVICE_DELETED,
        MailboxState.MOVED,
    ]


@pytest.mark.parametrize("target", ["", "0", "99999", "own", "outlook"])
def test_there_has_to_be_somewhere_to_move_to(
    alices: FlaskClient, session: Session, box: Mailbox, firm: MailService, target: str
) -> None:
    ids = {"own": firm.id, "outlook": named(session, "outlook.com").id}
    typed = {"target": str(ids.get(target, target))}
    for headers in ({}, FRAGMENT):
        answer = alices.post(f"{LIST}{firm.id}/move", data=typed, headers=headers)
        assert answer.status_code == 422
        assert "Choose the service that the mailboxes move to." in answer.text
    session.expire_all()
    assert session.get_one(Mailbox, box.id).service_id == firm.id


# --- other servers ------------------------------------------------------------------------------


def test_owners_see_the_old_and_the_new_host_once(
    alices: FlaskClient, session: Session, box: Mailbox, firm: MailService, bob: User,
    signed_in: SignIn,
) -> None:  # fmt: skip
    typed = {
        "name": "Firm mail",
        "smtp_server": "smtp.firm.test:465",
        "smtp_security": "TLS",
        "imap_server": "imap.new.test:993",
        "imap_security": "TLS",
        "process_default": "yes",
        "version": str(firm.version),
    }
    assert alices.post(f"{LIST}{firm.id}/edit", data=typed).status_code == 303
    bobs = signed_in(bob)
    page = bobs.get("/mail/", follow_redirects=True).text
    assert "imap.firm.test:993 → imap.new.test:993" in page
    address = re.search(r'action="(/profile/notices/\d+/dismiss)"', page)
    assert address is not None
    gone = bobs.post(address[1], headers=FRAGMENT)
    assert gone.status_code == 200
    assert "imap.new.test" not in gone.text
    assert "imap.new.test:993" not in bobs.get("/mail/", follow_redirects=True).text


def test_two_changes_are_told_as_one_and_none_that_was_undone(
    session: Session, box: Mailbox, firm: MailService, bob: User
) -> None:
    now = datetime.now(UTC)
    notices.servers_changed(session, firm, {"imap_server": ("a.test:993", "b.test:993")}, now)
    notices.servers_changed(session, firm, {"imap_server": ("b.test:993", "c.test:993")}, now)
    told = notices.of_person(session, bob)
    assert [one.details for one in told] == [{"imap_server": ["a.test:993", "c.test:993"]}]
    notices.servers_changed(session, firm, {"imap_server": ("c.test:993", "a.test:993")}, now)
    assert notices.of_person(session, bob) == []


def test_carol_cannot_dismiss_what_bob_has_not_read(
    session: Session, box: Mailbox, firm: MailService, bob: User, carol: User, signed_in: SignIn
) -> None:
    change: dict[str, tuple[object, object]] = {"imap_server": ("a.test:993", "b.test:993")}
    notices.servers_changed(session, firm, change, datetime.now(UTC))
    notice = notices.of_person(session, bob)[0]
    assert signed_in(carol).post(f"/profile/notices/{notice.id}/dismiss").status_code == 404
    assert notices.of_person(session, bob) != []
