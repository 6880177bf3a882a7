"""Why a mail server could not be used: what happened, and what to do.

An employee can type login and password again, and tell the administrator. An administrator can
change the service, so the advice names what to change in its window.
"""

from typing import Final

from flask_babel import gettext as _

from mail.server_errors import Cause
from web.wordings import Wording


def words(cause: str, server: str, *, administrator: bool = False) -> str:
    """A few sentences for a cause, naming the server; for an unknown one those of protocol_error.

    ``server`` is the server string as people read it. Needs an application context.
    """
    table = _FOR_ADMINISTRATORS if administrator else _FOR_EMPLOYEES
    return table.get(cause, table[Cause.PROTOCOL_ERROR])(server=server)


_FOR_EMPLOYEES: Final[dict[str, Wording]] = {
    Cause.NAME_NOT_FOUND: lambda **p: _(
        "The name of %(server)s was not found. Check the spelling, or ask your administrator.", **p
    ),
    Cause.CONNECTION_REFUSED: lambda **p: _(
        "%(server)s does not accept connections: the port is closed. Check the port, or ask your "
        "administrator.",
        **p,
    ),
    Cause.CONNECTION_TIMED_OUT: lambda **p: _(
        "%(server)s did not answer in time. Check the port, or tell your administrator: a "
        "firewall may be in the way.",
        **p,
    ),
    Cause.UNREACHABLE: lambda **p: _(
        "There is no way to %(server)s from here. Try again later, or tell your administrator.",
        **p,
    ),
    Cause.NO_MAIL_SERVER: lambda **p: _(
        "No mail server answered at %(server)s. Check name and port, or ask your administrator: it "
        "may also be in a network that employees may not use.",
        **p,
    ),
    Cause.TLS_FAILED: lambda **p: _(
        "%(server)s did not agree on an encryption. Tell your administrator.", **p
    ),
    Cause.NOT_TLS: lambda **p: _(
        "%(server)s does not speak TLS on this port. Check port and connection security, or tell "
        "your administrator.",
        **p,
    ),
    Cause.TLS_WANTED: lambda **p: _(
        "%(server)s waits for TLS on this port. Check port and connection security, or tell your "
        "administrator.",
        **p,
    ),
    Cause.CERTIFICATE_EXPIRED: lambda **p: _(
        "The certificate of %(server)s has expired. Whoever runs the server has to renew it.", **p
    ),
    Cause.CERTIFICATE_WRONG_NAME: lambda **p: _(
        "The certificate of %(server)s belongs to another name. Check the server's name, or tell "
        "your administrator.",
        **p,
    ),
    Cause.CERTIFICATE_UNTRUSTED: lambda **p: _(
        "The certificate of %(server)s was issued by someone who is not trusted. An "
        "administrator can add the company's CA certificate to the service.",
        **p,
    ),
    Cause.CERTIFICATE_REFUSED: lambda **p: _(
        "The certificate of %(server)s is not valid. Tell your administrator.", **p
    ),
    Cause.STARTTLS_MISSING: lambda **p: _(
        "%(server)s does not offer STARTTLS, so nothing was sent. Choose another connection "
        "security, or tell your administrator.",
        **p,
    ),
    Cause.STARTTLS_INJECTED: lambda **p: _(
        "Someone between here and %(server)s tampers with the connection. Nothing was sent. Tell "
        "your administrator.",
        **p,
    ),
    Cause.PREAUTH: lambda **p: _(
        "%(server)s answered in a way that is not safe. Nothing was sent. Tell your administrator.",
        **p,
    ),
    Cause.BAD_GREETING: lambda **p: _(
        "What answers at %(server)s is not a mail server of this kind. Check the port, or tell "
        "your administrator.",
        **p,
    ),
    Cause.IMAP_ANSWERS: lambda **p: _(
        "What answers at %(server)s is an IMAP server, not an SMTP server. Check the port, or tell "
        "your administrator.",
        **p,
    ),
    Cause.SMTP_ANSWERS: lambda **p: _(
        "What answers at %(server)s is an SMTP server, not an IMAP server. Check the port, or tell "
        "your administrator.",
        **p,
    ),
    Cause.HTTP_ANSWERS: lambda **p: _(
        "What answers at %(server)s is a web server. Check the port, or tell your administrator.",
        **p,
    ),
    Cause.LOGIN_REFUSED: lambda **p: _(
        "%(server)s refused login or password. Type them again.", **p
    ),
    Cause.LOGIN_DISABLED: lambda **p: _(
        "%(server)s does not allow signing in with a password this way. Tell your administrator.",
        **p,
    ),
    Cause.AUTH_MISSING: lambda **p: _(
        "%(server)s lets nobody sign in on this port. Check port and connection security, or tell "
        "your administrator.",
        **p,
    ),
    Cause.OAUTH_WANTED: lambda **p: _(
        "%(server)s takes no password, only OAuth 2.0, which cannot be used here yet. Tell your "
        "administrator.",
        **p,
    ),
    Cause.APP_PASSWORD_WANTED: lambda **p: _(
        "%(server)s wants an app password instead of your own. Make one at your provider.", **p
    ),
    Cause.OVER_QUOTA: lambda **p: _(
        "The mailbox at %(server)s is full. Delete mail there, or ask for more space.", **p
    ),
    Cause.THROTTLED: lambda **p: _("%(server)s asks to slow down. Try again later.", **p),
    Cause.UNAVAILABLE: lambda **p: _(
        "%(server)s says that it cannot work just now. Try again later.", **p
    ),
    Cause.INBOX_MISSING: lambda **p: _(
        "%(server)s has no inbox for this login. Check the login, or tell your administrator.", **p
    ),
    Cause.PROTOCOL_ERROR: lambda **p: _(
        "%(server)s answered in a way that was not understood. Try again later, or tell your "
        "administrator.",
        **p,
    ),
    Cause.TIMED_OUT: lambda **p: _(
        "%(server)s did not answer in time. Try again later, or tell your administrator.", **p
    ),
    Cause.CLOSED: lambda **p: _(
        "%(server)s closed the connection. Try again later, or tell your administrator.", **p
    ),
    Cause.REFUSED: lambda **p: _(
        "%(server)s refused what was asked of it. Try again later, or tell your administrator.",
        **p,
    ),
}

