"""What is said of a mail server by those who should know, and whether it can be used."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mail.errors import RuleError
from mail.public_address import is_ip_address, is_public
from mail.security import Security, check_security
from mail.server_string import Protocol, ServerAddress, parse_server_string


class Source(StrEnum):
    """Who says it, from the most to the least trusted."""

    SRV = "srv"  # the domain's records in DNS
    AUTOCONFIG = "autoconfig"  # the domain's own file
    AUTOCONFIG_UNENCRYPTED = "autoconfig_unencrypted"  # the same; anybody may have changed it
    PROVIDER = "provider"  # a known provider has addresses in this domain
    MX = "mx"  # a known provider takes the domain's mail


_STRANGERS: Final = frozenset({Source.SRV, Source.AUTOCONFIG, Source.AUTOCONFIG_UNENCRYPTED})


class LoginForm(StrEnum):
    """What a server takes as login: the full address, the part before @, or something else."""

    ADDRESS = "address"
    LOCAL_PART = "local_part"
    TYPED = "typed"


@dataclass(frozen=True)
class Offer:
    """What was said, word for word. ``server`` is a server string.

    ``login_form`` is None when nothing is said of it, ``oauth2_only`` True when no password can be
    used, ``provider`` the name of the known provider whose server it is, else empty.
    """

    protocol: Protocol
    server: str
    security: Security
    login_form: LoginForm | None = None
    oauth2_only: bool = False
    provider: str = ""

    @property
    def host(self) -> str:
        return self.server.rpartition(":")[0]


@dataclass(frozen=True)
class FoundServer:
    """An offer that can be used; ``non_standard`` when only as a non-standard server."""

    protocol: Protocol
    address: ServerAddress
    security: Security
    non_standard: bool
    login_form: LoginForm
    oauth2_only: bool
    provider: str
    source: Source


def accepted(offer: Offer, source: Source) -> FoundServer | None:
    """The server that is offered; None when the rules for servers do not allow it at all.

    Strangers can name neither a single label, which is another server in every network, nor an
    IP address that is not public.
    """
    for non_standard in (False, True):
        try:
            address = parse_server_string(offer.server, offer.protocol, non_standard=non_standard)
            check_security(offer.protocol, address.port, offer.security, non_standard=non_standard)
        except RuleError:
            continue
        if source in _STRANGERS and not _is_known_everywhere(address.host):
            return None
        return FoundServer(
            protocol=offer.protocol,
            address=address,
            security=offer.security,
            non_standard=non_standard,
            # RFC 6186, section 4: the address is to be tried first.
            login_form=offer.login_form or LoginForm.ADDRESS,
            oauth2_only=offer.oauth2_only,
            provider=offer.provider,
            source=source,
        )
    return None


def _is_known_everywhere(host: str) -> bool:
    return is_public(host) if is_ip_address(host) else "." in host
