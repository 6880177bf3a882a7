"""The server string ``<protocol>.<domain>:<port>``, such as ``smtp.myserver.com:465``.

One pure function, ``parse_server_string``, holds its rules for everyone who asks: forms, the
command line, imports. Names follow RFC 1123, 2.1 (letters, digits, hyphens), their lengths RFC
1035, 2.3.4, and international names IDNA 2008 (RFC 5891) after the mapping of UTS #46.
"""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from string import ascii_lowercase, digits, hexdigits

import idna

from mail.errors import RuleError

# Characters. More than the longest name with its port (253 + 1 + 5); bounds all work done below.
TEXT_LONGEST = 300
NAME_LONGEST = 253
LABEL_LONGEST = 63
PORT_LOWEST = 1
PORT_HIGHEST = 65535
EXAMPLE_DOMAIN = "myserver.com"

_LABEL_CHARACTERS = frozenset(ascii_lowercase + digits + "-")
_A_LABEL_PREFIX = "xn--"
# Zero width, yet letters of a name in Persian or Hindi; IDNA says where they may stand.
_JOINERS = "\u200c\u200d"
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs"})
# What else mail servers are called: an example puts the protocol in the place of such a label.
_SERVERS_OWN_LABELS = ("email", "imap", "mail", "mx", "pop", "smtp", "webmail")


class Protocol(StrEnum):
    """What a mail server speaks; the value is the first label of its server string."""

    SMTP = "smtp"
    IMAP = "imap"

    @property
    def other(self) -> "Protocol":
        return Protocol.IMAP if self is Protocol.SMTP else Protocol.SMTP


class ServerFault(StrEnum):
    """The codes of what can be wrong with a server string."""

    TOO_LONG = "server_too_long"
    EMPTY = "server_empty"
    SPACE = "server_space"
    SPACE_FOR_COLON = "server_space_for_colon"
    HIDDEN_CHARACTER = "server_hidden_character"
    SCHEME = "server_scheme"
    USER = "server_user"
    PATH = "server_path"
    COLON = "server_colon"
    BRACKETS = "server_brackets"
    IP_ADDRESS = "server_ip_address"
    IPV6_WITHOUT_BRACKETS = "server_ipv6_without_brackets"
    PORT_MISSING = "server_port_missing"
    PORT_NOT_DIGITS = "server_port_not_digits"
    PORT_LEADING_ZERO = "server_port_leading_zero"
    PORT_RANGE = "server_port_range"
    NAME_MISSING = "server_name_missing"
    LEADING_DOT = "server_leading_dot"
    TRAILING_DOT = "server_trailing_dot"
    DOUBLE_DOT = "server_double_dot"
    CHARACTER = "server_character"
    HYPHEN = "server_hyphen"
    LABEL_TOO_LONG = "server_label_too_long"
    NAME_TOO_LONG = "server_name_too_long"
    NOT_INTERNATIONAL = "server_not_international"
    NEITHER_NAME_NOR_IP = "server_neither_name_nor_ip"
    DOMAIN_MISSING = "server_domain_missing"
    OTHER_PROTOCOL = "server_other_protocol"
    NOT_PROTOCOL = "server_not_protocol"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is. ``host`` is ASCII in lower case: A-labels, or an IP address.

    An IPv6 address stands in ``host`` as RFC 5952 writes it, without brackets; both text forms put
    them around it, and ``parse_server_string`` reads both back.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return _joined(self.host, self.port)

    @property
    def shown(self) -> str:
        """The form for people: labels in their own letters, those that cannot be read in ASCII."""
        return _joined(shown_name(self.host), self.port)


def shown_name(name: str) -> str:
    """A name in A-labels as people read it: see ``ServerAddress.shown``."""
    return ".".join(_u_label(label) for label in name.split("."))


def parse_server_string(
    text: str, protocol: Protocol, *, non_standard: bool = False
) -> ServerAddress:
    """The address that ``text`` names. White space around it and upper case do not matter.

    ``non_standard`` lifts what a server of another make cannot keep: the first label need not be
    the protocol, a single label will do, and an IP address may stand for the name (IPv6 in square
    brackets, RFC 3986, 3.2.2).

    Raises RuleError at ``server`` for the first fault found, with one of ``ServerFault`` as code.
    Its parameters always hold ``protocol`` and ``other`` (``SMTP``, ``IMAP``), ``first_label``
    (``smtp``) and ``example``, a right server string, made from what was typed where that can be
    guessed.
    """
    try:
        return _read(text, protocol, non_standard)
    except RuleError as error:
        error.parameters.update(
            protocol=protocol.upper(),
            other=protocol.other.upper(),
            first_label=protocol.value,
            example=_example(text, protocol, non_standard),
        )
        raise


