"""The connection test: everything that using a mailbox needs, step by step, and no more."""

from collections.abc import Callable

from mail.connection import Credentials, Network, Server, ignore_step
from mail.imap.client import open_session
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from mail.smtp import open_smtp


def steps_for(server: Server) -> tuple[Step, ...]:
    """The steps of a test in the order in which they happen with this protocol and security."""
    encryption = (Step.ENCRYPTION, Step.CERTIFICATE)
    middle = {
        Security.NONE: (Step.GREETING,),
        Security.STARTTLS: (Step.GREETING, *encryption),
        Security.TLS: (*encryption, Step.GREETING),
    }
    end = (Step.INBOX,) if server.protocol is Protocol.IMAP else ()
    return (Step.NAME, Step.PORT, *middle[server.security], Step.LOGIN, *end)


def try_imap(
    server: Server,
    credentials: Credentials,
    network: Network,
    on_step: Callable[[Step], None] = ignore_step,
) -> None:
    """Signs in and opens INBOX for reading only. ``on_step`` is called after each success.

    Raises MailServerError, and ValueError when login or password could not be sent.
    """
    with open_session(server, credentials, network, on_step) as session:
        try:
            session.select("INBOX", readonly=True)
        except MailServerError as error:
            if error.cause is not Cause.REFUSED:
                raise
            raise MailServerError(Step.INBOX, Cause.INBOX_MISSING, error.server_words) from None
        on_step(Step.INBOX)


def try_smtp(
    server: Server,
    credentials: Credentials,
    network: Network,
    on_step: Callable[[Step], None] = ignore_step,
) -> None:
    """Signs in; no message is sent. Else as ``try_imap``."""
    with open_smtp(server, credentials, network, on_step):
        pass
