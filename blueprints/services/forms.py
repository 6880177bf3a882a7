from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, RadioField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from domain.services import NAME_LONGEST, ServerSettings, ServiceSettings
from mail.security import Security
from mail.server_string import Protocol
from models.services import MailService
from web.forms import Form, stripped
from web.validators import SecurityMatches, ServerField, ServerString

_SECURITY = [
    SelectChoice(Security.NONE.name, _("None")),
    SelectChoice(Security.STARTTLS.name, _("STARTTLS")),
    SelectChoice(Security.TLS.name, _("TLS")),
]


class ServiceForm(Form):
    """The window *Mail service settings*. ``version`` is that of the service it was filled from."""

    version = HiddenField()
    name = StringField(
        _("Name"),
        [
            InputRequired(_("Type a name, for example the company's.")),
            Length(max=NAME_LONGEST, message=_("A name has at most 100 characters.")),
        ],
        filters=[stripped],
    )
    smtp_server = ServerField(
        _("SMTP server"), [ServerString(Protocol.SMTP, non_standard_field="smtp_non_standard")]
    )
    smtp_security = RadioField(
        _("Connection security"),
        [SecurityMatches(Protocol.SMTP, "smtp_server", "smtp_non_standard")],
        choices=_SECURITY,
        default=Security.TLS.name,
    )
    smtp_non_standard = BooleanField(_("Non-standard server"))
    imap_server = ServerField(
        _("IMAP server"), [ServerString(Protocol.IMAP, non_standard_field="imap_non_standard")]
    )
    imap_security = RadioField(
        _("Connection security"),
        [SecurityMatches(Protocol.IMAP, "imap_server", "imap_non_standard")],
        choices=_SECURITY,
        default=Security.TLS.name,
    )
    imap_non_standard = BooleanField(_("Non-standard server"))
    process_default = RadioField(
        _("Default for employees"),
        choices=[SelectChoice("yes", _("allowed")), SelectChoice("no", _("not allowed"))],
        default="yes",
    )
    ca_pem = TextAreaField(_("Trusted CA certificate (PEM)"), filters=[stripped])

    def settings(self) -> ServiceSettings:
        """What a form that is valid says."""
        return ServiceSettings(
            name=self.name.data,
            imap=ServerSettings(
                self.imap_server.address,
                Security[self.imap_security.data],
                self.imap_non_standard.data,
            ),
            smtp=ServerSettings(
                self.smtp_server.address,
                Security[self.smtp_security.data],
                self.smtp_non_standard.data,
            ),
            ca_pem=self.ca_pem.data,
            process_default=self.process_default.data == "yes",
        )


class StandardServiceForm(Form):
    """Of a standard service only this can be set."""

    version = HiddenField()
    process_default = RadioField(
        _("Default for employees"),
        choices=[SelectChoice("yes", _("allowed")), SelectChoice("no", _("not allowed"))],
        default="yes",
    )


def of_service(service: MailService) -> dict[str, object]:
    """What the window shows of a service before anything is typed."""
    return {
        "version": str(service.version),
        "name": service.name,
        "smtp_server": service.address(Protocol.SMTP).shown,
        "smtp_security": service.smtp_security.name,
        "smtp_non_standard": service.smtp_non_standard,
        "imap_server": service.address(Protocol.IMAP).shown,
        "imap_security": service.imap_security.name,
        "imap_non_standard": service.imap_non_standard,
        "process_default": "yes" if service.process_default else "no",
        "ca_pem": service.ca_pem,
    }
