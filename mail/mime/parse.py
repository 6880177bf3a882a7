"""A message, read. Anything can arrive; whatever it is costs bounded time and memory."""

import re
from typing import Final
from urllib.parse import unquote

from mail.mime.address_lists import split_addresses
from mail.mime.charsets import charset_of_html, decode_text
from mail.mime.encoded_words import decode_words
from mail.mime.headers import (
    Headers,
    clean_line,
    date_of,
    decode_line,
    header_text,
    identifier,
    identifiers,
)
from mail.mime.message import Address, NoSuchPartError, ParsedMessage, Part, UnparseableError
from mail.mime.structure import Leaf, leaves
from mail.mime.text import html_to_text, unescaped, unflow

__all__ = [
    "Address",
    "NoSuchPartError",
    "ParsedMessage",
    "Part",
    "UnparseableError",
    "html_of",
    "parse",
    "part_content",
]

TEXT_LONGEST: Final = 1_000_000
"""Characters of text, and of HTML, that are kept; the source keeps them all."""

PEOPLE_MOST: Final = 2_000
PREVIEW_LONGEST: Final = 200
NAME_LONGEST: Final = 150
"""Characters of an attachment's file name, its extension kept."""

_INLINE_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_CALENDARS: Final = frozenset({"text/calendar", "application/ics"})
_EXTENSIONS: Final = {
    "application/pdf": ".pdf",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/html": ".html",
    "text/plain": ".txt",
}
# Between quotes, or up to what ends a value without them or an address in a style.
_CID: Final = re.compile(
    r"""(?i:"\s*+cid:([^"]{1,500}+)"|'\s*+cid:([^']{1,500}+)'|cid:([^\s"'<>)]{1,500}+))"""
)
_NOT_IN_NAMES: Final = re.compile(r'[\\/:*?"<>|]')


def parse(raw: bytes) -> ParsedMessage:
    """Raises UnparseableError, and nothing else, for what cannot be read as a message."""
    headers, found = leaves(raw)
    charset = found[0].content_type.get("charset") if found else ""
    bodies = [leaf for leaf in found if _is_body(leaf)]
    html = _html(bodies)
    text = _text(bodies) or (html_to_text(html) if html else "")
    references = _references(html) if html is not None else None
    repeated = _repeated(found)
    parts = tuple(
        _part(leaf, number, references, repeated=leaf.path in repeated)
        for number, leaf in enumerate(found, 1)
    )
    return ParsedMessage(
        message_id=identifier(headers.first("message-id")),
        in_reply_to=identifier(headers.first("in-reply-to")),
        references=identifiers(headers.all("references")),
        date=date_of(headers.first("date")),
        sender=_people(headers, "from", charset),
        reply_to=_people(headers, "reply-to", charset),
        to=_people(headers, "to", charset),
        cc=_people(headers, "cc", charset),
        bcc=_people(headers, "bcc", charset),
        subject=decode_line(headers.first("subject"), charset),
        text=text,
        html=html,
        preview=_preview(text),
        parts=parts,
    )


def html_of(raw: bytes) -> str | None:
    """The HTML that ``parse`` finds, without the rest. Raises UnparseableError."""
    _, found = leaves(raw)
    return _html([leaf for leaf in found if _is_body(leaf)])


def part_content(raw: bytes, path: str) -> tuple[Part, bytes]:
    """A part and its decoded bytes. Raises NoSuchPartError, UnparseableError."""
    _, found = leaves(raw)
    for number, leaf in enumerate(found, 1):
        if leaf.path == path:
            content = leaf.content
            return _part(leaf, number, None, size=len(content)), content
    raise NoSuchPartError(path)


def _is_body(leaf: Leaf) -> bool:
    """Text that is read as the message itself, and not as something that came with it."""
    if leaf.kind not in {"text/plain", "text/html"}:
        return False
    if leaf.disposition.value == "attachment":
        return False
    return not _named(leaf)


def _text(bodies: list[Leaf]) -> str:
    plain = [leaf for leaf in bodies if leaf.kind == "text/plain"]
    pieces = [_decoded(leaf).rstrip("\n") for leaf in plain]
    # Text beside HTML (not instead of it) is part of the message too.
    pieces += [
        html_to_text(_decoded(leaf))
        for leaf in bodies
        if leaf.kind == "text/html" and plain and not leaf.alternative
    ]
    return "\n\n".join(piece for piece in pieces if piece.strip())[:TEXT_LONGEST]


