from flask_babel import lazy_gettext as _
from wtforms import HiddenField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired
from wtforms.widgets import PasswordInput

from models.people import Theme
from web.forms import Form, stripped

_KEPT = PasswordInput(hide_value=False)


class PreferencesForm(Form):
    language = RadioField(
        _("Language"),
        choices=[
            SelectChoice("", _("As the browser says")),
            SelectChoice("EN", "English"),
            SelectChoice("RU", "Русский"),
        ],
        default="",
    )
    theme = RadioField(
        _("Appearance"),
        choices=[
            SelectChoice(Theme.AUTO.name, _("As the system says")),
            SelectChoice(Theme.LIGHT.name, _("Light")),
            SelectChoice(Theme.DARK.name, _("Dark")),
        ],
        default=Theme.AUTO.name,
    )


class PasswordForm(Form):
    old = PasswordField(
        _("Present password"), [InputRequired(_("Type your present password."))], widget=_KEPT
    )
    password = PasswordField(
        _("New password"), [InputRequired(_("Choose a password."))], widget=_KEPT
    )


class ConnectForm(Form):
    """*Connect mail*. ``tried`` names a failed try, whose password need not be typed again."""

    address = StringField(
        _("E-mail"), [InputRequired(_("Type your e-mail address."))], filters=[stripped]
    )
    service = SelectField(
        _("Service"), [InputRequired(_("Choose a service."))], validate_choice=False
    )
    login = StringField(_("Login"), [InputRequired(_("Type your login."))], filters=[stripped])
    password = PasswordField(_("Password"), widget=_KEPT)
    tried = HiddenField()
