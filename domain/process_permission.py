"""*Use of mail in business processes*: whether a process may send from an address."""

from sqlalchemy.orm import Session

from domain import company
from models.mailboxes import Mailbox, ProcessChoice


def company_default(session: Session, mailbox: Mailbox) -> bool:
    """What the company says for the mailbox's service, or for *Other*."""
    if mailbox.service is not None:
        return mailbox.service.process_default
    return company.settings(session).other_process_default


def is_allowed(choice: ProcessChoice, default: bool) -> bool:
    """The owner's own choice, if there is one, else the default; in both directions."""
    if choice is ProcessChoice.COMPANY:
        return default
    return choice is ProcessChoice.ALLOWED
