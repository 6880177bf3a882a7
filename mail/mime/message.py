"""What a message is to the rest of the house: values, and the two errors."""

from dataclasses import dataclass
from datetime import datetime


class UnparseableError(Exception):
    """A message that cannot be read as one. ``reason`` says why, for a log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoSuchPartError(KeyError):
    """The message has no part at that path."""


@dataclass(frozen=True, slots=True)
class Address:
    """One person. ``name`` and ``address`` hold no control characters; either may be empty.

    ``address`` is as the sender wrote it, not necessarily one that could be replied to.
    """

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part that holds something itself, that is any but a multipart.

    ``path`` counts as IMAP's section numbers do (RFC 9051, 6.4.5.1): ``1.2``. ``content_type`` is
    in lower case without parameters, ``charset`` the declared one in lower case or empty, ``size``
    the decoded bytes, ``content_id`` without its angle brackets. ``filename`` is safe to store and
    to show, and never empty for an attachment or a picture. ``is_inline_image``: a picture that a
    browser may show and that the HTML refers to by ``cid:``.
    """

    path: str
    content_type: str
    charset: str
    filename: str
    size: int
    content_id: str
    is_attachment: bool
    is_inline_image: bool


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A message, read. No text in it holds NUL; only ``text`` and ``html`` hold line ends (LF).

    ``message_id``, ``in_reply_to`` and ``references`` keep their angle brackets; what is not an
    identifier is left out. ``date`` is aware and in UTC. ``text`` is never HTML: without a text
    part it is what the HTML says. ``html`` is as it came and must be made harmless before it is
    shown. ``preview`` is one line of at most 200 characters. ``parts`` are in their order.
    """

    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    date: datetime | None
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    text: str
    html: str | None
    preview: str
    parts: tuple[Part, ...]

    @property
    def attachments(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.is_attachment)

    @property
    def has_attachments(self) -> bool:
        return any(part.is_attachment for part in self.parts)
