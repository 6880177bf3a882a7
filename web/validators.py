"""The rules of mail code as WTForms asks for them."""

from wtforms import Field, StringField
from wtforms.form import BaseForm
from wtforms.validators import ValidationError

from mail.errors import RuleError
from mail.security import check_port, check_security, parse_security
from mail.server_string import Protocol, ServerAddress, parse_server_string
from web.sentences import sentence


class ServerField(StringField):  # type: ignore[misc]  # WTForms ships no types
    """A server string; ``address`` is what it names, there once ``ServerString`` accepted it."""

    address: ServerAddress


class ServerString:
    """Accepts a server string for ``protocol`` and leaves what it names in ``field.address``.

    ``non_standard_field`` names the switch *Non-standard server* of the same server.
    """

    def __init__(self, protocol: Protocol, *, non_standard_field: str) -> None:
        self.protocol = protocol
        self.non_standard_field = non_standard_field

    def __call__(self, form: BaseForm, field: ServerField) -> None:
        non_standard = bool(form[self.non_standard_field].data)
        try:
            address = parse_server_string(
                field.data or "", self.protocol, non_standard=non_standard
            )
            # Here, so that 993 for SMTP is said where it was typed, not where security is chosen.
            check_port(self.protocol, address.port, non_standard=non_standard)
        except RuleError as error:
            raise ValidationError(sentence(error)) from error
        field.address = address


class SecurityMatches:
    """Accepts a security that goes with the port of ``server_field``.

    It reads that field itself, so the order of the two does not matter, and is silent about
    whatever ``ServerString`` says there.
    """

    def __init__(self, protocol: Protocol, server_field: str, non_standard_field: str) -> None:
        self.protocol = protocol
        self.server_field = server_field
        self.non_standard_field = non_standard_field

    def __call__(self, form: BaseForm, field: Field) -> None:
        non_standard = bool(form[self.non_standard_field].data)
        try:
            address = parse_server_string(
                form[self.server_field].data or "", self.protocol, non_standard=non_standard
            )
            security = parse_security(field.data or "")
            check_security(self.protocol, address.port, security, non_standard=non_standard)
        except RuleError as error:
            if error.field == "security":
                field.errors = []  # a choice that is none: the field's own words say less
                raise ValidationError(sentence(error)) from error
