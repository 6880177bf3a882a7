"""What an employee hands to the administrator when a mailbox cannot be connected. No secret."""

from flask_babel import gettext as _

from mail.server_string import Protocol
from models.mailboxes import ConnectionTest
from web import causes
from web.clock import clock
from web.connection_steps import shown_steps
from web.server_fields import security_name


def report(test: ConnectionTest) -> str:
    """Plain text in the reader's language; of the servers no more than the page shows.

    Its advice is the administrator's, who can change the service.
    """
    lines = [
        _("Postroom could not connect %(address)s.", address=test.address),
        _("When: %(moment)s", moment=clock().moment(test.created_at)),
        _("Service: %(name)s", name=test.service.name if test.service else _("Other")),
        *(_server(test, protocol) for protocol in (Protocol.IMAP, Protocol.SMTP)),
        _("Login: %(login)s", login=test.login),
    ]
    if test.smtp_login:
        lines.append(_("Login for SMTP: %(login)s", login=test.smtp_login))
    lines += ["", *_steps(test), "", causes.of_test(test, administrator=test.is_administrators)]
    if test.server_words:
        lines.append(_("The server said: %(words)s", words=test.server_words))
    return "\n".join(lines)


def _server(test: ConnectionTest, protocol: Protocol) -> str:
    address = test.servers.address(protocol).shown
    security = security_name(test.servers.security(protocol).name)
    return f"{protocol.value.upper()}: {address}, {security}"


def _steps(test: ConnectionTest) -> list[str]:
    """As far as they came."""
    marks = {"done": "+", "failed": "x"}
    return [
        f"{marks[step.state]} {step.protocol} {step.title}"
        for step in shown_steps(test)
        if step.state in marks
    ]
