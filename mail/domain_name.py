"""The domain of an e-mail address, as people type it."""

from typing import Final

from mail.errors import RuleError
from mail.public_address import is_ip_address
from mail.server_errors import clean_words
from mail.server_string import Protocol, parse_server_string

_SHOWN: Final = 60  # characters of what was typed that a refusal repeats


def parse_domain(text: str) -> str:
    """The domain in A-labels. Of an e-mail address, ``Bob <bob@firm.test>`` too, its domain.

    Raises RuleError at ``domain``: ``required``, or ``domain_broken`` with ``domain``, what was
    typed. A single label and an IP address are no domains.
    """
    typed = text.strip()
    if not typed:
        raise RuleError("domain", "required")
    name = typed.rpartition("@")[2].removesuffix(">").strip()
    try:
        # The rules for names stand there; any port will do.
        host = parse_server_string(f"{name}:1", Protocol.IMAP, non_standard=True).host
    except RuleError:
        host = ""
    if "." not in host or is_ip_address(host):
        raise RuleError("domain", "domain_broken", domain=clean_words(typed)[:_SHOWN])
    return host
