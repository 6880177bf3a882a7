"""The header section of a message or a part (RFC 5322, section 2.2), and its plain values.

A value comes out of here as one line: unfolded, decoded, without control characters.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from typing import Final

from mail.mime.charsets import codec_of, decode_text
from mail.mime.encoded_words import decode_words

FIELDS_MOST: Final = 1_000
"""Fields of one header section that are looked at; the rest is skipped."""

VALUE_BYTES: Final = 128 * 1024
"""Bytes of one value that are looked at: some 3,000 recipients."""

LINE_LONGEST: Final = 2_000
"""Characters of a decoded line of text, such as a subject."""

IDENTIFIER_LONGEST: Final = 900
"""Characters of a Message-ID: one that is longer fits in no line (RFC 5322, 2.1.1)."""

REFERENCES_MOST: Final = 200

_DATE_LONGEST: Final = 200
# A name, a colon, and a value with its folded lines. White space before the colon is obsolete
# (RFC 5322, 4.5). A lone CR or LF ends a line too: mail that went through a file has them.
_FIELD: Final = re.compile(
    rb"([!-9;-~]++)[ \t]*+:([^\r\n]*+(?:(?:\r\n|\r|\n)[ \t][^\r\n]*+)*)(?:\r\n|\r|\n|\Z)"
)
# What may stand before the fields: the line of a mailbox file, folded lines of nothing, ":". Lines
# of white space do so at the beginning of a message alone: in a part they may be the empty line.
_STRAY: Final = re.compile(
    rb"(?:From (?![ \t]*+:)|[ \t]+[^\s]|:)[^\r\n]*+(?:\r\n|\r|\n|\Z)"
    rb"|\A(?:[ \t]++(?:\r\n|\r|\n))+"
)
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BLANK_LINE: Final = re.compile(rb"\n\r?\n|\r\r")
_FOLD: Final = re.compile(rb"[\r\n]+")
_IDENTIFIER: Final = re.compile(rf"<[!-;=?-~]{{1,{IDENTIFIER_LONGEST - 2}}}>")
_BARE_IDENTIFIER: Final = re.compile(rf"[!-;=?-~]{{1,{IDENTIFIER_LONGEST - 2}}}")

# What ends a line or steers a terminal is a space or nothing. Characters that turn the direction
# of everything behind them (Unicode Bidirectional Algorithm, 2.1 to 2.4) have no place in a line
# that stands among other lines; the marks LRM and RLM have.
_SPACES: Final = "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
_CONTROLS: Final = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
_DIRECTIONS: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_CLEAN: Final = dict.fromkeys(map(ord, _CONTROLS + _DIRECTIONS)) | dict.fromkeys(
    map(ord, _SPACES), " "
)
_DIRTY: Final = re.compile(f"[{re.escape(_CONTROLS + _DIRECTIONS + _SPACES)}]")


@dataclass(frozen=True, slots=True)
class Headers:
    """Fields by their names in lower case; values unfolded, but neither decoded nor cleaned."""

    fields: dict[str, list[bytes]]

    def first(self, name: str) -> bytes:
        """The first value of that name, or nothing."""
        return self.fields.get(name, [b""])[0]

    def all(self, name: str) -> list[bytes]:
        return self.fields.get(name, [])


def read_headers(raw: bytes, start: int, end: int) -> tuple[Headers, int]:
    """The header section at ``start``, and where the body begins.

    The section ends at an empty line, at ``end``, or before the first line that is no field.
    """
    fields: dict[str, list[bytes]] = {}
    count = 0
    while (stray := _STRAY.match(raw, start, end)) and count < FIELDS_MOST:
        start = stray.end()
        count += 1
    while (found := _FIELD.match(raw, start, end)) and count < FIELDS_MOST:
        name = found[1].decode("ascii").lower()
        value = raw[found.start(2) : min(found.end(2), found.start(2) + VALUE_BYTES)]
        fields.setdefault(name, []).append(_FOLD.sub(b"", value).strip())
        start = found.end()
        count += 1
    if found:
        blank = _BLANK_LINE.search(raw, start, end)
        return Headers(fields), blank.end() if blank else end
    line_end = _LINE_END.match(raw, start, end)
    return Headers(fields), line_end.end() if line_end else start


def header_text(value: bytes, charset: str = "") -> str:
    """A value as characters, its encoded words still encoded.

    ``charset`` is that of the body: senders that put bytes beyond ASCII into a header (which only
    UTF-8 allows, RFC 6532) use the same there.
    """
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    try:
        return value.decode("utf-8") if b"\x1b$" not in value else decode_text(value)
    except UnicodeDecodeError:
        return decode_text(value, charset if codec_of(charset) != "utf_8" else "")


def clean_line(text: str) -> str:
    """One line, without control characters and without space around it."""
    return (text.translate(_CLEAN) if _DIRTY.search(text) else text).strip()


def decode_line(value: bytes, charset: str = "") -> str:
    """A value that is text, such as a subject; at most ``LINE_LONGEST`` characters."""
    return clean_line(decode_words(header_text(value, charset)))[:LINE_LONGEST]


def identifiers(values: Iterable[bytes]) -> tuple[str, ...]:
    """Message identifiers with their brackets, each once (RFC 5322, section 3.6.4).

    What is not one is skipped. Of more than ``REFERENCES_MOST`` the first, which began the
    conversation, and the last remain.
    """
    found: dict[str, None] = {}
    for value in values:
        found.update(dict.fromkeys(_IDENTIFIER.findall(value.decode("ascii", "replace"))))
    every = tuple(found)
    return every if len(every) <= REFERENCES_MOST else every[:1] + every[1 - REFERENCES_MOST :]


def identifier(value: bytes) -> str:
    """The first identifier of a value, or an empty string. One without brackets is given them."""
    found = identifiers([value])
    if found:
        return found[0]
    bare = value.decode("ascii", "replace")
    return f"<{bare}>" if "@" in bare and _BARE_IDENTIFIER.fullmatch(bare) else ""


def date_of(value: bytes) -> datetime | None:
    """A date in UTC (RFC 5322, section 3.3, and much that is not); None when it is none."""
    text = value[:_DATE_LONGEST].decode("ascii", "replace")
    try:
        parsed = parsedate_tz(text)
        if parsed is None:
            return None
        zone = timezone(timedelta(seconds=parsed[9] or 0))
        second = 59 if parsed[5] == 60 else parsed[5]  # no datetime has a leap second
        return datetime(*parsed[:5], second, tzinfo=zone).astimezone(UTC)
    # The standard library lets through what it stumbles over: huge numbers, missing fields.
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
