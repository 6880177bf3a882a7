"""What the page filters by. The form is sent by GET: its values stand in the address."""

from contextlib import suppress
from datetime import date, datetime, time, timedelta, tzinfo

from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import DateField, SelectField
from wtforms.validators import Optional, ValidationError

from domain.changelog import Filters, LoggedService, Writer, service_subject
from web import changelog_words
from web.clock import Clock
from web.forms import Form

# Where the C library can say when a day began, in any zone.
_FIRST_DAY, _LAST_DAY = date(1970, 1, 2), date(9999, 12, 30)
_ALONE = "name:"  # before the name of a writer who is no person


class DayField(DateField):  # type: ignore[misc]  # WTForms ships no types
    """A day; browsers send it as year, month and day whatever they show."""

    data: date | None

    def process_formdata(self, valuelist: list[str]) -> None:
        with suppress(ValueError):
            super().process_formdata(valuelist)
        if self.data is not None and not _FIRST_DAY <= self.data <= _LAST_DAY:
            self.data = None
        if valuelist and self.data is None:
            raise ValueError(gettext("Type a date as year, month and day, for example 2026-11-24."))

    @property
    def is_day(self) -> bool:
        """Whether a date field of a browser can show what was typed."""
        return self.data is not None or not any(self.raw_data or ())


class FilterForm(Form):
    class Meta:
        csrf = False  # nothing is changed by it

    person = SelectField(_("Person"), default="", validate_choice=False)
    service = SelectField(_("Service"), default="", validate_choice=False)
    since = DayField(_("From date"), [Optional()])
    until = DayField(_("Until date"), [Optional()])

    def __init__(self, writers: list[Writer], services: list[LoggedService], clock: Clock) -> None:
        super().__init__(request.args)
        self._writers = {_key_of(one): one for one in writers}
        self._services = {str(one.id): one for one in services}
        self._zone = clock.zone
        self.person.choices = [
            ("", gettext("Everybody")),
            *((key, changelog_words.writer(one)) for key, one in self._writers.items()),
        ]
        self.service.choices = [
            ("", gettext("All services")),
            *((key, changelog_words.service(one, clock)) for key, one in self._services.items()),
        ]

    def validate_person(self, field: SelectField) -> None:
        _check_choice(field, self._writers)

    def validate_service(self, field: SelectField) -> None:
        _check_choice(field, self._services)

    def validate_until(self, field: DayField) -> None:
        if self.since.data and field.data and field.data < self.since.data:
            raise ValidationError(gettext("This is before the first day. Choose a later one."))

    def filters(self) -> Filters:
        """What a form that is valid asks for."""
        since, until = self.since.data, self.until.data
        return Filters(
            writer=self._writers.get(self.person.data),
            subject=service_subject(self.service.data) if self.service.data else "",
            since=_beginning(since, self._zone) if since else None,
            before=_beginning(until + timedelta(days=1), self._zone) if until else None,
        )

    def asked(self) -> dict[str, str]:
        """The same once more, for the addresses of other pages."""
        names = ("person", "service", "since", "until")
        return {name: request.args[name] for name in names if request.args.get(name)}


def _check_choice(field: SelectField, known: dict[str, Writer] | dict[str, LoggedService]) -> None:
    if field.data and field.data not in known:
        raise ValidationError(gettext("This choice is not there any more. Choose another."))


def _key_of(writer: Writer) -> str:
    return _ALONE + writer.name if writer.user_id is None else str(writer.user_id)


def _beginning(day: date, zone: tzinfo | None) -> datetime:
    """The moment in which a day begins; ``zone`` None is the machine's own."""
    midnight = datetime.combine(day, time())
    return midnight.astimezone() if zone is None else midnight.replace(tzinfo=zone)
