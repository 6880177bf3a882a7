"""Times as people say them, for one person's zone and language; a list asks hundreds of times."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from babel.dates import format_date, format_datetime, format_time
from flask import current_app
from flask_babel import get_locale

DAYS_OF_A_WEEK = 7


@dataclass(frozen=True)
class Clock:
    """``today`` is the ordinal of the day in that zone; ``zone`` None is the machine's own."""

    zone: tzinfo | None
    language: str
    today: int

    def when(self, value: datetime) -> str:
        """14:05 today, Tue this week, 3 Mar this year, else with the year."""
        return _when(_to_the_minute(value.astimezone(self.zone)), self.today, self.language)

    def moment(self, value: datetime) -> str:
        """In full, for the head of a message and for tooltips."""
        return _moment(_to_the_minute(value.astimezone(self.zone)), self.language)


def clock() -> Clock:
    """The clock of whoever looks."""
    zone: tzinfo | None = current_app.extensions["postroom_settings"].time_zone
    locale = get_locale()
    today = datetime.now(UTC).astimezone(zone).date().toordinal()
    return Clock(zone, locale.language if locale is not None else "en", today)


def _to_the_minute(local: datetime) -> datetime:
    # Without its zone, too: what is the same on the wall is the same in the cache.
    return local.replace(second=0, microsecond=0, tzinfo=None)


@lru_cache(maxsize=8192)
def _when(local: datetime, today: int, language: str) -> str:
    days = today - local.date().toordinal()
    if days == 0:
        return format_time(local, "HH:mm", locale=language)
    if 0 < days < DAYS_OF_A_WEEK:
        return format_date(local.date(), "EEE", locale=language)
    same_year = local.year == datetime.fromordinal(today).year  # noqa: DTZ001, RUF100 - a date only
    return format_date(local.date(), "d MMM" if same_year else "d MMM y", locale=language)


@lru_cache(maxsize=8192)
def _moment(local: datetime, language: str) -> str:
    return format_datetime(local, "d MMMM y, HH:mm", locale=language)
