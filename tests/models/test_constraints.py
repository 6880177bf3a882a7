"""The database refuses what the rules refuse, as far as SQL can say it."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from mail.errors import RuleError
from mail.security import Security, check_security
from mail.server_string import Protocol, parse_server_string
from models import MailService
from tests.mail.server_string_cases import ACCEPTED

PORTS = (1, 25, 143, 465, 587, 993, 2525, 65535)


def service(**changed: object) -> MailService:
    values: dict[str, object] = {
        "name": "Firm",
        "name_key": "firm",
        "imap_host": "imap.firm.example",
        "imap_port": 993,
        "imap_security": Security.TLS,
        "imap_non_standard": False,
        "smtp_host": "smtp.firm.example",
        "smtp_port": 465,
        "smtp_security": Security.TLS,
        "smtp_non_standard": False,
    }
    return MailService(**{**values, **changed})


def is_accepted(sessions: sessionmaker[Session], row: MailService) -> bool:
    with sessions() as session:
        session.add(row)
        try:
            session.flush()
        except IntegrityError:
            return False
        finally:
            session.rollback()
    return True


@pytest.mark.parametrize("non_standard", [False, True])
@pytest.mark.parametrize("protocol", list(Protocol))
def test_every_pair_of_port_and_security_is_judged_alike(
    sessions: sessionmaker[Session], protocol: Protocol, non_standard: bool
) -> None:
    for port in PORTS:
        for security in Security:
            try:
                check_security(protocol, port, security, non_standard=non_standard)
                allowed = True
            except RuleError:
                allowed = False
            row = service(
                **{
                    f"{protocol}_port": port,
                    f"{protocol}_security": security,
                    f"{protocol}_non_standard": non_standard,
                }
            )
            assert is_accepted(sessions, row) == allowed, (protocol, port, security)


def test_every_server_string_that_is_accepted_can_be_stored(
    sessions: sessionmaker[Session],
) -> None:
    for case in ACCEPTED:
        address = parse_server_string(case.text, case.protocol, non_standard=case.non_standard)
        row = service(
            **{
                f"{case.protocol}_host": address.host,
                f"{case.protocol}_port": address.port,
                f"{case.protocol}_non_standard": True,
            }
        )
        assert is_accepted(sessions, row), case


@pytest.mark.parametrize(
    "changed",
    [
        {"imap_port": 0},
        {"smtp_port": 65536},
        {"imap_host": "mail.firm.example"},
        {"smtp_host": "smtp."},
        {"name": ""},
        {"name": "x" * 101},
    ],
)
def test_what_no_form_lets_through_the_database_refuses_too(
    sessions: sessionmaker[Session], changed: dict[str, object]
) -> None:
    assert not is_accepted(sessions, service(**changed))


def test_two_services_present_cannot_have_one_name(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        session.add(service())
    assert not is_accepted(sessions, service())
    with sessions.begin() as session:
        present = session.scalars(select(MailService).where(~MailService.standard)).one()
        present.deleted_at = datetime.now(UTC)
    assert is_accepted(sessions, service())
