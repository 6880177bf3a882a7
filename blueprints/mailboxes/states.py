"""The state of a mailbox in words, for whoever administers it."""

from collections.abc import Iterator

from flask_babel import gettext as _

from domain.overview import Line
from mail.server_errors import Cause
from models.mailboxes import MailboxState
from web.cause_words import words
from web.mailbox_states import names

__all__ = ["names", "troubles"]


def troubles(line: Line) -> Iterator[str]:
    """What is wrong and what to do: nothing, or a sentence for each of the two servers."""
    ours = _not_of_a_server(line.state)
    if ours:
        yield ours
    elif line.imap_cause:
        yield _words(line.imap_cause, line.imap_server.shown)
    if line.smtp_cause:
        yield _words(line.smtp_cause, line.smtp_server.shown)


def _words(cause: str, server: str) -> str:
    """Whoever reads this cannot type the password anew."""
    if cause == Cause.LOGIN_REFUSED:
        return _(
            "%(server)s refused login or password. The mailbox's owner has to type the password "
            "once more.",
            server=server,
        )
    return words(cause, server, administrator=True)


def _not_of_a_server(state: MailboxState) -> str:
    if state is MailboxState.SECRET_LOST:
        return _(
            "The stored password cannot be opened. Bring the keys back from a backup, or its owner "
            "types the password once more."
        )
    if state is MailboxState.SERVICE_DELETED:
        return _(
            "Its service was deleted. Bring it back from Deleted services; nobody has to type a "
            "password for that."
        )
    if state is MailboxState.MOVED:
        return _(
            "It was moved to other servers. Its owner has to agree that the password is used there."
        )
    return ""
