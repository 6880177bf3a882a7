"""Content-Transfer-Encoding (RFC 2045, section 6), undone."""

import binascii
import re
from itertools import compress
from typing import Final

_BASE64_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64: Final = bytes(set(range(256)) - set(_BASE64_ALPHABET))
_PADDED: Final = re.compile(
    rb"(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*[A-Za-z0-9+/]{0,3}+"
)
_ONES_AND_ZEROS: Final = bytes.maketrans(_BASE64_ALPHABET + b"=", b"/" * 64 + b"A")
_IS_WHOLE: Final = bytes(255) + b"\1"
# White space behind the "=" is wrong and common; behind a lone CR the library finds nothing more.
_SOFT_BREAK: Final = re.compile(rb"=[ \t]*+(?:\r\n|\r|\n|\Z)")
_TOKEN: Final = re.compile(r"[a-z0-9-]+")


def decode_transfer(body: bytes, encoding: str) -> bytes:
    """``body`` as it was before it was encoded for the way. Never raises.

    ``encoding`` is the header's value. What is damaged is decoded as far as it can be; an unknown
    encoding (uuencode among them) leaves the body as it is.
    """
    token = _TOKEN.search(encoding.lower())
    match token[0] if token else "":
        case "base64":
            return decode_base64(body)
        case "quoted-printable":
            return binascii.a2b_qp(_SOFT_BREAK.sub(b"=\n", body))
    return body


def decode_base64(data: bytes) -> bytes:
    """Lenient: characters that do not belong are skipped, missing padding is added.

    What several wrote one behind the other, each with its padding, is decoded as a whole. Behind a
    padding anything else than more of it is a footer that a mailing list put there.
    """
    padding = data.find(b"=")
    behind = data[padding:].rstrip() if padding >= 0 else b""
    if behind.strip(b"=\r\n") and not behind.translate(None, _BASE64_ALPHABET + b"=\r\n"):
        digits = data.translate(None, b"\r\n").rstrip()
        if _PADDED.fullmatch(digits):
            return _padded_inside(digits + b"=" * (-len(digits) % 4))
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        digits = data.partition(b"=")[0].translate(None, _NOT_BASE64)
        # A last digit that stands alone is less than a byte.
        whole = digits[:-1] if len(digits) % 4 == 1 else digits
        return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))


def _padded_inside(digits: bytes) -> bytes:
    """All at once, for there may be millions of pieces: a padding is zeros, and then left out."""
    decoded = binascii.a2b_base64(digits.replace(b"=", b"A"))
    whole = binascii.a2b_base64(digits.translate(_ONES_AND_ZEROS))
    return bytes(compress(decoded, whole.translate(_IS_WHOLE)))
