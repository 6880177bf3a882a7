"""Which servers an employee's address suggests, within what the company allows."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from domain import company, services
from mail.domain_name import parse_domain
from mail.errors import RuleError
from mail.server_string import Protocol
from models.mailboxes import SettingsSearch
from models.services import MailService


@dataclass(frozen=True)
class Proposal:
    """A service to choose, or servers to type for *Other*, or neither.

    ``other`` is as ``SettingsSearch.found``; ``oauth2_only`` says that what was found takes no
    password.
    """

    service: MailService | None = None
    other: dict[str, Any] | None = None
    oauth2_only: bool = False


def service_for(session: Session, address: str) -> MailService | None:
    """The service that has the address's domain among its own; the company's come first."""
    try:
        domain = parse_domain(address.rpartition("@")[2])
    except RuleError:
        return None
    listed = (one for one in services.choosable(session) if one.takes_password)
    return next((one for one in listed if domain in map(str.lower, one.domains)), None)


def proposal(session: Session, search: SettingsSearch) -> Proposal:
    """What a search that has ended comes to."""
    if not search.found:
        return Proposal(service=service_for(session, f"@{search.domain}"))
    if any(server["oauth2_only"] for server in search.found.values()):
        return Proposal(oauth2_only=True)
    for service in services.choosable(session):
        if service.takes_password and _is_at(service, search.found):
            return Proposal(service=service)
    if company.settings(session).other_allowed:
        return Proposal(other=search.found)
    return Proposal()


def _is_at(service: MailService, found: dict[str, Any]) -> bool:
    """Whether every server that was found is the service's."""
    return all(
        service.address(Protocol(protocol)).shown == server["server"]
        for protocol, server in found.items()
    )