_FOR_ADMINISTRATORS: Final[dict[str, Wording]] = {
    Cause.NAME_NOT_FOUND: lambda **p: _(
        "The name of %(server)s was not found. Check its spelling; if it is right, the DNS of the "
        "company has to know it.",
        **p,
    ),
    Cause.CONNECTION_REFUSED: lambda **p: _(
        "%(server)s does not accept connections: the port is closed. Change the port: usual are "
        "465 and 587 for SMTP, 993 and 143 for IMAP.",
        **p,
    ),
    Cause.CONNECTION_TIMED_OUT: lambda **p: _(
        "%(server)s did not answer in time. Check its name and port; a firewall between Postroom "
        "and the server may be in the way.",
        **p,
    ),
    Cause.UNREACHABLE: lambda **p: _(
        "There is no way to %(server)s from the machine that Postroom runs on. Check the server's "
        "name, and the network of that machine.",
        **p,
    ),
    Cause.NO_MAIL_SERVER: lambda **p: _(
        "No mail server answered at %(server)s, which an employee typed. Check name and port, and "
        "whether it is in one of the Networks that employees may use.",
        **p,
    ),
    Cause.TLS_FAILED: lambda **p: _(
        "%(server)s did not agree on an encryption. It may know only versions before TLS 1.2: then "
        "whoever runs the server has to update it.",
        **p,
    ),
    Cause.NOT_TLS: lambda **p: _(
        "%(server)s does not speak TLS on this port. Change Connection security to STARTTLS, or "
        "the port to 465 (SMTP) or 993 (IMAP).",
        **p,
    ),
    Cause.TLS_WANTED: lambda **p: _(
        "%(server)s waits for TLS on this port. Change Connection security to TLS.", **p
    ),
    Cause.CERTIFICATE_EXPIRED: lambda **p: _(
        "The certificate of %(server)s has expired. Whoever runs the server has to renew it.", **p
    ),
    Cause.CERTIFICATE_WRONG_NAME: lambda **p: _(
        "The certificate of %(server)s belongs to another name. Change the server's name to the "
        "one in its certificate.",
        **p,
    ),
    Cause.CERTIFICATE_UNTRUSTED: lambda **p: _(
        "The certificate of %(server)s was issued by someone who is not trusted. If the company "
        "did, put the certificate of its CA into Trusted CA certificate.",
        **p,
    ),
    Cause.CERTIFICATE_REFUSED: lambda **p: _(
        "The certificate of %(server)s is not valid: perhaps not yet, or its key is too weak. "
        "Whoever runs the server has to replace it.",
        **p,
    ),
    Cause.STARTTLS_MISSING: lambda **p: _(
        "%(server)s does not offer STARTTLS, so nothing was sent. Change Connection security to "
        "TLS and the port to 465 (SMTP) or 993 (IMAP), or ask whoever runs the server.",
        **p,
    ),
    Cause.STARTTLS_INJECTED: lambda **p: _(
        "Someone between here and %(server)s tampers with the connection. Nothing was sent. Find "
        "out who; Connection security TLS leaves them no way.",
        **p,
    ),
    Cause.PREAUTH: lambda **p: _(
        "%(server)s answered in a way that is not safe. Nothing was sent. Change Connection "
        "security to TLS, or ask whoever runs the server.",
        **p,
    ),
    Cause.BAD_GREETING: lambda **p: _(
        "What answers at %(server)s is not a mail server of this kind. Change its name or port.",
        **p,
    ),
    Cause.IMAP_ANSWERS: lambda **p: _(
        "What answers at %(server)s is an IMAP server, not an SMTP server. Change the port to 465 "
        "(TLS) or 587 (STARTTLS).",
        **p,
    ),
    Cause.SMTP_ANSWERS: lambda **p: _(
        "What answers at %(server)s is an SMTP server, not an IMAP server. Change the port to 993 "
        "(TLS) or 143 (STARTTLS).",
        **p,
    ),
    Cause.HTTP_ANSWERS: lambda **p: _(
        "What answers at %(server)s is a web server. Change the port: usual are 465 and 587 for "
        "SMTP, 993 and 143 for IMAP.",
        **p,
    ),
    Cause.LOGIN_REFUSED: lambda **p: _(
        "%(server)s refused login or password. Type them again; the login may be the whole address "
        "or only what stands before the @.",
        **p,
    ),
    Cause.LOGIN_DISABLED: lambda **p: _(
        "%(server)s does not allow signing in with a password this way. Change Connection security "
        "to STARTTLS or TLS, or ask whoever runs the server to allow passwords.",
        **p,
    ),
    Cause.AUTH_MISSING: lambda **p: _(
        "%(server)s lets nobody sign in on this port. Change the port and Connection security: 587 "
        "with STARTTLS or 465 with TLS.",
        **p,
    ),
    Cause.OAUTH_WANTED: lambda **p: _(
        "%(server)s takes no password, only OAuth 2.0, which Postroom does not know yet. Change "
        "the server, or ask whoever runs it to allow passwords.",
        **p,
    ),
    Cause.APP_PASSWORD_WANTED: lambda **p: _(
        "%(server)s wants an app password instead of the usual one. Whoever owns the mailbox makes "
        "one at the provider.",
        **p,
    ),
    Cause.OVER_QUOTA: lambda **p: _(
        "The mailbox at %(server)s is full. Its owner has to delete mail there, or needs more "
        "space.",
        **p,
    ),
    Cause.THROTTLED: lambda **p: _("%(server)s asks to slow down. Try again later.", **p),
    Cause.UNAVAILABLE: lambda **p: _(
        "%(server)s says that it cannot work just now. Try again later.", **p
    ),
    Cause.INBOX_MISSING: lambda **p: _(
        "%(server)s has no inbox for this login. Check the login, or ask whoever runs the server.",
        **p,
    ),
    Cause.PROTOCOL_ERROR: lambda **p: _(
        "%(server)s answered in a way that was not understood. Check its name and port, or ask "
        "whoever runs the server.",
        **p,
    ),
    Cause.TIMED_OUT: lambda **p: _(
        "%(server)s accepts connections but did not answer in time. Check its port, or ask whoever "
        "runs the server.",
        **p,
    ),
    Cause.CLOSED: lambda **p: _(
        "%(server)s closed the connection. It may not let this machine in: ask whoever runs the "
        "server.",
        **p,
    ),
    Cause.REFUSED: lambda **p: _(
        "%(server)s refused what was asked of it. Ask whoever runs the server.", **p
    ),
}
