"""*Find settings*: the mail servers of a domain, asked of those who should know.

Only the domain itself is asked (its DNS, its web server) and what is known here. No database of
others is: it would learn which domains this company serves.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mail.autoconfig import autoconfig_offers
from mail.connection import Network
from mail.dns_records import Dns, mx_hosts, srv_offers
from mail.domain_name import parse_domain
from mail.http import Web
from mail.offers import FoundServer, Offer, Source, accepted
from mail.server_string import Protocol

# The hosts that take mail for companies, and the server by which those companies send. From the
# providers' help for domains of one's own; those that have other servers for companies (Zoho,
# Yahoo) are left out on purpose.
_SMTP_HOST_BY_MX: Final = {
    "google.com": "smtp.gmail.com",
    "googlemail.com": "smtp.gmail.com",
    "icloud.com": "smtp.mail.me.com",
    "mail.protection.outlook.com": "smtp.office365.com",
    "mx.microsoft": "smtp.office365.com",
    "mail.ru": "smtp.mail.ru",
    "messagingengine.com": "smtp.fastmail.com",
    "yandex.net": "smtp.yandex.ru",
    "yandex.ru": "smtp.yandex.ru",
}


@dataclass(frozen=True)
class KnownProvider:
    """A provider whose servers need not be asked for. ``domains`` are in A-labels and lower case,
    ``offers`` are its IMAP and its SMTP server."""

    name: str
    domains: Sequence[str]
    offers: Sequence[Offer]


@dataclass(frozen=True)
class Found:
    """At least one of the two. ``domain`` is the one that was looked at, in A-labels."""

    domain: str
    imap: FoundServer | None
    smtp: FoundServer | None


def find_settings(
    domain: str,
    providers: Sequence[KnownProvider],
    network: Network,
    dns: Dns,
    web: Web | None = None,
) -> Found | None:
    """Asks one source after the other until both servers are known; None when none is.

    It takes up to ``2 * dns.seconds + 3 * web.seconds``. Raises RuleError at ``domain`` (as
    ``parse_domain``).
    """
    name = parse_domain(domain)
    found: dict[Protocol, FoundServer] = {}
    for source, ask in _sources(name, providers, network, dns, web or Web()).items():
        for offer in ask():
            server = accepted(_completed(offer, providers), source)
            if server is not None:
                found.setdefault(server.protocol, server)
            if len(found) == len(Protocol):
                return Found(name, found[Protocol.IMAP], found[Protocol.SMTP])
    return Found(name, found.get(Protocol.IMAP), found.get(Protocol.SMTP)) if found else None


def _sources(
    domain: str, providers: Sequence[KnownProvider], network: Network, dns: Dns, web: Web
) -> dict[Source, Callable[[], Iterable[Offer]]]:
    """In the order of trust."""
    return {
        Source.SRV: lambda: srv_offers(domain, dns),
        Source.AUTOCONFIG: lambda: autoconfig_offers(domain, network, web, encrypted=True),
        Source.AUTOCONFIG_UNENCRYPTED: lambda: autoconfig_offers(
            domain, network, web, encrypted=False
        ),
        Source.PROVIDER: lambda: _offers_of(
            provider for provider in providers if domain in provider.domains
        ),
        Source.MX: lambda: _offers_of(_mx_providers(mx_hosts(domain, dns), providers)),
    }


def _offers_of(providers: Iterable[KnownProvider]) -> Iterable[Offer]:
    return (
        replace(offer, provider=provider.name)
        for provider in providers
        for offer in provider.offers
    )


def _mx_providers(
    hosts: Sequence[str], providers: Sequence[KnownProvider]
) -> Iterable[KnownProvider]:
    smtp_hosts = {
        smtp_host
        for suffix, smtp_host in _SMTP_HOST_BY_MX.items()
        if any(f".{host}".endswith(f".{suffix}") for host in hosts)
    }
    return (
        provider
        for provider in providers
        if any(offer.host in smtp_hosts for offer in provider.offers)
    )


def _completed(offer: Offer, providers: Sequence[KnownProvider]) -> Offer:
    """With what a known provider says of a server of its own: DNS does not tell how one signs in,
    and many a file is older than the end of passwords."""
    if offer.provider:
        return offer
    for provider in providers:
        for known in provider.offers:
            if (known.protocol, known.host) == (offer.protocol, offer.host.lower()):
                return replace(
                    offer,
                    provider=provider.name,
                    login_form=offer.login_form or known.login_form,
                    oauth2_only=offer.oauth2_only or known.oauth2_only,
                )
    return offer
