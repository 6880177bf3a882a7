"""Lists of addresses (RFC 5322, section 3.4), leniently."""

import inspect
from collections.abc import Iterable
from email.utils import getaddresses
from typing import Any, Final

# Where the library can be strict it would drop a whole list for one odd address.
_LENIENT: Final[dict[str, Any]] = (
    {"strict": False} if "strict" in inspect.signature(getaddresses).parameters else {}
)


def split_addresses(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Names and addresses, in their order, either of them possibly empty. Never raises."""
    try:
        found = getaddresses(list(lines), **_LENIENT)
    # What the library stumbles over: an unfinished "<", comments inside each other without end.
    except (IndexError, RecursionError):
        return []
    return [(name or "", address or "") for name, address in found if name or address]
