"""Messages put together from what a test is about."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import settings

from mail.mime.build import Outgoing
from mail.mime.message import Address, ParsedMessage
from mail.mime.parse import parse

ALICE = Address("Alice", "alice@firm.test")
BOB = Address("Bob", "bob@firm.test")
CAROL = Address("Carol", "carol@firm.test")

# The tables of charsets and names are read when the first one is met, which takes its time.
patiently = settings(deadline=None)


def mail(*fields: str | bytes, body: str | bytes = b"") -> bytes:
    """Fields and a body, as bytes; what is given as text is UTF-8."""
    lines = [_bytes(field) + b"\r\n" for field in fields]
    return b"".join(lines) + b"\r\n" + _bytes(body)


def multipart(*parts: bytes, kind: str = "mixed", boundary: str = "b", fields: str = "") -> bytes:
    """``fields``, when there are any, end with a line end."""
    head = f'{fields}Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'
    line = b"--" + boundary.encode()
    inside = b"".join(line + b"\r\n" + part + b"\r\n" for part in parts)
    return head.encode() + inside + line + b"--\r\n"


def read(*fields: str | bytes, body: str | bytes = b"") -> ParsedMessage:
    return parse(mail(*fields, body=body))


def outgoing(**values: Any) -> Outgoing:
    """A message from Alice to Bob, with whatever a test changes in it."""
    usual: dict[str, Any] = {
        "message_id": "<1@firm.test>",
        "date": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
        "sender": ALICE,
        "to": (BOB,),
        "cc": (),
        "bcc": (),
        "subject": "Report",
        "text": "Hello\n",
    }
    return Outgoing(**usual | values)


def header_lines(raw: bytes) -> list[bytes]:
    return raw.partition(b"\r\n\r\n")[0].split(b"\r\n")


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
