"""The fields of one server, as the administrator's window and an employee's *Other* have them."""

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.form import BaseForm

from domain.services import ServerSettings
from mail.security import Security
from mail.server_string import Protocol
from web.validators import SecurityMatches, ServerField, ServerString

_SECURITY = [
    SelectChoice(Security.NONE.name, _("None")),
    SelectChoice(Security.STARTTLS.name, _("STARTTLS")),
    SelectChoice(Security.TLS.name, _("TLS")),
]


def security_name(name: str) -> str:
    """As it stands on screen."""
    return {"NONE": _("None"), "STARTTLS": "STARTTLS", "TLS": "TLS"}[name]


def server_settings(form: BaseForm, protocol: Protocol) -> ServerSettings:
    """What a form that is valid says of one server."""
    name = protocol.value
    return ServerSettings(
        form[f"{name}_server"].address,
        Security[form[f"{name}_security"].data],
        form[f"{name}_non_standard"].data,
    )


def server_field(protocol: Protocol, label: Any) -> ServerField:
    """The server string of a form that also has ``<protocol>_non_standard``."""
    return ServerField(
        label, [ServerString(protocol, non_standard_field=f"{protocol.value}_non_standard")]
    )


def security_field(protocol: Protocol) -> RadioField:
    """*Connection security* of the same server; TLS until the person chooses."""
    name = protocol.value
    return RadioField(
        _("Connection security"),
        [SecurityMatches(protocol, f"{name}_server", f"{name}_non_standard")],
        choices=_SECURITY,
        default=Security.TLS.name,
    )
