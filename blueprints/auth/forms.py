from flask_babel import lazy_gettext as _
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired

from web.forms import Form, RetypedForm


class SignInForm(Form):
    login = StringField(_("Login"), [InputRequired(_("Type your login."))])
    password = PasswordField(_("Password"), [InputRequired(_("Type your password."))])
    next = HiddenField()


class SetUpForm(RetypedForm):
    code = StringField(_("One-time code"), [InputRequired(_("Type the code from the console."))])
    name = StringField(_("Your name"), [InputRequired(_("Type your name."))])
    login = StringField(_("Login"), [InputRequired(_("Type a login."))])
    password = PasswordField(_("Password"), [InputRequired(_("Choose a password."))])


class InvitationForm(RetypedForm):
    password = PasswordField(_("Password"), [InputRequired(_("Choose a password."))])
