"""Signatures: HTML that a person typed or pasted, kept harmless, and the same as plain text."""

import re
from html import escape, unescape
from typing import Final

import nh3

_TAGS: Final = frozenset("a b blockquote br div em i li ol p s span strong u ul".split())
_CLEANER: Final = nh3.Cleaner(
    tags=set(_TAGS),
    attributes={"a": {"href"}},
    url_schemes={"http", "https", "mailto", "tel"},
    link_rel="noopener noreferrer",
)
# Where blocks begin and end, however many at once, there is one line end; a <br> before the end of
# a block only holds it open, and stands for no line of its own.
_LINE_END: Final = re.compile(
    r"(?:<br>\s*)?(?:</?(?:p|div|li|ul|ol|blockquote)>\s*)+|<br>", re.IGNORECASE
)
_NO_TAGS: Final = nh3.Cleaner(tags=set())


def clean_signature(html: str) -> str:
    """Text, lists, emphasis and links to elsewhere; no style, no picture, nothing that runs.

    Empty when no text is left. The same again for what it has cleaned.
    """
    cleaned = str(_CLEANER.clean(html)).strip()
    return cleaned if signature_text(cleaned) else ""


def signature_text(cleaned: str) -> str:
    """What ``clean_signature`` gave, as lines of plain text."""
    marked = _LINE_END.sub(_line_end, cleaned.replace("\n", " "))
    lines = [" ".join(line.split()) for line in unescape(_NO_TAGS.clean(marked)).split("\n")]
    return "\n".join(lines).strip()


def signature_of_text(text: str) -> str:
    """Lines that were typed without an editor, as the HTML that an editor would give."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return "".join(f"<div>{escape(line, quote=False) or '<br>'}</div>" for line in lines)


def below_text(cleaned: str) -> str:
    """How a signature stands in a message of plain text (RFC 3676, 4.3); empty without one."""
    text = signature_text(cleaned)
    return f"-- \n{text}" if text else ""


def _line_end(tags: re.Match[str]) -> str:
    return "\n- " if "<li>" in tags[0].lower() else "\n"
