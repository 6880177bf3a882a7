"""A domain's own autoconfig file, in Thunderbird's format (config version 1.1).

Where it lies and what it says: https://benbucksch.github.io/autoconfig-spec/, which was written
down from Thunderbird. Mozilla's and anybody else's database of other domains is never asked.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from lxml import etree

from mail.connection import Network
from mail.http import Web, fetch
from mail.offers import LoginForm, Offer
from mail.security import Security
from mail.server_string import Protocol

_HTTPS: Final = (
    "https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={address}",
    "https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
)
_HTTP: Final = ("http://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={address}",)
# Some servers want an address; only this one is known to be there (RFC 2142, section 5).
_LOCAL_PART: Final = "postmaster"
_SERVERS_MOST: Final = 20  # of one kind in one file
_KINDS: Final = {"imap": "incomingServer", "smtp": "outgoingServer"}
_SECURITY: Final = {
    "SSL": Security.TLS,
    "STARTTLS": Security.STARTTLS,
    "PLAIN": Security.NONE,
}
_OAUTH2: Final = "OAUTH2"
# The last two are what they were called at first.
_WITH_A_PASSWORD: Final = frozenset({"PASSWORD-CLEARTEXT", "PASSWORD-ENCRYPTED", "PLAIN", "SECURE"})


def autoconfig_offers(
    domain: str, network: Network, web: Web, *, encrypted: bool
) -> Iterator[Offer]:
    """What the files say, each of which is fetched only when it is wanted.

    The domain is in A-labels. ``encrypted`` are those that come by https.
    """
    for place in _HTTPS if encrypted else _HTTP:
        address = f"{_LOCAL_PART}%40{domain}"
        content = fetch(place.format(domain=domain, address=address), network, web)
        if content is not None:
            yield from read_autoconfig(content, domain)


def read_autoconfig(content: bytes, domain: str) -> list[Offer]:
    """Of each protocol the preferred first: the file's own order, but those that take no password
    last, and before them those that encrypt nothing. Empty for what is no such file."""
    root = _parsed(content)
    if root is None or root.tag != "clientConfig":
        return []
    offers = []
    for protocol in Protocol:
        servers = root.iterfind(f"emailProvider/{_KINDS[protocol]}[@type='{protocol}']")
        for server in islice(servers, _SERVERS_MOST):
            offer = _offer(server, protocol, domain)
            if offer is not None:
                offers.append(offer)
    return sorted(offers, key=lambda one: (one.oauth2_only, one.security is Security.NONE))


def _parsed(content: bytes) -> etree._Element | None:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        return None
    # The format has no document type, which is where entities come from.
    return root if root.getroottree().docinfo.internalDTD is None else None


def _offer(server: etree._Element, protocol: Protocol, domain: str) -> Offer | None:
    security = _SECURITY.get(_text(server, "socketType").upper())
    ways = {(way.text or "").strip().upper() for way in server.iterfind("authentication")}
    takes_password = not ways or not ways.isdisjoint(_WITH_A_PASSWORD)
    if security is None or not (takes_password or _OAUTH2 in ways):
        return None
    host = _text(server, "hostname").replace("%EMAILDOMAIN%", domain)
    return Offer(
        protocol,
        f"{host}:{_text(server, 'port')}",
        security,
        _login_form(_text(server, "username"), domain),
        oauth2_only=not takes_password,
    )


def _login_form(username: str, domain: str) -> LoginForm | None:
    """By what it becomes for the address that was asked with: some servers fill it in."""
    if not username:
        return None
    address = f"{_LOCAL_PART}@{domain}"
    filled = (
        username.replace("%EMAILADDRESS%", address)
        .replace("%EMAILLOCALPART%", _LOCAL_PART)
        .replace("%EMAILDOMAIN%", domain)
        .lower()
    )
    forms = {address: LoginForm.ADDRESS, _LOCAL_PART: LoginForm.LOCAL_PART}
    return forms.get(filled, LoginForm.TYPED)


def _text(server: etree._Element, name: str) -> str:
    return (server.findtext(name) or "").strip()
