"""*Profile > Mail*: the list of the own mailboxes, and the page of one."""

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from domain import company, disconnecting, mailboxes, removal
from domain.mailbox_settings import SIGNATURE_LONGEST
from mail.server_errors import Cause
from models import Mailbox, MailboxState, User, db
from models.mailboxes import SMTP_LOGIN_TRIES, ProcessChoice
from tests.conftest import FRAGMENT, SignIn
from tests.mailroom import NOW, dump, mailbox_of, own_servers, service_of

LIST = "/profile/mail"
RICH = '<div>Bob <b>Baker</b></div><div><a href="https://firm.test">Firm</a></div>'
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)><p style='color:red'>Bob</p>"


@pytest.fixture
def mailbox(session: Session, bob: User) -> Mailbox:
    return mailbox_of(session, bob)


@pytest.fixture
def office(session: Session, mailbox: Mailbox, bob: User) -> Mailbox:
    return mailbox_of(session, bob, "office@firm.test")


@pytest.fixture
def bobs(bob: User, signed_in: SignIn) -> FlaskClient:
    return signed_in(bob)


@pytest.fixture
def carols(carol: User, signed_in: SignIn) -> FlaskClient:
    return signed_in(carol)


@pytest.fixture
def settings_page(mailbox: Mailbox) -> str:
    return f"{LIST}/{mailbox.id}"


@pytest.fixture
def typed() -> dict[str, str]:
    return {
        "sender_name": "Robert Baker",
        "signature": "Robert\r\nFirm & Sons",
        "notifies": "y",
        "process_choice": "NOT_ALLOWED",
    }


def fresh(session: Session, mailbox: Mailbox) -> Mailbox:
    session.expire_all()
    return session.get_one(Mailbox, mailbox.id)


def addresses(text: str) -> list[str]:
    """Those in the list, from the top down."""
    return [
        one.strip() for one in re.findall(r'<li class="own-mailbox.*?<h2>(.*?)[<\n]', text, re.S)
    ]


def row(text: str, mailbox: Mailbox) -> str:
    found = re.search(rf'<li [^>]*id="mailbox-{mailbox.id}".*?</li>', text, re.S)
    assert found
    return found[0]


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def shown_follows(text: str) -> list[str]:
    return [
        unescape(sentence)
        for hidden, sentence in re.findall(r'<p data-follows="\w+"( hidden)?>(.*?)</p>', text)
        if not hidden
    ]


def textarea(text: str, name: str) -> str:
    found = re.search(rf'<textarea[^>]* name="{name}"[^>]*>\r?\n?(.*?)</textarea>', text, re.S)
    assert found
    return unescape(found[1])


# The list


def test_without_a_mailbox_the_page_leads_to_connecting_one(bobs: FlaskClient) -> None:
    text = bobs.get(LIST).text
    assert "No mailbox is connected yet." in text
    assert text.count('href="/profile/mail/connect"') == 1


def test_each_mailbox_shows_what_it_is_and_leads_to_what_can_be_done(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, office: Mailbox
) -> None:
    office.service, office.own_servers = None, own_servers()
    office.last_contact_at = None
    session.commit()
    text = bobs.get(LIST).text
    first, second = row(text, mailbox), row(text, office)
    assert "bob@firm.test default sender Firm mail · last contact:" in words(first)
    assert re.search(r"working since \d+ March 2026", words(first))
    assert "office@firm.test Other · no contact yet" in words(second)
    assert "default sender" not in words(second).replace("Make default sender", "")
    assert f'href="/profile/mail/{office.id}"' in second
    assert f'href="/profile/mail/{office.id}/disconnect"' in second


def test_with_one_mailbox_there_is_nothing_to_order_or_to_choose(
    bobs: FlaskClient, mailbox: Mailbox
) -> None:
    text = bobs.get(LIST).text
    assert "/up" not in text
    assert "/default" not in text
    assert "default sender" not in text


