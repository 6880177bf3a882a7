"""What verbs raise. Shown to people by ``web/errors.py``, in their language."""

from mail.errors import RuleError


class NotFoundError(Exception):
    """There is no such row, or it is not this person's; the two look alike on purpose."""


class ConflictError(Exception):
    """The row is no longer as the page showed it; ``code`` says how."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class MailboxGoneError(Exception):
    """The mailbox is no longer reached the way a runner reached it, or a folder of it went."""


class RefusedError(RuleError):
    """What was typed cannot be accepted: a field, a code, and what its sentence mentions."""
