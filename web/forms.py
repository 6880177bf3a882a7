"""The base of every form."""

from typing import Any

from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import Field, PasswordField

from mail.errors import RuleError
from web.sentences import sentence


class Form(FlaskForm):  # type: ignore[misc]
    def refuse(self, error: RuleError) -> None:
        """Puts a refused value's sentence at its field, else at the first one."""
        field: Field = self._fields.get(error.field) or next(iter(self._fields.values()))
        field.errors = [*field.errors, sentence(error)]


class RetypedForm(Form):
    """A form in which a password is chosen. No page holds what was typed, so that whoever has to
    correct one field is told to type the passwords again.
    """

    def validate(self, extra_validators: Any = None) -> bool:
        valid = bool(super().validate(extra_validators))
        if not valid:
            self._ask_again()
        return valid

    def refuse(self, error: RuleError) -> None:
        super().refuse(error)
        self._ask_again()

    def _ask_again(self) -> None:
        for field in self:
            if isinstance(field, PasswordField) and field.data and not field.errors:
                field.errors = [_("Type it once more: a password is never kept in a page.")]


def stripped(text: str | None) -> str:
    return (text or "").strip()
