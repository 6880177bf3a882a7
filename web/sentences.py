"""The sentence for each broken rule, in the language of whoever looks.

What verbs refuse is worded in ``web/wordings.py``.
"""

from flask_babel import gettext as _

from mail.errors import RuleError
from mail.security import Security, SecurityFault, SecurityWarning
from mail.server_string import ServerFault
from web.wordings import VERB_WORDINGS, Wording


def sentence(error: RuleError) -> str:
    """What is wrong and what would be right, for the person who typed it.

    Needs an application context. Raises KeyError for a code that nobody worded, which is a mistake
    in the program.
    """
    return WORDINGS[error.code](**error.parameters)


def _wrong_for_port(
    *,
    port: int,
    allowed: tuple[Security, ...],
    right: Security,
    chosen: Security,
    chosen_port: int,
) -> str:
    """A sentence of its own wherever *None* is meant: languages word its absence differently."""
    words = {
        "port": port,
        "right": right.name,
        "chosen": chosen.name,
        "chosen_port": chosen_port,
    }
    worded: str
    if chosen is Security.NONE:
        worded = _(
            "Port %(port)s uses %(right)s. Choose %(right)s, or port %(chosen_port)s for None.",
            **words,
        )
    elif right is Security.NONE:
        worded = _(
            "Port %(port)s is not encrypted. Choose None, or port %(chosen_port)s for %(chosen)s.",
            **words,
        )
    elif Security.NONE in allowed:
        worded = _(
            "Port %(port)s uses %(right)s or None. Choose %(right)s, or port %(chosen_port)s for "
            "%(chosen)s.",
            **words,
        )
    else:
        worded = _(
            "Port %(port)s uses %(right)s. "
            "Choose %(right)s, or port %(chosen_port)s for %(chosen)s.",
            **words,
        )
    return worded


WORDINGS: dict[str, Wording] = VERB_WORDINGS | {
    # mail/server_string.py
    ServerFault.EMPTY: lambda **p: _("Type the server and its port, for example %(example)s.", **p),
    ServerFault.TOO_LONG: lambda **p: _(
        "Type at most %(longest)s characters, for example %(example)s.", **p
    ),
    ServerFault.SPACE: lambda **p: _("Leave out the space inside, for example %(example)s.", **p),
    ServerFault.SPACE_FOR_COLON: lambda **p: _(
        "Put a colon before the port instead of the space, for example %(example)s.", **p
    ),
    ServerFault.HIDDEN_CHARACTER: lambda **p: _(
        "Type the server anew, without hidden characters, for example %(example)s.", **p
    ),
    ServerFault.SCHEME: lambda **p: _(
        "Leave out :// and what stands before it, for example %(example)s.", **p
    ),
    ServerFault.USER: lambda **p: _(
        "Leave out the @ and what stands before it, for example %(example)s.", **p
    ),
    ServerFault.PATH: lambda **p: _(
        "Type only name and port, without “%(character)s”, for example %(example)s.", **p
    ),
    ServerFault.COLON: lambda **p: _(
        "Use one colon only, before the port, for example %(example)s.", **p
    ),
    ServerFault.BRACKETS: lambda **p: _(
        "Leave out the square brackets, they are for IPv6 addresses only, for example %(example)s.",
        **p,
    ),
    ServerFault.IP_ADDRESS: lambda **p: _(
        "Type a name instead of an IP address, for example %(example)s, or mark the server as "
        "non-standard.",
        **p,
    ),
    ServerFault.IPV6_WITHOUT_BRACKETS: lambda **p: _(
        "Put the IPv6 address in square brackets, for example %(example)s.", **p
    ),
    ServerFault.PORT_MISSING: lambda **p: _(
        "Add the port after a colon, for example %(example)s.", **p
    ),
    ServerFault.PORT_NOT_DIGITS: lambda **p: _(
        "Type the port in the digits 0 to 9, for example %(example)s.", **p
    ),
    ServerFault.PORT_LEADING_ZERO: lambda **p: _(
        "Type the port without a zero in front, for example %(example)s.", **p
    ),
    ServerFault.PORT_RANGE: lambda **p: _(
        "Choose a port from %(lowest)s to %(highest)s, for example %(example)s.", **p
    ),
    ServerFault.NAME_MISSING: lambda **p: _(
        "Type the server's name before the colon, for example %(example)s.", **p
    ),
    ServerFault.LEADING_DOT: lambda **p: _(
        "Leave out the dot before the name, for example %(example)s.", **p
    ),
    ServerFault.TRAILING_DOT: lambda **p: _(
        "Leave out the dot after the name, for example %(example)s.", **p
    ),
    ServerFault.DOUBLE_DOT: lambda **p: _(
        "Put one dot, not two, between the parts of the name, for example %(example)s.", **p
    ),
    ServerFault.CHARACTER: lambda **p: _(
        "A name has letters, digits and hyphens only, no “%(character)s”, for example %(example)s.",
        **p,
    ),
    ServerFault.HYPHEN: lambda **p: _(
        "No part of the name may begin or end with a hyphen, for example %(example)s.", **p
    ),
    ServerFault.LABEL_TOO_LONG: lambda **p: _(
        "No part of the name may be longer than %(longest)s characters, for example %(example)s.",
        **p,
    ),
    ServerFault.NAME_TOO_LONG: lambda **p: _(
        "The name may have at most %(longest)s characters, for example %(example)s.", **p
    ),
    ServerFault.NOT_INTERNATIONAL: lambda **p: _(
        "The name has letters that no domain can have, type it for example as %(example)s.", **p
    ),
    ServerFault.NEITHER_NAME_NOR_IP: lambda **p: _(
        "This is neither a name nor an IP address, type for example %(example)s.", **p
    ),
    ServerFault.DOMAIN_MISSING: lambda **p: _(
        "Add the domain after “%(first_label)s.”, for example %(example)s.", **p
    ),
    ServerFault.OTHER_PROTOCOL: lambda **p: _(
        "This is an %(other)s server, type the %(protocol)s server here, for example %(example)s.",
        **p,
    ),
    ServerFault.NOT_PROTOCOL: lambda **p: _(
        "Begin with “%(first_label)s.”, for example %(example)s, or mark the server as "
        "non-standard.",
        **p,
    ),
    # mail/security.py
    SecurityFault.UNKNOWN: lambda: _("Choose None, STARTTLS or TLS."),
    SecurityFault.WRONG_FOR_PORT: _wrong_for_port,
    SecurityFault.PORT_OF_OTHER: lambda **p: _(
        "%(port)s is an %(other)s port, type the %(protocol)s port, for example %(example)s.", **p
    ),
    SecurityWarning.PORT_OF_OTHER: lambda **p: _(
        "%(port)s is usually an %(other)s port, %(protocol)s usually has %(usual)s.", **p
    ),
    SecurityWarning.UNENCRYPTED: lambda: _("Login and messages travel unencrypted."),
}