def test_without_a_choice_the_first_that_can_send_is_marked(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, office: Mailbox
) -> None:
    disconnecting.disconnect(session, mailbox, keep_mail=True, now=NOW)
    text = bobs.get(LIST).text
    assert '<span class="tag">default sender</span>' in row(text, office)
    assert '<span class="tag">default sender</span>' not in row(text, mailbox)


@pytest.mark.parametrize(
    ("state", "said", "leads_to"),
    [
        (MailboxState.CONNECTING, "connecting since", ""),
        (MailboxState.UNREACHABLE, "cannot be reached just now", ""),
        (MailboxState.LOGIN_REFUSED, "refuses the login or the password", "/password"),
        (MailboxState.SECRET_LOST, "The key that opens the password", "/password"),
        (MailboxState.MOVED, "once you agree", "/agree"),
        (MailboxState.SERVICE_DELETED, "deleted the mail service", ""),
        (MailboxState.DISCONNECTED, "is disconnected. Its mail stays readable", "/connect"),
    ],
)
def test_the_state_stands_in_plain_words_with_the_one_thing_to_do(
    session: Session,
    bobs: FlaskClient,
    mailbox: Mailbox,
    state: MailboxState,
    said: str,
    leads_to: str,
) -> None:
    mailbox.state = state
    session.commit()
    shown = row(bobs.get(LIST).text, mailbox)
    assert said in words(shown)
    assert "since" in words(shown)
    links = ("/password", "/agree", "/connect")
    offered = [one for one in links if re.search(rf'{one}[?"]', shown)]
    assert offered == ([leads_to] if leads_to else [])


def test_what_smtp_refuses_is_said_where_reading_works(
    session: Session, bobs: FlaskClient, mailbox: Mailbox
) -> None:
    mailbox.smtp_failures = SMTP_LOGIN_TRIES
    mailbox.smtp_refused_with = mailbox.sign_in_print
    mailbox.smtp_error_cause = Cause.LOGIN_REFUSED
    session.commit()
    said = words(row(bobs.get(LIST).text, mailbox))
    assert "Nothing can be sent from it. smtp.firm.test:465 refused login or password" in said
    assert "working" in said


def test_a_disconnected_one_cannot_become_the_default_sender(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, office: Mailbox
) -> None:
    disconnecting.disconnect(session, office, keep_mail=True, now=NOW)
    shown = row(bobs.get(LIST).text, office)
    assert f"/profile/mail/{office.id}/default" not in shown
    assert "Delete its mail" in words(shown)


def test_nothing_is_offered_for_one_that_is_being_removed(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, office: Mailbox
) -> None:
    removal.begin_removal(session, office, NOW)
    shown = row(bobs.get(LIST).text, office)
    assert "is being removed" in words(shown)
    assert "0 messages left" in words(shown)
    for verb in ("/default", "/disconnect", f'/{office.id}"'):
        assert verb not in shown
    for answer in (bobs.get(f"{LIST}/{office.id}"), bobs.post(f"{LIST}/{office.id}")):
        assert answer.status_code == 404


def test_carol_sees_nothing_of_bobs_mailboxes(mailbox: Mailbox, carols: FlaskClient) -> None:
    assert "bob@firm.test" not in carols.get(LIST).text


# Order and default sender


def test_bob_moves_a_mailbox_without_javascript(
    bobs: FlaskClient, mailbox: Mailbox, office: Mailbox
) -> None:
    answer = bobs.post(f"{LIST}/{office.id}/up")
    assert (answer.status_code, answer.location) == (303, LIST)
    text = bobs.get(LIST).text
    assert addresses(text) == ["office@firm.test", "bob@firm.test"]
    assert "office@firm.test is now number 1 of 2." in text
    bobs.post(f"{LIST}/{office.id}/down")
    assert addresses(bobs.get(LIST).text) == ["bob@firm.test", "office@firm.test"]