def _read(text: str, protocol: Protocol, non_standard: bool) -> ServerAddress:
    trimmed = _trimmed(text)
    _check_no_url(trimmed)
    typed_host, typed_port = _split(trimmed)
    host = _mapped(typed_host)
    address = _ip_address(host, trimmed, non_standard)
    if address is None:
        _check_no_punctuation(host)
    port = _port(typed_port)
    if address is not None:
        return ServerAddress(str(address), port)
    name = _name(host)
    if not non_standard:
        _check_first_label(name, protocol)
    return ServerAddress(name, port)


def _trimmed(text: str) -> str:
    if len(text) > TEXT_LONGEST:
        raise _fault(ServerFault.TOO_LONG, longest=TEXT_LONGEST)
    trimmed = text.strip()
    if not trimmed:
        raise _fault(ServerFault.EMPTY)
    words = trimmed.split()
    if len(words) > 1:
        colon_meant = len(words) == 2 and _split(words[0]) == (words[0], "")
        is_port = colon_meant and _is_decimal(words[1])
        raise _fault(ServerFault.SPACE_FOR_COLON if is_port else ServerFault.SPACE)
    if any(_is_hidden(character) for character in trimmed):
        raise _fault(ServerFault.HIDDEN_CHARACTER)
    return trimmed


def _is_hidden(character: str) -> bool:
    """Controls, half characters, and what is drawn as nothing or turns the text around."""
    return unicodedata.category(character) in _HIDDEN_CATEGORIES and character not in _JOINERS


def _check_no_url(text: str) -> None:
    if "://" in text:
        raise _fault(ServerFault.SCHEME)
    if "@" in text:
        raise _fault(ServerFault.USER)
    for character in text:
        if character in "/\\?#":
            raise _fault(ServerFault.PATH, character=character)


def _split(text: str) -> tuple[str, str]:
    """What stands before and after the last colon; the second is empty without one."""
    if text.startswith("["):
        inside, _, rest = text.partition("]")
        if not rest or rest.startswith(":"):
            return text[: len(inside) + 1], rest[1:]
    host, colon, port = text.rpartition(":")
    return (host, port) if colon else (text, "")


def _mapped(host: str) -> str:
    """In lower case and composed, wide letters made narrow, the dots of other scripts made dots."""
    try:
        # Which ASCII characters may stand in a name is checked later, with a fault for each case.
        mapped = idna.uts46_remap(host, std3_rules=False)
    except UnicodeError as error:
        raise _fault(ServerFault.NOT_INTERNATIONAL) from error
    # A sign such as U+2100 becomes a/c: not to be blamed on a slash that nobody typed.
    appeared = {one for one in mapped if one.isascii()} - set(host) - _LABEL_CHARACTERS - {"."}
    if appeared:
        raise _fault(ServerFault.NOT_INTERNATIONAL)
    return mapped


def _ip_address(host: str, text: str, non_standard: bool) -> IPv4Address | IPv6Address | None:
    """The address that stands for a name, None for a name. ``text`` is host and port as typed."""
    bare = host.removeprefix("[").removesuffix("]")
    # Without brackets the end of an IPv6 address looks like a port.
    found = _as_ip(bare) or (_as_ip(text) if ":" in text else None)
    if found is None:
        return None
    if not non_standard:
        raise _fault(ServerFault.IP_ADDRESS)
    if isinstance(found, IPv4Address) and host != bare:
        raise _fault(ServerFault.BRACKETS)
    if isinstance(found, IPv6Address) and host != f"[{bare}]":
        raise _fault(ServerFault.IPV6_WITHOUT_BRACKETS)
    return found


def _as_ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # A zone (fe80::1%eth0, RFC 6874) holds for one machine only; it is not part of an address.
    return None if "%" in text else found


def _check_no_punctuation(host: str) -> None:
    """Of a host that is no IP address."""
    if not host:
        raise _fault(ServerFault.NAME_MISSING)
    if "[" in host or "]" in host:
        ipv6_meant = ":" in host
        raise _fault(ServerFault.NEITHER_NAME_NOR_IP if ipv6_meant else ServerFault.BRACKETS)
    if ":" in host:
        raise _fault(ServerFault.COLON)


def _port(text: str) -> int:
    if not text:
        raise _fault(ServerFault.PORT_MISSING)
    if not _is_decimal(text):
        raise _fault(ServerFault.PORT_NOT_DIGITS)
    if text.startswith("0") and text != "0":
        raise _fault(ServerFault.PORT_LEADING_ZERO)
    if not PORT_LOWEST <= int(text) <= PORT_HIGHEST:
        raise _fault(ServerFault.PORT_RANGE, lowest=PORT_LOWEST, highest=PORT_HIGHEST)
    return int(text)


def _is_decimal(text: str) -> bool:
    """ASCII digits only: ``isdigit`` alone is true of Arabic ones, and of a raised two."""
    return text.isascii() and text.isdigit()


def _name(host: str) -> str:
    """The name in A-labels. ``host`` has been mapped."""
    if host.startswith("."):
        raise _fault(ServerFault.LEADING_DOT)
    if host.endswith("."):
        raise _fault(ServerFault.TRAILING_DOT)
    if ".." in host:
        raise _fault(ServerFault.DOUBLE_DOT)
    labels = [_a_label(label) for label in host.split(".")]
    if _is_number(labels[-1]):
        raise _fault(ServerFault.NEITHER_NAME_NOR_IP)
    name = ".".join(labels)
    if len(name) > NAME_LONGEST:
        raise _fault(ServerFault.NAME_TOO_LONG, longest=NAME_LONGEST)
    return name


