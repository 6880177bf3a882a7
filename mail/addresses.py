"""E-mail addresses as people type them."""

import re
from collections.abc import Iterator
from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from mail.errors import RuleError
from mail.mime.message import Address

# Intranets have mail at .local, .lan and .test; whether it can be delivered, the server says.
SPECIAL_USE_DOMAIN_NAMES.clear()

ADDRESS_LONGEST = 320
RECIPIENTS_MOST = 200
LINE_LONGEST = 20_000

_QUOTED: Final = r'"(?:[^"\\\n]|\\.)*"'
# Up to a separator that stands in no quotation marks.
_PIECE: Final = re.compile(rf"((?:{_QUOTED}|[^\",;\n])*)(?:[,;\n]|\Z)")
_PERSON: Final = re.compile(
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<name>[^"<>@]*))\s*<(?P<address>[^<>]+)>|(?P<bare>[^"<>]+)'
)
_ESCAPED: Final = re.compile(r"\\(.)")


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
    """``Bob <bob@firm.test>, "Spring, Carol" <carol@firm.test>``; semicolons and lines part, too.

    Stricter than what arrives is read: nobody may be left out because of a bracket that was not
    closed. Each person once. Raises RuleError.
    """
    if len(text) > LINE_LONGEST:
        raise RuleError(field, "recipients_many", most=RECIPIENTS_MOST)
    pieces = list(_pieces(text.replace("\r", "\n"), field))
    if len(pieces) > RECIPIENTS_MOST:
        raise RuleError(field, "recipients_many", most=RECIPIENTS_MOST)
    found: dict[str, Address] = {}
    for piece in pieces:
        person = _person(piece, field)
        found.setdefault(person.address.lower(), person)
    return tuple(found.values())


def _pieces(text: str, field: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:  # a quotation mark that nobody closed
            raise RuleError(field, "address_broken", address=_shown(text[position:]))
        if piece[1].strip():
            yield piece[1].strip()
        position = piece.end()


def _person(piece: str, field: str) -> Address:
    parts = _PERSON.fullmatch(piece)
    if parts is None:
        raise RuleError(field, "address_broken", address=_shown(piece))
    address = parts["address"] or parts["bare"]
    name = _ESCAPED.sub(r"\1", parts["quoted"] or "") or parts["name"] or ""
    return Address(name=_shown(name.strip(), 200), address=check_address(address.strip(), field))


def _shown(text: str, longest: int = 60) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:longest]
