"""Content-Type and Content-Disposition with their parameters (RFC 2045, 2183, 2231)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from mail.mime.charsets import decode_text
from mail.mime.encoded_words import decode_words
from mail.mime.headers import clean_line

PARAMETERS_MOST: Final = 200
"""Parameters of one value, pieces of RFC 2231 counted singly; the rest is not looked at."""

_VALUE_LONGEST: Final = 32 * 1024
# A quoted value that never ends is no quoted one. The value of an unquoted one should be a single
# token; with spaces in it, it is a file's name that somebody forgot to quote.
_PARAMETER: Final = re.compile(
    r"""[;\s="]*+([^\s=;"]++)\s*+(?:=\s*+(?:"((?:[^"\\]++|\\.)*)"|([^;]*+)))?[^;]*+""", re.DOTALL
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_SEGMENT: Final = re.compile(r"([^*]+)\*(?:([0-9]{1,3})(\*?))?")
_QUOTED: Final = re.compile(r"'[^'].*'", re.DOTALL)
_COMMENT: Final = re.compile(r"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class Parameters:
    """``value`` is what stands before the parameters, in lower case; their names are, too."""

    value: str
    names: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.names.get(name, "")


def read_parameters(text: str) -> Parameters:
    """Never raises. Values are decoded, cleaned lines; the first of a name counts, and one after
    RFC 2231 (``filename*``) more than a plain one."""
    value, _, rest = text[:_VALUE_LONGEST].partition(";")
    plain: dict[str, str] = {}
    extended: dict[str, list[_Segment]] = {}
    for name, text_of in _pairs(rest):
        segment = _SEGMENT.fullmatch(name)
        if segment is None:
            plain.setdefault(name, clean_line(decode_words(text_of)))
        else:
            number = int(segment[2] or 0)
            encoded = segment[2] is None or bool(segment[3])
            extended.setdefault(segment[1], []).append(_Segment(number, encoded, text_of))
    joined = {name: clean_line(_joined(segments)) for name, segments in extended.items()}
    value = clean_line(_COMMENT.sub("", value)).lower()
    return Parameters(value, plain | {name: text for name, text in joined.items() if text})


@dataclass(frozen=True, slots=True, order=True)
class _Segment:
    number: int
    encoded: bool
    text: str


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    position = 0
    for _ in range(PARAMETERS_MOST):
        # Not finditer: it would try again from each of ten thousand semicolons.
        found = _PARAMETER.match(text, position)
        if found is None:
            return
        position = found.end()
        if found[2] is not None:
            yield found[1].lower(), _ESCAPED.sub(r"\1", found[2])
        else:
            text_of = _COMMENT.sub("", found[3] or "").strip()
            yield found[1].lower(), _unquoted(found[1], text_of)


def _unquoted(name: str, text: str) -> str:
    """Without quotes that stand around it. Those of RFC 2231 stand behind charset and language."""
    if "*" not in name:
        return text.strip("\"'")
    text = text.strip('"')
    return text[1:-1] if _QUOTED.fullmatch(text) else text


def _joined(segments: list[_Segment]) -> str:
    """The pieces in the order of their numbers (RFC 2231, sections 3 and 4)."""
    segments.sort()
    charset, data = "", b""
    for place, segment in enumerate(segments):
        text = segment.text
        if place == 0 and segment.encoded and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        data += unquote_to_bytes(text) if segment.encoded else text.encode()
    return decode_text(data, charset)
