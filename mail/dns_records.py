"""What a domain says of its mail servers in DNS.

SRV (RFC 2782) for IMAP and submission: RFC 6186, and RFC 8314, section 5.1, for ``_submissions``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Final

from dns.exception import DNSException
from dns.rdata import Rdata
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.SRV import SRV
from dns.resolver import Resolver

from mail.offers import Offer
from mail.security import Security, usual_security
from mail.server_string import Protocol

RECORDS_MOST: Final = 50
"""Records of one name. Nobody has as many mail servers: it is an attack, and nothing is said."""

# TLS from the start is preferred whatever the priorities say (RFC 8314, section 5.1).
_SERVICES: Final = (
    (Protocol.IMAP, "_imaps", Security.TLS),
    (Protocol.IMAP, "_imap", Security.STARTTLS),
    (Protocol.SMTP, "_submissions", Security.TLS),
    (Protocol.SMTP, "_submission", Security.STARTTLS),
)


@dataclass(frozen=True)
class Dns:
    """Which name servers are asked, by IP address; without any, the machine's own.

    ``seconds`` is what all SRV records of a domain may take together, and its MX records as well.
    """

    servers: tuple[str, ...] = ()
    port: int = 53
    seconds: float = 5


def srv_offers(domain: str, dns: Dns) -> Iterator[Offer]:
    """Of each protocol the preferred first. The domain is in A-labels."""
    deadline = monotonic() + dns.seconds
    for protocol, service, security in _SERVICES:
        for record in _srv(f"{service}._tcp.{domain}", dns, deadline):
            # Many publish 465 as _submission, which was there before _submissions.
            always_tls = usual_security(protocol, record.port) is Security.TLS
            yield Offer(
                protocol,
                f"{record.target.to_text(omit_final_dot=True)}:{record.port}",
                Security.TLS if always_tls else security,
            )


def mx_hosts(domain: str, dns: Dns) -> tuple[str, ...]:
    """The hosts that take the domain's mail first, in lower case. The domain is in A-labels."""
    records = [
        record
        for record in _records(domain, "MX", dns, monotonic() + dns.seconds)
        if isinstance(record, MX)
    ]
    first = min((record.preference for record in records), default=0)
    return tuple(
        record.exchange.to_text(omit_final_dot=True).lower()
        for record in records
        if record.preference == first
    )


def _srv(name: str, dns: Dns, deadline: float) -> list[SRV]:
    """Those that offer anything: the target ``.`` says that there is none.

    Of equal priority the heaviest first, for one server is looked for and not a share of the load.
    """
    records = [record for record in _records(name, "SRV", dns, deadline) if isinstance(record, SRV)]
    offering = [record for record in records if record.target.to_text() != "."]
    return sorted(offering, key=lambda one: (one.priority, -one.weight, one.target, one.port))


def _records(name: str, kind: str, dns: Dns, deadline: float) -> list[Rdata]:
    """Nothing when there are none, when nobody answers in time, and when it cannot be believed."""
    try:
        resolver = Resolver(configure=not dns.servers)
        if dns.servers:
            resolver.nameservers = list(dns.servers)
        resolver.port = dns.port
        lifetime = max(deadline - monotonic(), 0)
        answer = resolver.resolve(f"{name}.", kind, lifetime=lifetime)
    except DNSException:
        return []
    records = list(answer)
    return records if len(records) <= RECORDS_MOST else []
