"""Lists of addresses (RFC 5322, section 3.4), leniently."""

import inspect
import re
from collections.abc import Iterable
from email.utils import getaddresses
from typing import Any, Final

# Where the library can be strict it would drop a whole list for one odd address.
_LENIENT: Final[dict[str, Any]] = (
    {"strict": False} if "strict" in inspect.signature(getaddresses).parameters else {}
)

LIST_LONGEST: Final = 256 * 1024
"""Characters of a list that are looked at."""

# Inside a group the library needs the square of what these divide: four of them in each of
# 2,000 people.
_BEGINNING: Final = re.compile(r"(?:[^]\[),<>@]*+[]\[),<>@]){0,8000}[^]\[),<>@]*+")


def split_addresses(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Names and addresses, in their order, either of them possibly empty. Never raises."""
    beginning = _BEGINNING.match(", ".join(lines)[:LIST_LONGEST])
    try:
        found = getaddresses([beginning[0] if beginning else ""], **_LENIENT)
    # What the library stumbles over: an unfinished "<", comments inside each other without end.
    except (IndexError, RecursionError):
        return []
    return [(name or "", address or "") for name, address in found if name or address]
