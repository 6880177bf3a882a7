import re
from dataclasses import replace

from flask_babel import lazy_gettext as _
from werkzeug.datastructures import FileStorage
from wtforms import (
    BooleanField,
    FileField,
    HiddenField,
    PasswordField,
    RadioField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, ValidationError

from domain import services
from domain.services import ServiceSettings
from mail.certificates import PEM_LONGEST, pem_of
from mail.errors import RuleError
from mail.server_string import Protocol, shown_name
from models.services import LoginForm, MailService
from web.forms import Form, stripped
from web.sentences import sentence
from web.server_fields import security_field, server_field, server_settings

_ALLOWED = [SelectChoice("yes", _("allowed")), SelectChoice("no", _("not allowed"))]
LOGIN_FORMS = {
    LoginForm.ADDRESS.name: _("full address"),
    LoginForm.LOCAL_PART.name: _("part before @"),
    LoginForm.TYPED.name: _("typed by hand"),
}
_LOGIN_FORMS = [SelectChoice(name, label) for name, label in LOGIN_FORMS.items()]
_SEPARATORS = re.compile(r"[\s,;]+")


class StandardServiceForm(Form):
    """Of a standard service only this can be set.

    ``version`` is that of the service the window was filled from; the ``test_`` fields are for
    *Test connection* and are never filled in.
    """

    version = HiddenField()
    process_default = RadioField(_("Default for employees"), choices=_ALLOWED, default="yes")
    domains = StringField(_("Address domains that preselect this service"), filters=[stripped])
    test_login = StringField(_("Login"), filters=[stripped])
    test_password = PasswordField(_("Password"))

    def settings_of(self, service: MailService) -> ServiceSettings:
        """What a form that is valid says of a service whose other settings are read-only."""
        return replace(
            services.settings_of(service),
            process_default=self.process_default.data == "yes",
            domains=self.typed_domains,
        )

    @property
    def typed_domains(self) -> tuple[str, ...]:
        return tuple(filter(None, _SEPARATORS.split(self.domains.data or "")))


class ServiceForm(StandardServiceForm):
    """The window *Mail service settings*."""

    name = StringField(
        _("Name"),
        [InputRequired(_("Type a name, for example the company's."))],
        filters=[stripped],
    )
    smtp_server = server_field(Protocol.SMTP, _("SMTP server"))
    smtp_security = security_field(Protocol.SMTP)
    smtp_non_standard = BooleanField(_("Non-standard server"))
    imap_server = server_field(Protocol.IMAP, _("IMAP server"))
    imap_security = security_field(Protocol.IMAP)
    imap_non_standard = BooleanField(_("Non-standard server"))
    imap_login_form = RadioField(
        _("Login for IMAP"), choices=_LOGIN_FORMS, default=LoginForm.ADDRESS.name
    )
    smtp_login_form = RadioField(
        _("Login for SMTP"), choices=_LOGIN_FORMS, default=LoginForm.ADDRESS.name
    )
    ca_pem = TextAreaField(_("Trusted CA certificate (PEM)"), filters=[stripped])
    ca_file = FileField(_("Or choose its file"))
    find_domain = StringField(_("Domain"), filters=[stripped])
    refused_file: RuleError | None = None

    def take_file(self) -> None:
        """A certificate that was chosen as a file stands in the field from now on.

        What is too long to be one is not kept, for the page would hold it again. Raises RuleError.
        """
        if len(self.ca_pem.data or "") > PEM_LONGEST:
            self.ca_pem.data = ""
            raise RuleError("ca_pem", "ca_not_a_certificate")
        file = self.ca_file.data
        if isinstance(file, FileStorage) and file.filename:
            self.ca_pem.data = pem_of(file.stream.read(PEM_LONGEST + 1))

    def validate_ca_file(self, _field: FileField) -> None:
        if self.refused_file is not None:
            raise ValidationError(sentence(self.refused_file))

    def settings_of(self, service: MailService) -> ServiceSettings:  # noqa: ARG002 - all is typed
        return self.settings()

    def settings(self) -> ServiceSettings:
        """What a form that is valid says."""
        return ServiceSettings(
            name=self.name.data,
            imap=server_settings(self, Protocol.IMAP),
            smtp=server_settings(self, Protocol.SMTP),
            ca_pem=self.ca_pem.data or "",
            process_default=self.process_default.data == "yes",
            imap_login_form=LoginForm[self.imap_login_form.data],
            smtp_login_form=LoginForm[self.smtp_login_form.data],
            domains=self.typed_domains,
        )


class OtherForm(Form):
    """The company's switch *Allow entering mail server details manually*."""

    version = HiddenField()
    allowed = BooleanField(_("Allow entering mail server details manually"))
    networks = StringField(_("Networks that employees may use"), filters=[stripped])
    process_default = RadioField(_("Default for employees"), choices=_ALLOWED, default="yes")


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
        "imap_login_form": service.imap_login_form.name,
        "smtp_login_form": service.smtp_login_form.name,
        "process_default": "yes" if service.process_default else "no",
        "domains": ", ".join(map(shown_name, service.domains)),
        "ca_pem": service.ca_pem,
    }
