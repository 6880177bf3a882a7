"""Taking over mail services from a file: all of its rows, or none."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.orm import Session

from domain import changelog, services
from domain.changelog import Author
from domain.errors import RefusedError
from domain.service_files import Record, check_known, exported
from domain.services import ServerSettings, ServiceSettings
from mail.certificates import pem_of
from mail.errors import RuleError
from mail.offers import LoginForm
from mail.security import check_port, check_security, parse_security
from mail.server_string import Protocol, parse_server_string
from models.services import MailService

SOURCE_LONGEST: Final = 320  # characters, as the change log holds them

# What a new service has where the file says nothing; the empty ones have to be said.
_NEW: Final[Mapping[str, object]] = {
    "name": "",
    "smtp_server": "",
    "smtp_security": "",
    "smtp_non_standard": ServerSettings.non_standard,
    "imap_server": "",
    "imap_security": "",
    "imap_non_standard": ServerSettings.non_standard,
    "smtp_login_form": ServiceSettings.smtp_login_form,
    "imap_login_form": ServiceSettings.imap_login_form,
    "ca_pem": ServiceSettings.ca_pem,
    "domains": list(ServiceSettings.domains),
    "process_default": ServiceSettings.process_default,
    "hidden": False,
}
_OF_A_STANDARD_ONE: Final = frozenset({"process_default", "domains"})


@dataclass(frozen=True)
class Wanted:
    """What a service is to be, with what the file leaves out as it is."""

    settings: ServiceSettings
    hidden: bool


@dataclass(frozen=True)
class Row:
    """Either ``wanted``, of the present ``service`` or of a new one (None), or a ``fault``.

    The fault's field is a column; of a row that cannot be read as such, "".
    """

    number: int
    wanted: Wanted | None = None
    service: MailService | None = None
    fault: RefusedError | None = None


@dataclass(frozen=True)
class Counts:
    """How many services an import added, changed, and found as they should be."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


def check(session: Session, records: Sequence[Record]) -> list[Row]:
    """What each row would do, or its first fault in the order of the columns. Changes nothing."""
    present = {one.service.name_key: one.service for one in services.listed(session)}
    first_with: dict[str, int] = {}
    return [_checked(session, record, present, first_with) for record in records]


def apply(session: Session, rows: Sequence[Row], source: str, by: Author) -> Counts:
    """Adds and changes services as rows without a fault say; what is at fault is passed over.

    Beside the entry of each service in the change log stands one for the import.
    ``source`` is the name of the file. Whoever wants no other change to come between begins the
    transaction before ``check``. Raises RuleError.
    """
    outcomes = [_applied(session, row, by) for row in rows if row.wanted is not None]
    counts = Counts(*(outcomes.count(one) for one in ("added", "changed", "unchanged")))
    if counts.added or counts.changed:
        changelog.record(
            session,
            by,
            "services.import",
            subject="services",
            subject_name=source[:SOURCE_LONGEST],
            changes={name: (None, number) for name, number in vars(counts).items()},
        )
    return counts


def _applied(session: Session, row: Row, by: Author) -> str:
    assert row.wanted is not None
    service, settings = row.service, row.wanted.settings
    if service is None:
        service, outcome = services.add(session, settings, by), "added"
    else:
        edited = services.edit(session, service, settings, by)
        outcome = "changed" if edited else "unchanged"
    turn = services.hide if row.wanted.hidden else services.show
    if turn(session, service, by) and outcome == "unchanged":
        outcome = "changed"
    return outcome


def _checked(
    session: Session,
    record: Record,
    present: Mapping[str, MailService],
    first_with: dict[str, int],
) -> Row:
    try:
        if record.fault is not None:
            raise record.fault
        typed = _text({**_NEW, **record.values}, "name")
        key = services.tidy_name(typed).casefold()
        service = present.get(key)
        name = services.check_name(session, typed, service)
        first = first_with.setdefault(key, record.number)
        if first != record.number:
            raise RefusedError("name", "name_twice", row=first)
        values = {**(exported(service) if service else _NEW), **record.values, "name": name}
        if service is not None and service.standard:
            wanted = _of_standard(values, service)
        else:
            wanted = _wanted(values)
        check_known(record.values)
    except RefusedError as error:
        return Row(record.number, fault=error)
    return Row(record.number, wanted, service)


