"""The part of a host's name that somebody registered: whoever owns it owns all hosts below."""

from functools import lru_cache

from publicsuffixlist import PublicSuffixList

from mail.public_address import is_ip_address


def registrable_domain(host: str) -> str:
    """``firm.co.uk`` of ``imap.firm.co.uk``, by the public suffix list; of what has none, the host.

    A name of the intranet (``imap.firm.local``) counts its last label as the suffix.
    """
    if is_ip_address(host):
        return host
    return _suffixes().privatesuffix(host) or host


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    """Read once, from the file that comes with the library."""
    return PublicSuffixList()
