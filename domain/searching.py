"""*Find settings*: the search for the servers of a domain, watched by the window that began it."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from domain.errors import NotFoundError, RefusedError
from mail.discovery import Found, KnownProvider
from mail.domain_name import parse_domain
from mail.errors import RuleError
from mail.offers import FoundServer, Offer
from mail.server_string import Protocol
from models.mailboxes import ConnectionTestState, SettingsSearch
from models.people import User
from models.services import MailService

KEPT = timedelta(minutes=10)
SEARCHES_MOST = 30  # of one person, in that time


def begin(session: Session, person: User, domain: str, now: datetime) -> SettingsSearch:
    """Raises RefusedError at ``find_domain``."""
    try:
        name = parse_domain(domain)
    except RuleError as error:
        raise RefusedError("find_domain", error.code, **error.parameters) from error
    recent = select(func.count()).where(
        SettingsSearch.user_id == person.id, SettingsSearch.created_at > now - KEPT
    )
    if (session.scalar(recent) or 0) >= SEARCHES_MOST:
        minutes = KEPT.seconds // 60
        raise RefusedError("find_domain", "too_many_searches", minutes=minutes)
    search = SettingsSearch(uuid=uuid.uuid4(), user_id=person.id, domain=name, created_at=now)
    session.add(search)
    session.flush()
    return search


def find(session: Session, person: User, search: uuid.UUID) -> SettingsSearch:
    """Raises NotFoundError when it is not this person's."""
    own = session.scalar(
        select(SettingsSearch).where(
            SettingsSearch.uuid == search, SettingsSearch.user_id == person.id
        )
    )
    if own is None:
        raise NotFoundError
    return own


def waiting(session: Session) -> list[int]:
    is_waiting = SettingsSearch.state == ConnectionTestState.WAITING
    return list(session.scalars(select(SettingsSearch.id).where(is_waiting)))


def claim(session: Session, search_id: int) -> tuple[str, list[KnownProvider]] | None:
    """The domain, and the providers that are known here; None when there is nothing to take."""
    domain = session.scalar(
        update(SettingsSearch)
        .where(SettingsSearch.id == search_id, SettingsSearch.state == ConnectionTestState.WAITING)
        .values(state=ConnectionTestState.RUNNING)
        .returning(SettingsSearch.domain)
    )
    if domain is None:
        return None
    standard = session.scalars(select(MailService).where(MailService.standard))
    return domain, [_known(service) for service in standard]


def finish(session: Session, search_id: int, found: Found | None) -> None:
    """Without a server at all it has failed."""
    search = session.get(SettingsSearch, search_id)
    if search is None:
        return
    servers = {} if found is None else {Protocol.IMAP: found.imap, Protocol.SMTP: found.smtp}
    search.found = {
        protocol.value: _stored(server) for protocol, server in servers.items() if server
    }
    done = ConnectionTestState.SUCCEEDED if search.found else ConnectionTestState.FAILED
    search.state = done
    session.flush()


def forget_old(session: Session, now: datetime) -> None:
    """Also those that a worker was killed over: the window says so once they are gone."""
    session.execute(delete(SettingsSearch).where(SettingsSearch.created_at <= now - KEPT))


def release(session: Session) -> None:
    """At the worker's start: what a former worker was looking for is looked for again."""
    session.execute(
        update(SettingsSearch)
        .where(SettingsSearch.state == ConnectionTestState.RUNNING)
        .values(state=ConnectionTestState.WAITING)
    )


def _known(service: MailService) -> KnownProvider:
    forms = {Protocol.IMAP: service.imap_login_form, Protocol.SMTP: service.smtp_login_form}
    return KnownProvider(
        name=service.name,
        domains=tuple(domain.lower() for domain in service.domains),
        offers=tuple(
            Offer(
                protocol=protocol,
                server=str(service.address(protocol)),
                security=service.security(protocol),
                login_form=form,
                oauth2_only=not service.takes_password,
                provider=service.name,
            )
            for protocol, form in forms.items()
        ),
    )


def _stored(server: FoundServer) -> dict[str, Any]:
    return {
        "server": server.address.shown,
        "security": server.security.name,
        "non_standard": server.non_standard,
        "login_form": server.login_form.name,
        "oauth2_only": server.oauth2_only,
        "source": server.source.value,
    }
