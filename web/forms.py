"""The base of every form."""

from flask_wtf import FlaskForm
from wtforms import Field

from mail.errors import RuleError
from web.sentences import sentence


class Form(FlaskForm):  # type: ignore[misc]
    def refuse(self, error: RuleError) -> None:
        """Puts a refused value's sentence at its field, else at the first one."""
        field: Field = self._fields.get(error.field) or next(iter(self._fields.values()))
        field.errors = [*field.errors, sentence(error)]


def stripped(text: str | None) -> str:
    return (text or "").strip()
