from flask_babel import lazy_gettext as _
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired
from wtforms.widgets import PasswordInput

from web.forms import Form

_KEPT = PasswordInput(hide_value=False)


class SignInForm(Form):
    login = StringField(_("Login"), [InputRequired(_("Type your login."))])
    password = PasswordField(_("Password"), [InputRequired(_("Type your password."))])
    next = HiddenField()


class SetUpForm(Form):
    code = StringField(_("One-time code"), [InputRequired(_("Type the code from the console."))])
    name = StringField(_("Your name"), [InputRequired(_("Type your name."))])
    login = StringField(_("Login"), [InputRequired(_("Type a login."))])
    password = PasswordField(_("Password"), [InputRequired(_("Choose a password."))], widget=_KEPT)


class InvitationForm(Form):
    password = PasswordField(_("Password"), [InputRequired(_("Choose a password."))], widget=_KEPT)
