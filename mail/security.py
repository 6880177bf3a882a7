"""How a connection is encrypted, and which ports go with it.

Ports: RFC 8314, 3.2 and 3.3 (IMAP and submission over TLS), RFC 6409, 3.1 (submission), RFC 5321
and RFC 9051 (25 and 143).
"""

from enum import StrEnum

from mail.errors import RuleError
from mail.server_string import EXAMPLE_DOMAIN, Protocol


class Security(StrEnum):
    """From the weakest to the strongest."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class SecurityFault(StrEnum):
    """The codes of what can be wrong with a security and its port."""

    UNKNOWN = "security_unknown"
    WRONG_FOR_PORT = "security_wrong_for_port"
    PORT_OF_OTHER = "server_port_of_other_protocol"


class SecurityWarning(StrEnum):
    """The codes of what is accepted, and said."""

    PORT_OF_OTHER = "server_port_usual_for_other_protocol"
    UNENCRYPTED = "security_unencrypted"


# The rule as a whole: what each well-known port takes, from the weakest to the strongest.
PORTS: dict[Protocol, dict[int, tuple[Security, ...]]] = {
    Protocol.SMTP: {
        25: (Security.NONE,),
        465: (Security.TLS,),
        587: (Security.STARTTLS,),
    },
    Protocol.IMAP: {
        143: (Security.NONE, Security.STARTTLS),
        993: (Security.TLS,),
    },
}


def allowed_security(protocol: Protocol, port: int) -> tuple[Security, ...]:
    """What may be chosen with this port; nothing with a port of the other protocol."""
    if port in PORTS[protocol.other]:
        return ()
    return PORTS[protocol].get(port, tuple(Security))


def usual_security(protocol: Protocol, port: int) -> Security | None:
    """The strongest that a well-known port takes; None (not ``Security.NONE``) for any other."""
    allowed = PORTS[protocol].get(port)
    return allowed[-1] if allowed else None


def usual_port(protocol: Protocol, security: Security) -> int:
    """The well-known port for a security."""
    return next(port for port, allowed in PORTS[protocol].items() if security in allowed)


def parse_security(text: str) -> Security:
    """A security by its name, letter case ignored. Raises RuleError at ``security``."""
    try:
        return Security(text.strip().lower())
    except ValueError as error:
        raise RuleError("security", SecurityFault.UNKNOWN) from error


def check_port(protocol: Protocol, port: int, *, non_standard: bool = False) -> None:
    """Raises RuleError at ``server`` for a well-known port of the other protocol."""
    if not non_standard and port in PORTS[protocol.other]:
        raise RuleError("server", SecurityFault.PORT_OF_OTHER, **_port_words(protocol, port))


def check_security(
    protocol: Protocol, port: int, security: Security, *, non_standard: bool = False
) -> None:
    """Whether port and security go together; for a non-standard server all do.

    Raises RuleError at ``server`` for a port of the other protocol (as ``check_port``), and at
    ``security`` for a wrong pair. The parameters of the latter: ``port``, ``allowed`` (what it
    takes), ``right`` (the strongest of them), ``chosen``, and ``chosen_port``, where that is usual.
    """
    check_port(protocol, port, non_standard=non_standard)
    allowed = allowed_security(protocol, port)
    if non_standard or security in allowed:
        return
    raise RuleError(
        "security",
        SecurityFault.WRONG_FOR_PORT,
        port=port,
        allowed=allowed,
        right=allowed[-1],
        chosen=security,
        chosen_port=usual_port(protocol, security),
    )


def warnings(
    protocol: Protocol, port: int, security: Security, *, non_standard: bool
) -> tuple[RuleError, ...]:
    """What a person should know of a pair that ``check_security`` accepts.

    The values are worded like refusals, with one of ``SecurityWarning`` as code, but not raised.
    """
    found = []
    if non_standard and port in PORTS[protocol.other]:
        words = _port_words(protocol, port)
        found.append(RuleError("server", SecurityWarning.PORT_OF_OTHER, **words))
    if security is Security.NONE:
        found.append(RuleError("security", SecurityWarning.UNENCRYPTED))
    return tuple(found)


def _port_words(protocol: Protocol, port: int) -> dict[str, object]:
    usual = usual_port(protocol, Security.TLS)
    return {
        "port": port,
        "protocol": protocol.upper(),
        "other": protocol.other.upper(),
        "usual": usual,
        "example": f"{protocol}.{EXAMPLE_DOMAIN}:{usual}",
    }
