from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired
from wtforms.widgets import PasswordInput

from domain import services
from mail.server_string import Protocol
from models.people import Theme
from models.services import OwnServers
from web.forms import Form, stripped
from web.server_fields import security_field, server_field, server_settings

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


OTHER = "other"


class NewPasswordForm(Form):
    """Another password for a mailbox that is connected."""

    password = PasswordField(_("Password"), [InputRequired(_("Type the password of the mailbox."))])


class ConnectForm(Form):
    """*Connect mail*. ``tried`` names a failed try, whose password need not be typed again.

    The servers are typed, and looked at, only for the choice *Other*.
    """

    address = StringField(
        _("E-mail"), [InputRequired(_("Type your e-mail address."))], filters=[stripped]
    )
    service = SelectField(
        _("Service"), [InputRequired(_("Choose a service."))], validate_choice=False
    )
    login = StringField(_("Login"), [InputRequired(_("Type your login."))], filters=[stripped])
    password = PasswordField(_("Password"), widget=_KEPT)
    tried = HiddenField()
    smtp_server = server_field(Protocol.SMTP, _("SMTP server"))
    smtp_security = security_field(Protocol.SMTP)
    smtp_non_standard = BooleanField(_("Non-standard server"))
    imap_server = server_field(Protocol.IMAP, _("IMAP server"))
    imap_security = security_field(Protocol.IMAP)
    imap_non_standard = BooleanField(_("Non-standard server"))

    @property
    def is_other(self) -> bool:
        return bool(self.service.data == OTHER)

    @property
    def own_servers(self) -> OwnServers:
        """What a form that is valid says. Raises RuleError."""
        return services.own_servers(
            server_settings(self, Protocol.IMAP), server_settings(self, Protocol.SMTP)
        )

    def validate(self, extra_validators: Any = None) -> bool:
        if not self.is_other:
            for name in list(self._fields):
                if name.startswith(("smtp_", "imap_")):
                    self[name].validators = ()
        return bool(super().validate(extra_validators))
