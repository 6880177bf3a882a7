from flask_babel import lazy_gettext as _
from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from models.people import Role
from web.forms import Form


class PersonForm(Form):
    name = StringField(_("Full name"), [InputRequired(_("Type the person's name."))])
    login = StringField(_("Login"), [InputRequired(_("Type a login, for example bob."))])
    role = RadioField(
        _("Role"),
        choices=[
            SelectChoice(Role.EMPLOYEE.name, _("Employee")),
            SelectChoice(Role.ADMINISTRATOR.name, _("Administrator")),
        ],
        default=Role.EMPLOYEE.name,
    )


class DeleteMailForm(Form):
    """Whoever deletes somebody's mail types the login, so that no slip of the hand does it."""

    login = StringField(_("Login"))
