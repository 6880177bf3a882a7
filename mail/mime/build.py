"""A message of ours, built: the same values always give the same bytes."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from secrets import token_hex
from typing import Final

import idna

from mail.mime.encoded_words import encode_words
from mail.mime.message import Address

_LINE_LONGEST: Final = 76  # RFC 2047, 2, for a line with encoded words; RFC 5322, 2.1.1: 78
_BODY_LINE_LONGEST: Final = 998  # must
_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~. -]+")
_REPLY_PREFIX: Final = re.compile(
    r"(?:(?:re|aw|antw|sv|vs|ref|отв|ответ)(?:\[\d{1,3}\])?:\s*)+", re.I
)


@dataclass(frozen=True)
class Outgoing:
    """Everything that a message will say. ``bcc`` is part of the envelope, never of the bytes."""

    message_id: str
    date: datetime
    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    text: str
    in_reply_to: str = ""
    references: tuple[str, ...] = ()


def new_message_id(domain: str) -> str:
    """Unique in the world (RFC 5322, 3.6.4)."""
    return f"<{token_hex(16)}@{_a_labels(domain) or 'localhost'}>"


def build(outgoing: Outgoing) -> bytes:
    """The message with CRLF line ends. Raises ValueError for a line break inside a header."""
    encoding, body = _body(outgoing.text)
    fields = [
        ("Date", [format_datetime(outgoing.date)]),
        ("From", _people((outgoing.sender,))),
        ("To", _people(outgoing.to)),
        ("Cc", _people(outgoing.cc)),
        ("Subject", _words(outgoing.subject)),
        ("Message-ID", [outgoing.message_id]),
        # Identifiers are folded at white space and never encoded: as encoded words they would
        # be other identifiers, and the conversation would fall apart (cpython issue 100991).
        ("In-Reply-To", outgoing.in_reply_to.split()),
        ("References", list(outgoing.references)),
        ("MIME-Version", ["1.0"]),
        ("Content-Type", ["text/plain; charset=utf-8"]),
        ("Content-Transfer-Encoding", [encoding]),
    ]
    head = b"".join(_field(name, words) for name, words in fields if words)
    return head + b"\r\n" + body


def reply_subject(subject: str) -> str:
    """``Re: `` once, however often and in whatever language it stands there."""
    bare = _REPLY_PREFIX.sub("", subject, count=1) if _REPLY_PREFIX.match(subject) else subject
    return f"Re: {bare.strip()}".strip()


def quote_text(text: str) -> str:
    """Each line behind ``>``, as RFC 3676 writes quotes."""
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in lines)


def _body(text: str) -> tuple[str, bytes]:
    """RFC 2045: 7bit where that is true, else quoted-printable."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    encoded = [line.encode("utf-8", "replace") for line in lines]
    plain = all(
        line.isascii() and b"\0" not in line and len(line) <= _BODY_LINE_LONGEST for line in encoded
    )
    # "From " at the beginning of a line and space at its end do not survive every way.
    if plain and not any(
        line.startswith(b"From ") or line.endswith((b" ", b"\t")) for line in encoded
    ):
        return "7bit", b"\r\n".join(encoded) + b"\r\n"
    return "quoted-printable", b"\r\n".join(map(_quoted_printable, encoded)) + b"\r\n"


def _quoted_printable(line: bytes) -> bytes:
    """One line as RFC 2045, section 6.7, with soft breaks before 76 characters."""
    pieces: list[str] = []
    for place, byte in enumerate(line):
        last = place == len(line) - 1
        # A soft break may bring any "From " to the beginning of a line.
        literal = 33 <= byte <= 126 and byte != 61 and not line.startswith(b"From ", place)
        if literal or (byte in b" \t" and not last):
            pieces.append(chr(byte))
        else:
            pieces.append(f"={byte:02X}")
    rows: list[str] = []
    row = ""
    for piece in pieces:
        if len(row) + len(piece) > 75:
            rows.append(row + "=")
            row = ""
        row += piece
    rows.append(row)
    return "\r\n".join(rows).encode("ascii")


def _field(name: str, words: list[str]) -> bytes:
    """Folded between words (RFC 5322, 2.2.3)."""
    lines = [f"{name}:"]
    for word in words:
        if any(character in word for character in "\r\n\0"):
            raise ValueError(f"a line break in {name}")
        if len(lines[-1]) + 1 + len(word) > _LINE_LONGEST and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines).encode("utf-8") + b"\r\n"


def _words(text: str) -> list[str]:
    _refuse_line_breaks(text)
    plain = text.isascii() and text.isprintable() and "=?" not in text and "  " not in text
    if plain and text == text.strip() and all(len(word) < _LINE_LONGEST for word in text.split()):
        return text.split()
    return encode_words(text).split()


def _refuse_line_breaks(text: str) -> None:
    if any(character in text for character in "\r\n\0"):
        raise ValueError("a line break in a header")


def _people(people: tuple[Address, ...]) -> list[str]:
    words: list[str] = []
    for place, person in enumerate(people):
        comma = "," if place < len(people) - 1 else ""
        words += [*_person(person).split(" ")[:-1], _person(person).split(" ")[-1] + comma]
    return words


def _person(person: Address) -> str:
    address = _address(person.address)
    _refuse_line_breaks(person.name)
    # Spaces of any number would be folded into lines of nothing else.
    name = " ".join(person.name.split())
    if not name:
        return address
    if not name.isascii() or not name.isprintable() or "=?" in name:
        return f"{encode_words(name)} <{address}>"
    if _ATOM.fullmatch(name) and "." not in name:
        return f"{name} <{address}>"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'


def _address(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if not at or any(character in address for character in "\r\n\0<>"):
        raise ValueError("not an address")
    return f"{local}@{_a_labels(domain)}"


def _a_labels(domain: str) -> str:
    if domain.isascii():
        return domain
    return idna.encode(domain, uts46=True).decode("ascii")
