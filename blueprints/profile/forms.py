from flask_babel import lazy_gettext as _
from wtforms import PasswordField, RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from models.people import Theme
from web.forms import Form, RetypedForm


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


class PasswordForm(RetypedForm):
    old = PasswordField(_("Present password"), [InputRequired(_("Type your present password."))])
    password = PasswordField(_("New password"), [InputRequired(_("Choose a password."))])


class NewPasswordForm(Form):
    """Another password for a mailbox that is connected."""

    password = PasswordField(_("Password"), [InputRequired(_("Type the password of the mailbox."))])