@pytest.mark.parametrize("verb", ["up", "down"])
def test_bob_moves_a_mailbox_in_the_page(
    bobs: FlaskClient, mailbox: Mailbox, office: Mailbox, verb: str
) -> None:
    moved = office if verb == "up" else mailbox
    answer = bobs.post(f"{LIST}/{moved.id}/{verb}", headers=FRAGMENT)
    assert answer.text.lstrip().startswith('<ol class="own-mailboxes" id="mailboxes">')
    assert addresses(answer.text) == ["office@firm.test", "bob@firm.test"]
    assert f'id="mailbox-{moved.id}-arrow-{verb}"' in answer.text  # where the focus stays
    assert f"{moved.address} is now number" in answer.text.partition('id="toasts"')[2]


def test_the_ends_of_the_list_are_marked_and_go_nowhere(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, office: Mailbox
) -> None:
    text = bobs.get(LIST).text
    ends = re.findall(r'id="mailbox-(\d+)-arrow-(\w+)" type="submit" aria-disabled', text)
    assert ends == [(str(mailbox.id), "up"), (str(office.id), "down")]
    before = dump(session)
    assert bobs.post(f"{LIST}/{mailbox.id}/up", headers=FRAGMENT).status_code == 200
    assert bobs.post(f"{LIST}/{office.id}/down").status_code == 303
    assert dump(session) == before


def test_bob_makes_another_the_default_sender_without_javascript(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, office: Mailbox
) -> None:
    answer = bobs.post(f"{LIST}/{office.id}/default")
    assert (answer.status_code, answer.location) == (303, LIST)
    assert "Messages you write are now sent from office@firm.test." in bobs.get(LIST).text
    assert fresh(session, office).default_sender
    assert not fresh(session, mailbox).default_sender


def test_bob_makes_another_the_default_sender_in_the_page(
    bobs: FlaskClient, mailbox: Mailbox, office: Mailbox
) -> None:
    answer = bobs.post(f"{LIST}/{office.id}/default", headers=FRAGMENT)
    assert answer.status_code == 200
    assert '<span class="tag">default sender</span>' in row(answer.text, office)
    assert f"/profile/mail/{mailbox.id}/default" in row(answer.text, mailbox)
    assert addresses(answer.text) == ["bob@firm.test", "office@firm.test"]


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_what_was_disconnected_in_another_window_does_not_become_the_default(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, office: Mailbox, headers: dict[str, str]
) -> None:
    disconnecting.disconnect(session, office, keep_mail=True, now=NOW)
    session.commit()
    before = dump(session)
    answer = bobs.post(f"{LIST}/{office.id}/default", headers=headers)
    assert answer.status_code == 422
    assert "office@firm.test is disconnected already." in answer.text
    assert '<span class="tag">default sender</span>' in row(answer.text, mailbox)
    assert ("<html" in answer.text) == (headers == {})
    assert dump(session) == before


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
@pytest.mark.parametrize("verb", ["/up", "/down", "/default", ""])
def test_carol_changes_nothing_of_bobs(
    session: Session,
    mailbox: Mailbox,
    office: Mailbox,
    carols: FlaskClient,
    typed: dict[str, str],
    verb: str,
    headers: dict[str, str],
) -> None:
    before = dump(session)
    for one in (mailbox, office):
        answer = carols.post(f"{LIST}/{one.id}{verb}", data=typed, headers=headers)
        assert answer.status_code == 404
    assert carols.get(f"{LIST}/{mailbox.id}").status_code == 404
    assert dump(session) == before


# The settings


