"""Taking over mail services from files: the rules of the form, all rows or none."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from demo.certificates import company_certificates
from domain import service_deletion, service_files, service_import, services
from domain.changelog import Author
from domain.errors import RefusedError
from domain.service_files import COLUMNS, FIELDS, Record
from domain.service_import import Counts, Row
from mail.security import Security, SecurityFault
from mail.server_string import Protocol
from models import ChangeLogEntry, LoginForm, MailService
from tests.mail.server_string_cases import ACCEPTED, PAIRS, REFUSED, Accepted, Pair, Refused
from tests.mailroom import dump, service_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CONSOLE = Author(name="", user_id=None, now=NOW, key=b"k" * 32)
FIRM: Mapping[str, object] = {
    "name": "Firm mail",
    "smtp_server": "smtp.firm.test:465",
    "smtp_security": "tls",
    "smtp_non_standard": "false",
    "imap_server": "imap.firm.test:993",
    "imap_security": "tls",
    "imap_non_standard": "false",
}


def checked(session: Session, *rows: Mapping[str, object]) -> list[Row]:
    records = [Record(number, values) for number, values in enumerate(rows, 1)]
    return service_import.check(session, records)


def fault(session: Session, **changed: object) -> tuple[str, str] | None:
    """Field and code of what is wrong with one row."""
    found = checked(session, {**FIRM, **changed})[0].fault
    return None if found is None else (found.field, found.code)


def imported(session: Session, *rows: Mapping[str, object]) -> Counts:
    found = checked(session, *rows)
    assert [row.fault for row in found] == [None] * len(rows)
    return service_import.apply(session, found, "services.json", CONSOLE)


def named(session: Session, name: str) -> MailService:
    session.expire_all()
    return session.scalars(select(MailService).where(MailService.name == name)).one()


def log(session: Session) -> list[ChangeLogEntry]:
    return list(session.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id)))


# Rules


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_the_form_refuses_as_a_server_is_refused_in_a_row(
    session: Session, case: Refused
) -> None:
    changed = {
        f"{case.protocol}_server": case.text,
        f"{case.protocol}_non_standard": "true" if case.non_standard else "false",
    }
    assert fault(session, **changed) == (f"{case.protocol}_server", case.fault)


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_what_the_form_accepts_as_a_server_is_accepted_in_a_row(
    session: Session, case: Accepted
) -> None:
    security = Security.NONE if case.port in {25, 143} else Security.TLS
    changed = {
        f"{case.protocol}_server": case.text,
        f"{case.protocol}_security": Security.STARTTLS if case.port == 587 else security,
        f"{case.protocol}_non_standard": case.non_standard,
    }
    found = checked(session, {**FIRM, **changed})[0]
    assert found.wanted is not None, found.fault
    settings = found.wanted.settings
    address = (settings.imap if case.protocol is Protocol.IMAP else settings.smtp).address
    assert (address.host, address.port) == (case.host, case.port)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_ports_and_securities_go_together_as_in_the_form(session: Session, pair: Pair) -> None:
    changed = {
        f"{pair.protocol}_server": f"{pair.protocol}.firm.test:{pair.port}",
        f"{pair.protocol}_security": pair.security.value,
    }
    part = "server" if pair.fault is SecurityFault.PORT_OF_OTHER else "security"
    expected = (f"{pair.protocol}_{part}", pair.fault) if pair.fault else None
    assert fault(session, **changed) == expected
    lifted = {f"{pair.protocol}_non_standard": "true"}
    assert fault(session, **changed, **lifted) is None


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"name": ""}, ("name", "service_name_length")),
        ({"name": "x" * 101}, ("name", "service_name_length")),
        ({"name": "Firm\u0007"}, ("name", "service_name_length")),
        ({"name": "\ud800"}, ("name", "service_name_length")),
        ({"name": None}, ("name", "not_text")),
        ({"smtp_server": ["smtp.firm.test:465"]}, ("smtp_server", "not_text")),
        ({"smtp_security": "ssl"}, ("smtp_security", "security_unknown")),
        ({"imap_security": ""}, ("imap_security", "security_unknown")),
        ({"smtp_non_standard": ""}, ("smtp_non_standard", "not_a_switch")),
        ({"smtp_non_standard": "yes"}, ("smtp_non_standard", "not_a_switch")),
        ({"imap_non_standard": "1"}, ("imap_non_standard", "not_a_switch")),
        ({"imap_non_standard": None}, ("imap_non_standard", "not_a_switch")),
        ({"smtp_login_form": "by hand"}, ("smtp_login_form", "login_form_unknown")),
        ({"imap_login_form": None}, ("imap_login_form", "not_text")),
        ({"ca_pem": "no certificate"}, ("ca_pem", "ca_not_a_certificate")),
        ({"ca_pem": "\ud800"}, ("ca_pem", "ca_not_a_certificate")),
        ({"domains": "firm.test"}, ("domains", "not_domains")),
        ({"domains": ["firm.test", None]}, ("domains", "not_domains")),
        ({"domains": ["firm"]}, ("domains", "domain_broken")),
        ({"domains": [f"d{n}.test" for n in range(201)]}, ("domains", "domains_many")),
        ({"process_default": "allowed"}, ("process_default", "not_a_switch")),
        ({"hidden": None}, ("hidden", "not_a_switch")),
        ({"colour": "red"}, ("colour", "field_unknown")),
    ],
)
def test_what_is_wrong_is_told_at_its_field(
    session: Session, changed: Mapping[str, object], expected: tuple[str, str]
) -> None:
    assert fault(session, **changed) == expected


@pytest.mark.parametrize("place", range(len(COLUMNS)))
def test_of_several_faults_the_first_in_the_order_of_the_columns_is_told(
    session: Session, place: int
) -> None:
    rest = dict.fromkeys(COLUMNS[place:], "")
    broken = {**FIRM, **rest, "ca_pem": "none", "hidden": "", "colour": ""}
    found = checked(session, dict(reversed(broken.items())))[0].fault
    assert found is not None
    assert found.field == COLUMNS[place]


@pytest.mark.parametrize("word", ["true", "TRUE", " True ", True])
def test_a_switch_is_read_as_spreadsheets_write_it(session: Session, word: object) -> None:
    changed = {"smtp_server": "mail.firm.test:2500", "smtp_non_standard": word}
    assert fault(session, **changed) is None


def test_a_switch_that_says_nothing_is_not_blamed_on_the_server(session: Session) -> None:
    changed = {"smtp_server": "mail.firm.test:2500", "smtp_non_standard": "maybe"}
    assert fault(session, **changed) == ("smtp_non_standard", "not_a_switch")


def test_two_rows_with_one_name_are_refused_whatever_their_letters_and_spaces(
    session: Session,
) -> None:
    other = {**FIRM, "name": " FIRM   mail "}
    broken = {**FIRM, "name": "Other", "smtp_server": ""}
    found = [row.fault for row in checked(session, broken, FIRM, other, {**other, "name": "OTHER"})]
    assert [one and one.code for one in found] == [
        "server_empty", None, "name_twice", "name_twice",
    ]  # fmt: skip
    assert [one.parameters["row"] for one in found[2:] if one] == [2, 1]


# What becomes of the rows


def test_a_new_service_is_what_the_window_would_have_made_of_it(session: Session) -> None:
    assert imported(session, FIRM) == Counts(added=1)
    service = named(session, "Firm mail")
    assert str(service.address(Protocol.SMTP)) == "smtp.firm.test:465"
    assert (service.imap_security, service.imap_non_standard) == (Security.TLS, False)
    assert (service.imap_login_form, service.process_default) == (LoginForm.ADDRESS, True)
    assert (service.hidden, service.standard, service.takes_password) == (False, False, True)


def test_a_file_carries_every_field_there_and_back(session: Session, tmp_path: Path) -> None:
    ca = company_certificates(tmp_path).ca_pem
    whole = {
        **FIRM,
        "smtp_server": "192.0.2.1:25",
        "smtp_security": "none",
        "smtp_non_standard": True,
        "imap_server": "imap.почта.рф:143",
        "imap_security": "starttls",
        "imap_non_standard": False,
        "smtp_login_form": "typed",
        "imap_login_form": "local_part",
        "ca_pem": "The company's own:\n" + ca,
        "domains": ["Firm.test", "почта.рф", " ", "firm.test"],
        "process_default": False,
        "hidden": True,
    }
    assert whole.keys() == set(FIELDS)
    imported(session, whole)
    service = named(session, "Firm mail")
    assert service_files.exported(service) == {
        **whole,
        "imap_server": "imap.xn--80a1acny.xn--p1ai:143",
        "ca_pem": ca,
        "domains": ["firm.test", "xn--80a1acny.xn--p1ai"],
    }


@pytest.mark.parametrize("write", [service_files.csv_of, service_files.json_of])
def test_what_was_exported_changes_nothing_when_it_comes_back(
    session: Session, write: Callable[[Iterable[MailService]], str], tmp_path: Path
) -> None:
    ca = company_certificates(tmp_path).ca_pem
    imported(session, {**FIRM, "name": 'Firm, "north"; 1', "ca_pem": ca, "hidden": True})
    imported(session, {**FIRM, "name": "Почта"})
    everything = [one.service for one in services.listed(session)]
    before = dump(session)
    records = service_files.read(write(everything).encode(), "-")
    assert len(records) == len(everything) > 10
    found = service_import.check(session, records)
    assert [row.fault for row in found] == [None] * len(found)
    assert service_import.apply(session, found, "-", CONSOLE) == Counts(unchanged=len(found))
    assert dump(session) == before


def test_a_service_that_is_there_is_changed_whatever_the_letters_of_its_name(
    session: Session,
) -> None:
    service = service_of(session)
    changed = {**FIRM, "name": "FIRM MAIL", "imap_server": "imap.firm.test:1993"}
    assert imported(session, changed) == Counts(changed=1)
    session.expire_all()
    assert (service.name, service.imap_port, service.version) == ("FIRM MAIL", 1993, 2)


def test_what_the_file_does_not_carry_stays_as_it_is(session: Session) -> None:
    service = service_of(session)
    kept = {"process_default": False, "domains": ["firm.test"], "smtp_login_form": "typed"}
    imported(session, {"name": "Firm mail", "hidden": True, **kept})
    assert imported(session, {**FIRM, "smtp_server": "smtp.firm.test:2465"}) == Counts(changed=1)
    session.expire_all()
    now = service_files.exported(service)
    assert {**now, **kept} == now
    assert (now["hidden"], now["smtp_server"]) == (True, "smtp.firm.test:2465")
    assert imported(session, {"name": "Firm mail", "hidden": False}) == Counts(changed=1)


def test_what_a_row_leaves_out_is_looked_at_as_it_is(session: Session) -> None:
    service_of(session)
    found = checked(session, {"name": "Firm mail", "smtp_server": "smtp.firm.test:587"})[0].fault
    assert found is not None
    assert (found.field, found.code) == ("smtp_security", "security_wrong_for_port")


def test_the_name_of_a_deleted_service_is_free(session: Session) -> None:
    service = service_of(session)
    service_deletion.delete(session, service, CONSOLE)
    assert imported(session, FIRM) == Counts(added=1)
    assert service.deleted_at is not None


def test_one_entry_for_each_changed_service_and_one_for_the_import(session: Session) -> None:
    service_of(session)
    before = len(log(session))
    counts = imported(
        session,
        FIRM,
        {**FIRM, "name": "North"},
        {**FIRM, "name": "South"},
        {"name": "gmail.com", "process_default": False},
    )
    assert counts == Counts(added=2, changed=1, unchanged=1)
    entries = log(session)[before:]
    assert [(one.action, one.subject_name) for one in entries] == [
        ("services.add", "North"),
        ("services.add", "South"),
        ("services.edit", "gmail.com"),
        ("services.import", "services.json"),
    ]
    assert entries[-1].changes == {"added": [None, 2], "changed": [None, 1], "unchanged": [None, 1]}
    assert {(one.author_name, one.author_id, one.at) for one in entries} == {("", None, NOW)}


def test_rows_that_change_nothing_write_nothing(session: Session) -> None:
    imported(session, FIRM, {"name": "gmail.com", "process_default": False})
    before = dump(session)
    unchanged = {**FIRM, "smtp_server": " SMTP.firm.test:465"}
    assert imported(session, unchanged, {"name": "GMAIL.com"}) == Counts(unchanged=2)
    assert dump(session) == before


# Standard services


def test_the_company_sets_process_default_and_domains_of_a_standard_service(
    session: Session,
) -> None:
    gmail = named(session, "gmail.com")
    before = service_files.exported(gmail)
    ours = {"process_default": False, "domains": ["firm.test"]}
    assert imported(session, {"name": "Gmail.com", **ours}) == Counts(changed=1)
    assert service_files.exported(named(session, "gmail.com")) == {**before, **ours}


@pytest.mark.parametrize(
    "changed",
    [
        {"smtp_server": "smtp.firm.test:465"},
        {"smtp_server": "nonsense"},
        {"smtp_server": "smtp.gmail.com:587", "smtp_security": "starttls"},
        {"imap_login_form": "typed"},
        {"ca_pem": "none"},
        {"hidden": True},
    ],
)
def test_anything_else_of_a_standard_service_is_refused_at_its_name(
    session: Session, changed: Mapping[str, object]
) -> None:
    found = checked(session, {"name": "gmail.com", **changed})[0].fault
    assert found is not None
    assert (found.field, found.code) == ("name", "standard_locked")
    assert found.parameters == {"name": "gmail.com"}


def test_a_broken_domain_of_a_standard_service_is_told_as_such(session: Session) -> None:
    found = checked(session, {"name": "gmail.com", "domains": ["firm"]})[0].fault
    assert found is not None
    assert (found.field, found.code) == ("domains", "domain_broken")


def test_every_standard_service_keeps_the_rules_that_hold_for_rows(session: Session) -> None:
    for one in services.listed(session):
        row = checked(session, service_files.exported(one.service))[0]
        assert row.fault is None, one.service.name
        assert row.service is one.service


def test_what_came_between_check_and_apply_is_refused_by_the_verbs(session: Session) -> None:
    rows = checked(session, FIRM)
    service_of(session)
    with pytest.raises(RefusedError) as caught:
        service_import.apply(session, rows, "services.json", CONSOLE)
    assert caught.value.code == "service_name_taken"


def test_a_name_of_a_file_is_kept_as_far_as_the_log_holds_it(session: Session) -> None:
    service_import.apply(session, checked(session, FIRM), "x" * 500, CONSOLE)
    assert log(session)[-1].subject_name == "x" * 320
