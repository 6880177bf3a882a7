"""*Connect mail*: address, service, login, password, and for *Other* both servers."""

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError

from domain import services
from mail.addresses import check_address
from mail.errors import RuleError
from mail.server_string import Protocol
from models.services import OwnServers
from web.forms import Form, stripped
from web.sentences import sentence
from web.server_fields import security_field, server_field, server_settings

OTHER = "other"
_LOGIN_LONGEST = Length(max=320, message=_("Type at most 320 characters."))


class ConnectForm(Form):
    """``tried`` names an earlier try, whose password need not be typed again.

    The servers are typed, and looked at, only for the choice *Other*. Service and login may be
    filled in after the request was read, from the address.
    """

    address = StringField(
        _("E-mail"), [InputRequired(_("Type your e-mail address."))], filters=[stripped]
    )
    service = SelectField(
        _("Service"), [DataRequired(_("Choose a service."))], validate_choice=False
    )
    login = StringField(
        _("Login"), [DataRequired(_("Type your login.")), _LOGIN_LONGEST], filters=[stripped]
    )
    smtp_login = StringField(_("Login for SMTP"), [_LOGIN_LONGEST], filters=[stripped])
    password = PasswordField(_("Password"))
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

    def fill_in(self, found: dict[str, Any]) -> None:
        """The servers of a search (``SettingsSearch.found``), as *Other*."""
        self.service.data = OTHER
        for protocol, server in found.items():
            self[f"{protocol}_server"].data = server["server"]
            self[f"{protocol}_security"].data = server["security"]
            self[f"{protocol}_non_standard"].data = server["non_standard"]

    def validate_address(self, field: StringField) -> None:
        try:
            check_address(field.data, field.name)
        except RuleError as error:
            raise ValidationError(sentence(error)) from error

    def validate(self, extra_validators: Any = None) -> bool:
        if not self.is_other:
            for protocol in Protocol:
                for name in ("server", "security", "non_standard"):
                    self[f"{protocol}_{name}"].validators = ()
        return bool(super().validate(extra_validators))
