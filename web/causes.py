"""Why a mail server could not be used, in plain words, with what to do."""

from flask_babel import gettext as _

from domain.connecting import NOT_TRIED
from mail.server_errors import Cause
from mail.server_string import Protocol
from models.mailboxes import ConnectionTest, Mailbox, MailboxState
from models.outbox import OutgoingMessage, OutgoingState


def of_test(test: ConnectionTest) -> str:
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
    return words(test.cause, server)


def words(cause: str, server: str) -> str:
    """One sentence or two for a cause, naming the server."""
    known = {
        Cause.NAME_NOT_FOUND: _(
            "The name of %(server)s was not found. Check the spelling, or ask your administrator.",
            server=server,
        ),
        Cause.CONNECTION_REFUSED: _(
            "%(server)s does not accept connections: the port is closed. Check the port.",
            server=server,
        ),
        Cause.CONNECTION_TIMED_OUT: _(
            "%(server)s did not answer in time. Check the port; a firewall may be in the way.",
            server=server,
        ),
        Cause.UNREACHABLE: _("There is no way to %(server)s from here.", server=server),
        Cause.TLS_FAILED: _(
            "%(server)s did not agree on an encryption. Check port and connection security.",
            server=server,
        ),
        Cause.CERTIFICATE_EXPIRED: _(
            "The certificate of %(server)s has expired. Whoever runs the server has to renew it.",
            server=server,
        ),
        Cause.CERTIFICATE_WRONG_NAME: _(
            "The certificate of %(server)s belongs to another name. Check the server's name.",
            server=server,
        ),
        Cause.CERTIFICATE_UNTRUSTED: _(
            "The certificate of %(server)s was issued by someone who is not trusted. An "
            "administrator can add the company's CA certificate to the service.",
            server=server,
        ),
        Cause.CERTIFICATE_REFUSED: _("The certificate of %(server)s is not valid.", server=server),
        Cause.STARTTLS_MISSING: _(
            "%(server)s does not offer STARTTLS, so nothing was sent. Choose another connection "
            "security, or ask whoever runs the server.",
            server=server,
        ),
        Cause.STARTTLS_INJECTED: _(
            "Someone between here and %(server)s tampers with the connection. Nothing was sent.",
            server=server,
        ),
        Cause.PREAUTH: _(
            "%(server)s answered in a way that is not safe. Nothing was sent.", server=server
        ),
        Cause.BAD_GREETING: _(
            "What answers at %(server)s is not a mail server of this kind. Check the port.",
            server=server,
        ),
        Cause.LOGIN_REFUSED: _(
            "%(server)s refused login or password. Type them again.", server=server
        ),
        Cause.LOGIN_DISABLED: _(
            "%(server)s does not allow signing in with a password this way.", server=server
        ),
        Cause.APP_PASSWORD_WANTED: _(
            "%(server)s wants an app password instead of your own. Make one at your provider.",
            server=server,
        ),
        Cause.OVER_QUOTA: _("The mailbox at %(server)s is full.", server=server),
        Cause.THROTTLED: _("%(server)s asks to slow down. Try again later.", server=server),
        Cause.UNAVAILABLE: _(
            "%(server)s says that it cannot work just now. Try again later.", server=server
        ),
        Cause.INBOX_MISSING: _("%(server)s has no inbox for this login.", server=server),
        Cause.TIMED_OUT: _("%(server)s did not answer in time.", server=server),
        Cause.CLOSED: _("%(server)s closed the connection.", server=server),
    }
    return next(
        (sentence for one, sentence in known.items() if one.value == cause),
        _("%(server)s answered in a way that was not understood.", server=server),
    )


def of_mailbox(mailbox: Mailbox) -> str | None:
    """Why a mailbox does not work, in one sentence; None while it does."""
    address = mailbox.address
    server = mailbox.servers.address(Protocol.IMAP).shown
    sentences = {
        MailboxState.UNREACHABLE: _("%(address)s cannot be reached just now.", address=address),
        MailboxState.LOGIN_REFUSED: _(
            "%(server)s refuses the login or the password of %(address)s.",
            server=server,
            address=address,
        ),
        MailboxState.APP_PASSWORD_WANTED: _(
            "%(server)s wants an app password for %(address)s.", server=server, address=address
        ),
        MailboxState.CERTIFICATE_REFUSED: _(
            "%(address)s is not contacted: the certificate of %(server)s is not valid.",
            server=server,
            address=address,
        ),
        MailboxState.OVER_QUOTA: _("%(address)s is full at the server.", address=address),
        MailboxState.SECRET_LOST: _(
            "The key that opens the password of %(address)s is missing.", address=address
        ),
    }
    return sentences.get(mailbox.state)


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