def _html(bodies: list[Leaf]) -> str | None:
    pieces = [_decoded(leaf) for leaf in bodies if leaf.kind == "text/html"]
    return "\n".join(pieces)[:TEXT_LONGEST] if pieces else None


def _decoded(leaf: Leaf) -> str:
    content = leaf.content
    charset = leaf.content_type.get("charset")
    if not charset and leaf.kind == "text/html":
        charset = charset_of_html(content)
    text = decode_text(content, charset).replace("\0", "")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if leaf.content_type.get("format").lower() == "flowed":
        delete = leaf.content_type.get("delsp").lower() == "yes"
        text = unflow(text, delete_space=delete)
    return text


def _references(html: str) -> frozenset[str]:
    """The names of pictures in ``cid:`` addresses, as they are written and decoded (RFC 2392)."""
    names = {found[found.lastindex or 0].strip() for found in _CID.finditer(unescaped(html))}
    return frozenset(names | {unquote(name) for name in names})


def _repeated(found: list[Leaf]) -> frozenset[str]:
    """Paths of invitations that come once more, as a file (Google Calendar sends them so).

    The first is for programs, one of the alternatives to the text (RFC 6047); people are offered
    the second, which has a name.
    """
    calendars = [leaf for leaf in found if leaf.kind in _CALENDARS]
    first = [leaf for leaf in calendars if leaf.alternative and not _named(leaf)]
    if not first:
        return frozenset()
    files = {_lines(leaf) for leaf in calendars if not leaf.alternative}
    return frozenset(leaf.path for leaf in first if _lines(leaf) in files)


def _lines(leaf: Leaf) -> bytes:
    return leaf.content.replace(b"\r\n", b"\n").strip()


def _part(
    leaf: Leaf,
    number: int,
    references: frozenset[str] | None,
    *,
    size: int | None = None,
    repeated: bool = False,
) -> Part:
    content_id = clean_line(header_text(leaf.headers.first("content-id"))).strip("<> ")[:500]
    picture = leaf.kind in _INLINE_PICTURES
    shown = picture and bool(content_id) and (references is None or content_id in references)
    attached = not _is_body(leaf) and not shown and not repeated
    return Part(
        path=leaf.path,
        content_type=leaf.kind[:100],
        charset=leaf.content_type.get("charset").lower()[:60],
        filename=_filename(leaf, number) if attached or picture else "",
        size=len(leaf.content) if size is None else size,
        content_id=content_id,
        is_attachment=attached,
        is_inline_image=shown,
    )


def _named(leaf: Leaf) -> str:
    return leaf.disposition.get("filename") or leaf.content_type.get("name")


def _filename(leaf: Leaf, number: int) -> str:
    """Safe to store and to show: no path, no control or direction characters, never empty."""
    name = _NOT_IN_NAMES.sub("_", re.split(r"[\\/]", clean_line(_named(leaf)))[-1])
    name = "".join(c for c in name if c.isprintable()).strip(" .")
    if not name:
        return f"part-{number}{_EXTENSIONS.get(leaf.kind, '.bin')}"
    stem, dot, extension = name.rpartition(".")
    if len(name) > NAME_LONGEST and dot and len(extension) <= 10:
        return f"{stem[: NAME_LONGEST - len(extension) - 1]}.{extension}"
    return name[:NAME_LONGEST]


def _people(headers: Headers, field: str, charset: str) -> tuple[Address, ...]:
    lines = [header_text(value, charset) for value in headers.all(field)]
    found = []
    for name, address in split_addresses(lines)[:PEOPLE_MOST]:
        person = Address(
            clean_line(decode_words(name))[:300], clean_line(decode_words(address))[:320]
        )
        if person.name or person.address:
            found.append(person)
    return tuple(found)


def _preview(text: str) -> str:
    lines = (line.strip() for line in text[:4000].split("\n"))
    words = " ".join(line for line in lines if line and not line.startswith(">"))
    return clean_line(" ".join((words or text[:4000]).split()))[:PREVIEW_LONGEST]
