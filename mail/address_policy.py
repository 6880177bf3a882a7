"""Where servers may be that an employee typed: no page of ours looks into the company's network.

What counts are the addresses that a name has when it is connected to, however it was written
(``localhost``, ``0x7f.1``, ``2130706433``) and wherever they come from.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from mail.errors import RuleError
from mail.public_address import is_public

NETWORKS_MOST: Final = 50


def may_reach(address: str, networks: Sequence[str]) -> bool:
    """Whether an IP address is public, or in one of the networks (CIDR) that are allowed.

    An IPv4 address that stands in an IPv6 one is never public. A mapped one (``::ffff:10.0.0.1``)
    is allowed by its own network, a translated one (NAT64, 6to4) only by an IPv6 network.
    """
    if is_public(address):
        return True
    found = ip_address(address.partition("%")[0])
    if found.version == 6 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in map(ip_network, networks))


def parse_networks(text: str) -> tuple[str, ...]:
    """``192.168.1.0/24, 10.0.0.5`` as networks, each once. Raises RuleError at ``networks``."""
    found: dict[str, None] = {}
    for typed in text.replace(",", " ").replace(";", " ").split():
        found[str(_network(typed))] = None
    if len(found) > NETWORKS_MOST:
        raise RuleError("networks", "networks_many", most=NETWORKS_MOST)
    return tuple(found)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise RuleError("networks", "network_broken", network=text[:60]) from error
