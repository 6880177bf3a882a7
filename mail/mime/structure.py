"""The tree of a message's parts (RFC 2045, 2046), as places in its bytes: nothing is copied."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from mail.mime.headers import Headers, header_text, read_headers
from mail.mime.message import UnparseableError
from mail.mime.parameters import Parameters, read_parameters
from mail.mime.transfer import decode_transfer

DEEPEST: Final = 50
"""Multiparts inside each other. Real mail has five."""

PARTS_MOST: Final = 1_000

_LINE_ENDS: Final = bytes.maketrans(b"\r", b"\n")
_BOUNDARY_LONGEST: Final = 200  # RFC 2046 allows 70


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that is no multipart: where it lies, and what its headers say."""

    path: str
    headers: Headers
    content_type: Parameters
    disposition: Parameters
    alternative: bool
    raw: bytes
    start: int
    end: int

    @property
    def content(self) -> bytes:
        encoding = self.headers.first("content-transfer-encoding").decode("ascii", "replace")
        return decode_transfer(self.raw[self.start : self.end], encoding)

    @property
    def kind(self) -> str:
        return self.content_type.value


def leaves(raw: bytes) -> tuple[Headers, list[Leaf]]:
    """The message's headers and its leaves in their order.

    Raises UnparseableError beyond ``DEEPEST`` levels or ``PARTS_MOST`` parts.
    """
    headers, start = read_headers(raw, 0, len(raw))
    lines = raw.translate(_LINE_ENDS) if b"\r--" in raw else raw
    found: list[Leaf] = []
    for leaf in _walk(raw, lines, headers, start, len(raw), "", 0, in_alternative=False):
        found.append(leaf)
        if len(found) > PARTS_MOST:
            raise UnparseableError(f"more than {PARTS_MOST} parts")
    return headers, found


def _walk(
    raw: bytes,
    lines: bytes,
    headers: Headers,
    start: int,
    end: int,
    path: str,
    depth: int,
    *,
    in_alternative: bool,
    default: str = "text/plain",
) -> Iterator[Leaf]:
    if depth > DEEPEST:
        raise UnparseableError(f"more than {DEEPEST} parts inside each other")
    content_type = read_parameters(header_text(headers.first("content-type")))
    if "/" not in content_type.value:
        content_type = Parameters(default, content_type.names)
    boundary = content_type.get("boundary")[:_BOUNDARY_LONGEST]
    if content_type.value.startswith("multipart/") and boundary:
        children = list(islice(_split(raw, lines, start, end, boundary), PARTS_MOST + 1))
        if children:
            alternative = in_alternative or content_type.value == "multipart/alternative"
            inner = "message/rfc822" if content_type.value == "multipart/digest" else "text/plain"
            for number, (child_start, child_end) in enumerate(children, 1):
                child, body = read_headers(raw, child_start, child_end)
                child_path = f"{path}.{number}" if path else str(number)
                yield from _walk(
                    raw, lines, child, body, child_end, child_path, depth + 1,
                    in_alternative=alternative, default=inner,
                )  # fmt: skip
            return
    if content_type.value.startswith("multipart/"):
        # A multipart without parts is what its bytes say: text.
        content_type = Parameters("text/plain", content_type.names)
    disposition = read_parameters(header_text(headers.first("content-disposition")))
    yield Leaf(path or "1", headers, content_type, disposition, in_alternative, raw, start, end)


def _split(
    raw: bytes, lines: bytes, start: int, end: int, boundary: str
) -> Iterator[tuple[int, int]]:
    """Where the parts lie between the lines of a boundary (RFC 2046, section 5.1.1).

    ``lines`` is ``raw`` with a LF before each line that may be one.
    """
    delimiter = (
        rb"--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*(?=[\r\n]|\Z)"
    )
    # The first one may be the first line of the body, with no line end of its own before it.
    opening = re.compile(delimiter).match(raw, start, end)
    begins = None if opening is None else _after_line(raw, opening.end(), end)
    position = start if opening is None else opening.end()
    # It begins with characters that are nothing else, and so is searched for ten times as fast:
    # what lies inside of fifty multiparts is searched through fifty times.
    for found in re.compile(rb"\n" + delimiter).finditer(lines, position, end):
        if begins is not None:
            before = found.start() - (raw[found.start() - 1 : found.start() + 1] == b"\r\n")
            yield begins, max(begins, before)
        if found[1]:
            return
        begins = _after_line(raw, found.end(), end)
    if begins is not None:
        yield begins, end


def _after_line(raw: bytes, position: int, end: int) -> int:
    if raw[position : position + 2] == b"\r\n":
        return min(position + 2, end)
    return min(position + 1, end)