def _of_standard(values: Mapping[str, object], service: MailService) -> Wanted:
    """Its other fields may stand in the file, as an export has them, but say nothing else."""
    locked = RefusedError("name", "standard_locked", name=service.name)
    try:
        wanted = _wanted({**values, "name": service.name})
    except RefusedError as error:
        if error.field in _OF_A_STANDARD_ONE:
            raise
        raise locked from error
    present = _wanted(exported(service))
    open_ones = {field: getattr(wanted.settings, field) for field in _OF_A_STANDARD_ONE}
    if wanted != replace(present, settings=replace(present.settings, **open_ones)):
        raise locked
    return wanted


def _wanted(values: Mapping[str, object]) -> Wanted:
    """Reads the fields in their order, so that the first fault is told. Raises RefusedError."""
    settings = ServiceSettings(
        name=_text(values, "name"),
        smtp=_server(values, Protocol.SMTP),
        imap=_server(values, Protocol.IMAP),
        smtp_login_form=_login_form(values, "smtp_login_form"),
        imap_login_form=_login_form(values, "imap_login_form"),
        ca_pem=_certificates(values, "ca_pem"),
        domains=_domains(values, "domains"),
        process_default=_switch(values, "process_default"),
    )
    return Wanted(settings, hidden=_switch(values, "hidden"))


def _server(values: Mapping[str, object], protocol: Protocol) -> ServerSettings:
    server, security = f"{protocol}_server", f"{protocol}_security"
    unreadable = None
    try:
        non_standard = _switch(values, f"{protocol}_non_standard")
    except RefusedError as error:
        # Nobody knows which rules hold: only what breaks both is told before it.
        unreadable, non_standard = error, True
    with _faults_at(server):
        typed = _text(values, server)
        address = parse_server_string(typed, protocol, non_standard=non_standard)
        check_port(protocol, address.port, non_standard=non_standard)
    with _faults_at(security):
        chosen = parse_security(_text(values, security))
        check_security(protocol, address.port, chosen, non_standard=non_standard)
    if unreadable is not None:
        raise unreadable
    return ServerSettings(address, chosen, non_standard)


def _text(values: Mapping[str, object], field: str) -> str:
    found = values[field]
    if not isinstance(found, str):
        raise RefusedError(field, "not_text")
    return found


def _switch(values: Mapping[str, object], field: str) -> bool:
    """Letter case does not matter: Excel writes TRUE."""
    found = values[field]
    if isinstance(found, str):
        found = {"true": True, "false": False}.get(found.strip().lower())
    if not isinstance(found, bool):
        raise RefusedError(field, "not_a_switch")
    return found


def _login_form(values: Mapping[str, object], field: str) -> LoginForm:
    typed = _text(values, field)
    found = next((one for one in LoginForm if one.value == typed), None)
    if found is None:
        raise RefusedError(field, "login_form_unknown", known=", ".join(LoginForm))
    return found


def _certificates(values: Mapping[str, object], field: str) -> str:
    # JSON can hold half a character, which has no bytes; a certificate has none of them.
    typed = _text(values, field).encode("utf-8", "replace")
    with _faults_at(field):
        return pem_of(typed) if typed.strip() else ""


def _domains(values: Mapping[str, object], field: str) -> tuple[str, ...]:
    found = values[field]
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise RefusedError(field, "not_domains")
    return services.parse_domains(found)


@contextmanager
def _faults_at(field: str) -> Iterator[None]:
    """Mail code knows a value at fault, not what the file calls it."""
    try:
        yield
    except RuleError as error:
        raise RefusedError(field, error.code, **error.parameters) from error