def test_bob_sets_his_mailbox_without_javascript(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, settings_page: str, typed: dict[str, str]
) -> None:
    answer = bobs.post(settings_page, data=typed)
    assert (answer.status_code, answer.location) == (303, LIST)
    kept = fresh(session, mailbox)
    assert kept.sender_name == "Robert Baker"
    assert kept.signature == "<div>Robert</div><div>Firm &amp; Sons</div>"
    assert (kept.notifies, kept.process_choice) == (True, ProcessChoice.NOT_ALLOWED)
    text = bobs.get(settings_page).text
    assert textarea(text, "signature") == "Robert\nFirm & Sons"
    assert re.search(r'<input[^>]* checked[^>]* name="notifies"', text)
    assert re.search(r'<input checked[^>]* value="NOT_ALLOWED"', text)


def test_bob_sets_his_mailbox_by_htmx(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, settings_page: str, typed: dict[str, str]
) -> None:
    del typed["notifies"]
    answer = bobs.post(settings_page, data={**typed, "process_choice": "ALLOWED"}, headers=FRAGMENT)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, LIST)
    kept = fresh(session, mailbox)
    assert (kept.notifies, kept.process_choice) == (False, ProcessChoice.ALLOWED)


def test_the_editor_sends_html_which_is_made_harmless(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, settings_page: str, typed: dict[str, str]
) -> None:
    del typed["signature"]
    bobs.post(settings_page, data={**typed, "signature_html": RICH + HOSTILE})
    kept = fresh(session, mailbox).signature
    assert "<b>Baker</b>" in kept
    assert 'href="https://firm.test"' in kept
    for evil in ("script", "onerror", "style", "<img"):
        assert evil not in kept
    bobs.post(settings_page, data={**typed, "signature_html": ""})
    assert fresh(session, mailbox).signature == ""


def test_lines_that_nobody_changed_keep_what_the_editor_made_of_them(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, settings_page: str, typed: dict[str, str]
) -> None:
    bobs.post(settings_page, data={**typed, "signature_html": RICH})
    kept = fresh(session, mailbox).signature
    lines = textarea(bobs.get(settings_page).text, "signature")
    assert lines == "Bob Baker\nFirm"
    bobs.post(settings_page, data={**typed, "signature": lines.replace("\n", "\r\n") + "\r\n"})
    assert fresh(session, mailbox).signature == kept
    bobs.post(settings_page, data={**typed, "signature": "Bob Baker\r\nFirm & Sons"})
    expected = "<div>Bob Baker</div><div>Firm &amp; Sons</div>"
    assert fresh(session, mailbox).signature == expected


LONG = "x" * (SIGNATURE_LONGEST + 1)


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"sender_name": "x" * 101}, "sender_name"),
        ({"sender_name": "a\x07b"}, "sender_name"),
        ({"signature": LONG}, "signature"),
        ({"signature_html": f"<b>{LONG}</b>"}, "signature"),
        ({"process_choice": "x"}, "process_choice"),
    ],
)
def test_what_is_refused_is_said_at_its_field_and_everything_typed_is_kept(
    session: Session,
    bobs: FlaskClient,
    settings_page: str,
    typed: dict[str, str],
    wrong: dict[str, str],
    field: str,
    headers: dict[str, str],
) -> None:
    before = dump(session)
    sent = {**typed, **wrong}
    answer = bobs.post(settings_page, data=sent, headers=headers)
    assert answer.status_code == 422
    assert answer.text.count('class="field-error" id=') - answer.text.count("link-error") == 1
    assert f'id="{field}-error"' in answer.text
    assert (
        unescape(re.findall(r'name="sender_name"[^>]* value="([^"]*)"', answer.text)[0])
        == (sent["sender_name"])
    )
    if "signature_html" in sent:
        assert textarea(answer.text, "signature_html") == sent["signature_html"]
        assert textarea(answer.text, "signature") == LONG
    else:
        assert textarea(answer.text, "signature") == sent["signature"]
    assert re.search(r'<input[^>]* checked[^>]* name="notifies"', answer.text)
    assert 'data-unsent="typed"' in answer.text
    assert dump(session) == before


