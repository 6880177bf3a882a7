"""How pages write times, sizes and people."""

import hashlib
from datetime import datetime

from flask import Flask
from flask_babel import gettext as _

from web.browsers import browser
from web.clock import clock

AVATAR_COLOURS = 8
_KIB = 1024


def install(app: Flask) -> None:
    app.jinja_env.filters |= {
        "when": when,
        "moment": moment,
        "size": size,
        "initials": initials,
        "colour": colour,
        "browser": browser,
    }


def when(value: datetime) -> str:
    return clock().when(value)


def moment(value: datetime) -> str:
    return clock().moment(value)


def size(octets: int) -> str:
    if octets < _KIB:
        return _("%(number)s B", number=octets)
    if octets < _KIB * _KIB:
        return _("%(number)s KB", number=round(octets / _KIB))
    return _("%(number)s MB", number=f"{octets / _KIB / _KIB:.1f}")


def initials(name: str) -> str:
    """Two letters at most, of the first and the last word."""
    words = [word for word in name.replace("@", " ").split() if word[0].isalnum()]
    letters = [words[0][0], words[-1][0]] if len(words) > 1 else [word[0] for word in words]
    return "".join(letters).upper()


def colour(address: str) -> int:
    """One of eight colours, always the same for an address."""
    digest = hashlib.blake2s(address.lower().encode(), digest_size=1).digest()
    return digest[0] % AVATAR_COLOURS
