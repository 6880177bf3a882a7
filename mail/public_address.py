"""What is an IP address, and which of them belong to the public Internet."""

from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final

# What is given out to anybody (RFC 4291, 2.4). Outside lie the addresses that stand for IPv4 ones,
# mapped (::ffff:0:0/96) or translated (64:ff9b::/96), which would lead to private ones as well.
_GIVEN_OUT: Final = IPv6Network("2000::/3")


def is_ip_address(text: str) -> bool:
    """Whether it is one in numbers, without brackets; a name is none."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether anybody may reach an IP address, which may have a zone; False for a name.

    ``is_global`` alone also holds for multicast and for tunnels to IPv4 addresses (RFC 3056).
    """
    if not is_ip_address(address):
        return False
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        return found.is_global and not found.is_multicast
    return found.is_global and found in _GIVEN_OUT and found.sixtofour is None
