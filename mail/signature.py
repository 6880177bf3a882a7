"""Signatures: HTML that a person typed or pasted, kept harmless, and the same as plain text."""

import re
from html import unescape
from typing import Final

import nh3

_TAGS: Final = frozenset("a b blockquote br div em i li ol p s span strong u ul".split())
_CLEANER: Final = nh3.Cleaner(
    tags=set(_TAGS),
    attributes={"a": {"href"}},
    url_schemes={"http", "https", "mailto", "tel"},
    link_rel="noopener noreferrer",
)
_LINE_ENDS: Final = re.compile(r"<br\s*/?>|</(?:p|div|li|blockquote)>", re.IGNORECASE)
_ITEM: Final = re.compile(r"<li[^>]*>", re.IGNORECASE)
_NO_TAGS: Final = nh3.Cleaner(tags=set())


def clean_signature(html: str) -> str:
    """Text, lists, emphasis and links to elsewhere; no style, no picture, nothing that runs.

    Empty when no text is left. The same again for what it has cleaned.
    """
    cleaned = str(_CLEANER.clean(html)).strip()
    return cleaned if signature_text(cleaned) else ""


def signature_text(cleaned: str) -> str:
    """What ``clean_signature`` gave, as lines of plain text."""
    marked = _ITEM.sub("- ", _LINE_ENDS.sub("\n", cleaned.replace("\n", " ")))
    lines = [" ".join(line.split()) for line in unescape(_NO_TAGS.clean(marked)).split("\n")]
    return "\n".join(lines).strip()
