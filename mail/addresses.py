"""E-mail addresses as people type them."""

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from mail.errors import RuleError
from mail.mime.address_lists import split_addresses
from mail.mime.parse import Address

# Intranets have mail at .local, .lan and .test; whether it can be delivered, the server says.
SPECIAL_USE_DOMAIN_NAMES.clear()

ADDRESS_LONGEST = 320
RECIPIENTS_MOST = 200
LINE_LONGEST = 20_000


def check_address(text: str, field: str) -> str:
    """The address in its normal form. Raises RuleError at ``field``.

    Names without a public suffix are fine: an intranet has such servers.
    """
    if not text:
        raise RuleError(field, "required")
    if len(text) > ADDRESS_LONGEST:
        raise RuleError(field, "address_broken", address=text[:60])
    try:
        found = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise RuleError(field, "address_broken", address=text) from error
    return found.normalized


def parse_recipients(text: str, field: str) -> tuple[Address, ...]:
    """``Bob <bob@firm.test>, carol@firm.test`` (RFC 5322; semicolons too). Raises RuleError."""
    if len(text) > LINE_LONGEST:
        raise RuleError(field, "recipients_many", most=RECIPIENTS_MOST)
    line = text.replace("\r", " ").replace("\n", ", ").replace(";", ",")
    pieces = split_addresses([line])
    if len(pieces) > RECIPIENTS_MOST:
        raise RuleError(field, "recipients_many", most=RECIPIENTS_MOST)
    found: dict[str, Address] = {}
    for name, address in pieces:
        if not address:
            raise RuleError(field, "address_broken", address=name)
        normal = check_address(address.strip(), field)
        found.setdefault(normal.lower(), Address(name=_printable(name), address=normal))
    return tuple(found.values())


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:200]