def _is_number(label: str) -> bool:
    """Whether a resolver may take a name that ends so for an IPv4 address (URL standard, 3.5)."""
    return _is_decimal(label) or (label.startswith("0x") and set(label[2:]) <= set(hexdigits))


def _a_label(label: str) -> str:
    for character in label:
        if character.isascii() and character not in _LABEL_CHARACTERS:
            raise _fault(ServerFault.CHARACTER, character=character)
    if label.startswith("-") or label.endswith("-"):
        raise _fault(ServerFault.HYPHEN)
    found = label if label.isascii() else _encoded(label)
    if len(found) > LABEL_LONGEST:
        raise _fault(ServerFault.LABEL_TOO_LONG, longest=LABEL_LONGEST)
    if found.startswith(_A_LABEL_PREFIX) and _u_label(found) == found:
        raise _fault(ServerFault.NOT_INTERNATIONAL)
    return found


def _encoded(label: str) -> str:
    try:
        return idna.alabel(label).decode("ascii")
    except idna.IDNAError as error:
        if error.code == "label_too_long":
            raise _fault(ServerFault.LABEL_TOO_LONG, longest=LABEL_LONGEST) from error
        raise _fault(ServerFault.NOT_INTERNATIONAL) from error


def _u_label(label: str) -> str:
    """In its own letters; as it is when it is no A-label, or one that would not be read back."""
    if not label.startswith(_A_LABEL_PREFIX):
        return label
    try:
        decoded = idna.ulabel(label)
        again = idna.alabel(idna.uts46_remap(decoded, std3_rules=False))
    except UnicodeError:
        return label
    return decoded if again == label.encode("ascii") else label


def _check_first_label(name: str, protocol: Protocol) -> None:
    first, _, rest = name.partition(".")
    if first == protocol.other:
        raise _fault(ServerFault.OTHER_PROTOCOL)
    if first != protocol:
        raise _fault(ServerFault.NOT_PROTOCOL)
    if not rest:
        raise _fault(ServerFault.DOMAIN_MISSING)


def _fault(code: ServerFault, **parameters: object) -> RuleError:
    return RuleError("server", code, **parameters)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _example(text: str, protocol: Protocol, non_standard: bool) -> str:
    """A right server string in the form for people, as near to ``text`` as can be guessed."""
    # mail.security is built on this module, and so is there only once both are loaded.
    from mail.security import Security, allowed_security, usual_port

    usual = usual_port(protocol, Security.TLS)
    if len(text) <= TEXT_LONGEST:
        host, typed = _guessed(text, protocol, non_standard)
        port = int(typed) if typed else usual
        # An example must not run into the next refusal: 993 is an IMAP port.
        port = port if allowed_security(protocol, port) else usual
        for candidate in (_joined(host, port), _joined(host, usual)):
            try:
                return _read(candidate, protocol, non_standard).shown
            except RuleError:
                continue
    return f"{protocol}.{EXAMPLE_DOMAIN}:{usual}"


def _guessed(text: str, protocol: Protocol, non_standard: bool) -> tuple[str, str]:
    """Host and port (digits or empty) that were probably meant; they may still be wrong."""
    visible = "".join(one for one in text if one.isspace() or not _is_hidden(one))
    plain = unicodedata.normalize("NFKC", _without_url(visible)).replace("\u3002", ".")
    host, port = _split(plain)
    inside = plain.partition("[")[2].partition("]")[0]
    for address, after in ((host.strip("[]"), port), (inside, ""), (plain, "")):
        if isinstance(_as_ip(address), IPv6Address):
            return address, after if _is_decimal(after) else ""
    words = plain.replace(":", " ").replace("[", " ").replace("]", " ").split()
    names = [word for word in words if "." in word] or words[:1]
    if len(names) != 1 or ":" in inside:
        return "", ""
    labels = [label for label in names[0].lower().split(".") if label]
    if not non_standard:
        labels = _with_protocol_first(labels, protocol)
    return ".".join(labels), next((word for word in words if _is_decimal(word)), "")


def _without_url(text: str) -> str:
    """Without scheme, user, path, query and fragment."""
    plain = text.rpartition("://")[2].lstrip("/\\ ")
    for mark in "/\\?#":
        plain = plain.partition(mark)[0]
    return plain.rpartition("@")[2].strip()


def _with_protocol_first(labels: list[str], protocol: Protocol) -> list[str]:
    if len(labels) < 2 or labels[0] == protocol:
        return labels
    servers_own = len(labels) > 2 and labels[0].startswith(_SERVERS_OWN_LABELS)
    if labels[0] == protocol.other or servers_own:
        return [protocol, *labels[1:]]
    return [protocol, *labels]
