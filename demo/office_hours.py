"""A clock that runs while people are at work: delays between messages are counted on it."""

from datetime import datetime, time, timedelta

BEGIN, END = time(8), time(18, 30)
# What is younger came just now, whatever the hour.
FRESH = timedelta(hours=2)


def working_day(moment: datetime, later: int) -> datetime:
    """The same time so many working days later, or earlier."""
    step = timedelta(days=1 if later > 0 else -1)
    while later:
        moment += step
        if moment.weekday() < 5:
            later -= step.days
    return moment


def at_work(moment: datetime) -> datetime:
    """The same moment, or the next at which people are at work."""
    if moment.weekday() >= 5 or moment.time() >= END:
        moment = _at(working_day(moment, 1), BEGIN)
    return max(moment, _at(moment, BEGIN))


def worked_after(moment: datetime, delay: timedelta) -> datetime:
    """A day of ``delay`` is a working day; its hours are hours of work."""
    if delay < FRESH and at_work(moment) != moment:
        return moment + delay
    moment = at_work(working_day(moment, delay.days))
    left = timedelta(seconds=delay.seconds)
    while left > (rest := _at(moment, END) - moment):
        left -= rest
        moment = at_work(_at(moment, END))
    return moment + left


def worked_before(moment: datetime, age: timedelta) -> datetime:
    """The other way round; never later than ``moment``."""
    if age < FRESH:
        return moment - age
    if moment.time() < BEGIN or moment.weekday() >= 5:
        moment = _at(working_day(moment, -1), END)
    moment = min(working_day(moment, -age.days), _at(working_day(moment, -age.days), END))
    left = timedelta(seconds=age.seconds)
    while left > (rest := moment - _at(moment, BEGIN)):
        left -= rest
        moment = _at(working_day(moment, -1), END)
    return moment - left


def _at(moment: datetime, clock: time) -> datetime:
    return moment.replace(hour=clock.hour, minute=clock.minute, second=0)
