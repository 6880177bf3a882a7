"""What the page filters by. The form is sent by GET: its values stand in the address."""

from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import ValidationError

from domain.overview import Choice, Filters
from web.forms import Form, stripped

SEARCH_LONGEST = 100
ALL, BROKEN = "", "broken"
OTHER = "other"


class FilterForm(Form):
    """``service`` is the id of a service, or OTHER."""

    class Meta:
        csrf = False  # nothing is changed by it

    state = RadioField(
        _("State"),
        choices=[SelectChoice(ALL, _("All")), SelectChoice(BROKEN, _("Broken"))],
        default=ALL,
    )
    service = SelectField(_("Service"), default="", validate_choice=False)
    search = StringField(_("Person, login or address"), filters=[stripped])

    def __init__(self, services: list[Choice]) -> None:
        super().__init__(request.args)
        self.service.choices = [
            ("", gettext("All services")),
            *((str(one.id), _title(one)) for one in services),
            (OTHER, gettext("Other")),
        ]
        if self.state.data != BROKEN:
            self.state.data = ALL
        self.search.data = self.search.data[:SEARCH_LONGEST]

    def validate_service(self, field: SelectField) -> None:
        if field.data not in dict(field.choices):
            raise ValidationError(gettext("This choice is not there any more. Choose another."))

    def filters(self) -> Filters:
        """What a form that is valid asks for."""
        service = self.service.data
        return Filters(
            broken=self.state.data == BROKEN,
            service_id=int(service) if service not in ("", OTHER) else None,
            other=service == OTHER,
            search=self.search.data,
        )

    def asked(self) -> dict[str, str]:
        """The same once more, for the addresses of other pages."""
        values = {name: self[name].data for name in ("state", "service", "search")}
        return {name: value for name, value in values.items() if value}


def _title(service: Choice) -> str:
    return gettext("%(name)s (deleted)", name=service.name) if service.deleted else service.name
