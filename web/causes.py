"""Why a mail server could not be used, in plain words, with what to do."""

from flask_babel import gettext as _

from domain.connection_tests import NOT_TRIED
from mail.server_string import Protocol
from models.mailboxes import ConnectionTest, Mailbox, MailboxState
from models.outbox import OutgoingMessage, OutgoingState
from web import mailbox_states
from web.cause_words import words


def of_test(test: ConnectionTest, *, administrator: bool = False) -> str:
    """The sentence of a failed connection test."""
    if test.cause == "secret_lost":
        return _("The key that opens stored passwords is missing. Type the password once more.")
    if test.cause == NOT_TRIED:
        return _(
            "Something went wrong in Postroom itself. Check login and password; if it stays, tell "
            "your administrator."
        )
    protocol = Protocol(test.failed_protocol or "imap")
    server = test.servers.address(protocol).shown
    return words(test.cause, server, administrator=administrator)


def of_mailbox(mailbox: Mailbox) -> str | None:
    """Why a mailbox does not work, in one sentence; None while it does."""
    return mailbox_states.sentence_of(mailbox)


def state_name(state: MailboxState) -> str:
    return mailbox_states.name_of(state)


def of_outgoing(message: OutgoingMessage) -> str:
    """What became of a message and why, in words."""
    return " ".join(sentence for sentence in _of_outgoing(message) if sentence)


def _of_outgoing(message: OutgoingMessage) -> tuple[str, ...]:
    if message.state is OutgoingState.UNCONFIRMED:
        return _reason(message), _(
            "The server did not confirm it. It may have arrived: look into Sent or ask the "
            "recipient before you send it again."
        )
    if message.state is OutgoingState.FAILED:
        return _failure(message), _reason(message)
    if message.state is OutgoingState.HELD:
        return _why_held(message)
    if message.refused:
        return _reason(message), _(
            "Some of the recipients were refused; the others are tried again."
        )
    if message.cause:
        return _reason(message), _("It is tried again by itself.")
    return (_("It is being sent."),)


def _failure(message: OutgoingMessage) -> str:
    if any(result["delivered"] for result in message.recipients.values()):
        if message.refused:
            return _("It went out, but was refused for some of the recipients.")
        return _("It went out, but not to all recipients.")
    if message.was_unconfirmed:
        return _(
            "It could not be sent. An earlier try may have arrived: ask the recipient before you "
            "send it again."
        )
    return _("It could not be sent; nobody has received it.")


def _why_held(message: OutgoingMessage) -> tuple[str, ...]:
    mailbox = message.mailbox
    if mailbox.smtp_refuses:
        return (
            words(mailbox.smtp_error_cause, _smtp_server(message)),
            _("It waits until that has changed, or until you send it again."),
        )
    if message.held_long:
        return (
            _(
                "It waited for two days or longer while you could not sign in, so it is not sent "
                "by itself."
            ),
            _("Send it again, or discard it."),
        )
    return of_mailbox(mailbox) or "", _("It waits until the mailbox works again.")


def _reason(message: OutgoingMessage) -> str:
    """What stood in the way; empty where the recipients' results say it."""
    server = _smtp_server(message)
    ours = {
        "": "",
        "refused": "" if message.recipients else _("%(server)s refused it.", server=server),
        "refused_for_now": _("%(server)s asked to try again later.", server=server),
        "worker_stopped": _("Postroom was stopped while it was being sent."),
        "fault": _("Something went wrong in Postroom itself; its log says what."),
    }
    found = ours.get(message.cause)
    return words(message.cause, server) if found is None else found


def _smtp_server(message: OutgoingMessage) -> str:
    return message.mailbox.servers.address(Protocol.SMTP).shown