def test_hostile_html_that_comes_back_is_text_in_the_page(
    bobs: FlaskClient, settings_page: str, typed: dict[str, str]
) -> None:
    text = bobs.post(
        settings_page, data={**typed, "signature_html": HOSTILE, "sender_name": "x" * 101}
    ).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert textarea(text, "signature_html") == HOSTILE


FOLLOWS = {
    ("COMPANY", True): "Company: allowed. You: as the company says. Processes can send from this",
    ("COMPANY", False): "Company: not allowed. You: as the company says. Processes cannot send",
    ("ALLOWED", True): "Company: allowed. You: allowed. Processes can send from this address.",
    ("ALLOWED", False): "Company: not allowed. You: allowed. Processes can send from this address.",
    ("NOT_ALLOWED", True): "Company: allowed. You: not allowed. Processes cannot send from this",
    ("NOT_ALLOWED", False): "Company: not allowed. You: not allowed. Processes cannot send from",
}


@pytest.mark.parametrize("other", [False, True], ids=["service", "other"])
@pytest.mark.parametrize(("choice", "company_allows"), FOLLOWS)
def test_what_follows_from_company_and_choice_is_one_sentence(
    session: Session,
    bobs: FlaskClient,
    mailbox: Mailbox,
    settings_page: str,
    choice: str,
    company_allows: bool,
    other: bool,
) -> None:
    service_of(session).process_default = company_allows is not other
    company.settings(session).other_process_default = company_allows is other
    if other:
        mailbox.service, mailbox.own_servers = None, own_servers()
    mailbox.process_choice = ProcessChoice[choice]
    session.commit()
    text = bobs.get(settings_page).text
    (shown,) = shown_follows(text)
    assert shown.startswith(FOLLOWS[choice, company_allows])
    assert re.search(r"data-not-saved hidden", text)
    assert "in both directions" in text


def test_a_choice_that_is_not_saved_yet_says_so(
    bobs: FlaskClient, settings_page: str, typed: dict[str, str]
) -> None:
    text = bobs.post(settings_page, data={**typed, "sender_name": "x" * 101}).text
    (shown,) = shown_follows(text)
    assert "You: not allowed." in shown
    assert "data-not-saved>" in text


def test_the_administrators_pages_say_that_an_employee_can_choose_otherwise(
    alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    said = "Each employee can choose otherwise for the own address."
    assert said in client.get("/administration/mail/services/add").text
    assert said in client.get("/administration/mail/services/").text.partition('id="other"')[2]


def test_a_disconnected_mailbox_can_be_set_for_the_time_when_it_works_again(
    session: Session, bobs: FlaskClient, mailbox: Mailbox, settings_page: str, typed: dict[str, str]
) -> None:
    assert "once the mailbox works again" not in bobs.get(settings_page).text
    disconnecting.disconnect(session, mailbox, keep_mail=True, now=NOW)
    session.commit()
    text = bobs.get(settings_page).text
    assert "bob@firm.test is disconnected. Its mail stays readable" in text
    assert "It counts once the mailbox works again; just now nothing is sent from it." in text
    assert bobs.post(settings_page, data=typed).status_code == 303
    assert fresh(session, mailbox).sender_name == "Robert Baker"
    assert fresh(session, mailbox).state is MailboxState.DISCONNECTED


def test_the_default_sender_stands_first_where_one_writes(
    app: Flask, session: Session, bobs: FlaskClient, mailbox: Mailbox, office: Mailbox, bob: User
) -> None:
    bobs.post(f"{LIST}/{office.id}/default")
    with app.app_context():
        first, *_ = mailboxes.senders(db.session(), bob)
        assert first.address == "office@firm.test"
    options = re.findall(r"<option[^>]*>([^<]*)</option>", bobs.get("/mail/new").text)
    assert [unescape(one) for one in options] == ["Bob <office@firm.test>", "Bob <bob@firm.test>"]
