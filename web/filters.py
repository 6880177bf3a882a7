"""How pages write times, sizes and people."""

import hashlib
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from babel.dates import format_date, format_datetime, format_time
from flask import Flask, current_app
from flask_babel import get_locale
from flask_babel import gettext as _

AVATAR_COLOURS = 8
_KIB = 1024


def install(app: Flask) -> None:
    app.jinja_env.filters |= {
        "when": when,
        "moment": moment,
        "size": size,
        "initials": initials,
        "colour": colour,
    }


def when(value: datetime) -> str:
    """As people say it: 14:05 today, Tue this week, 3 Mar this year, else with the year."""
    zone = _zone()
    local, today = value.astimezone(zone), datetime.now(UTC).astimezone(zone)
    return _when(local.replace(second=0, microsecond=0), today.date().toordinal(), _language())


def moment(value: datetime) -> str:
    """In full, for the head of a message and for tooltips."""
    return format_datetime(value.astimezone(_zone()), "d MMMM y, HH:mm", locale=_language())


@lru_cache(maxsize=4096)
def _when(local: datetime, today: int, language: str) -> str:
    days = today - local.date().toordinal()
    if days == 0:
        return format_time(local, "HH:mm", locale=language)
    if 0 < days < timedelta(days=7).days:
        return format_date(local.date(), "EEE", locale=language)
    same_year = local.year == datetime.fromordinal(today).year  # noqa: DTZ001, RUF100 - a date only
    return format_date(local.date(), "d MMM" if same_year else "d MMM y", locale=language)


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


def _language() -> str:
    locale = get_locale()
    return locale.language if locale is not None else "en"


def _zone() -> tzinfo | None:
    zone: tzinfo | None = current_app.extensions["postroom_settings"].time_zone
    return zone
