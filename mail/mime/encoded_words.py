"""Encoded words: letters beyond ASCII in headers (RFC 2047)."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

from mail.mime.charsets import decode_text
from mail.mime.transfer import decode_base64

# The encoded text ends at "?=" and never goes on past another "=?": however many words lack
# their end, each character is looked at once.
WORD: Final = r"=\?[^?=\s]{1,60}\?[bBqQ]\?(?:[^?=\s]|\?(?!=)|=(?!\?[^=]))*\?="
_WORD: Final = re.compile(
    # Words with spaces in them are wrong, and common.
    r"=\?(?P<charset>[^?=\s]{1,60})\?(?P<encoding>[bBqQ])\?"
    r"(?P<text>(?:[^?=]|\?(?!=)|=(?!\?[^=]))*)\?="
)
_BEYOND_ASCII: Final = re.compile(r"([^\x00-\x7f]+)")
# RFC 2047, section 2: lines of 76 characters, of which "Subject: " may be 9, and "=?utf-8?b?" and
# "?=" are 12.
_ENCODED_LONGEST: Final = 76 - 9 - 12
# RFC 2047, section 5 (3): what needs no encoding wherever a word may stand.
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def decode_words(text: str) -> str:
    """``text`` with its encoded words decoded. Never raises."""
    if "=?" not in text:
        return text
    pieces: list[str] = []
    run = _Run()
    end = 0
    for found in _WORD.finditer(text):
        between = text[end : found.start()]
        # White space between two encoded words is not part of the text (section 6.2).
        if run.empty or between.strip(" \t"):
            pieces += (run.take(), between)
        charset = found["charset"].partition("*")[0].lower()  # RFC 2231, 5: a language follows
        if charset != run.charset:
            pieces.append(run.take())
        run.add(charset, found["encoding"], found["text"])
        end = found.end()
    return "".join([*pieces, run.take(), text[end:]])


def encode_words(text: str) -> str:
    """``text`` as encoded words in UTF-8 with a space between, in whichever form is shorter."""
    as_q, as_b = _encoded(text, "q", _q), _encoded(text, "b", _b)
    return as_q if len(as_q) <= len(as_b) else as_b


class _Run:
    """Neighbouring words of one charset: many senders split a letter's bytes between two."""

    def __init__(self) -> None:
        self.charset = ""
        self._bytes = bytearray()
        self._texts: list[str] = []

    @property
    def empty(self) -> bool:
        return not self.charset

    def add(self, charset: str, encoding: str, text: str) -> None:
        self.charset = charset
        if encoding in "bB":
            self._bytes += decode_base64(text.encode("utf-8"))
            return
        for piece in _BEYOND_ASCII.split(text):
            if piece.isascii():
                self._bytes += binascii.a2b_qp(piece, header=True)
            else:
                # It was no bytes of this charset any more when the header was read.
                self._texts += (self._decoded(), piece)

    def take(self) -> str:
        text = "".join([*self._texts, self._decoded()])
        self.charset = ""
        self._texts.clear()
        return text

    def _decoded(self) -> str:
        text = decode_text(bytes(self._bytes), self.charset)
        self._bytes.clear()
        return text


def _encoded(text: str, name: str, encode: Callable[[bytes], str]) -> str:
    words: list[str] = []
    held = ""
    for letter in text:
        if len(encode((held + letter).encode())) > _ENCODED_LONGEST:
            words.append(held)
            held = ""
        held += letter
    return " ".join(f"=?utf-8?{name}?{encode(word.encode())}?=" for word in [*words, held])


def _b(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _q(data: bytes) -> str:
    return "".join(
        chr(byte) if byte in _PLAIN else "_" if byte == 0x20 else f"={byte:02X}" for byte in data
    )
