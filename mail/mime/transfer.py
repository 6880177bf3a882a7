"""Content-Transfer-Encoding (RFC 2045, section 6), undone."""

import binascii
import re
from typing import Final

_BASE64_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64: Final = bytes(set(range(256)) - set(_BASE64_ALPHABET))
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
            return binascii.a2b_qp(body)
    return body


def decode_base64(data: bytes) -> bytes:
    """Lenient: characters that do not belong are skipped, missing padding is added."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        digits = data.partition(b"=")[0].translate(None, _NOT_BASE64)
        # A last digit that stands alone is less than a byte.
        whole = digits[:-1] if len(digits) % 4 == 1 else digits
        return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))
