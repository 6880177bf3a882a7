"""Text out of HTML, and text as mail programs flow it."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any, Final

from lxml import etree

HTML_LARGEST: Final = 2_000_000
"""Characters of HTML that are turned into text; the rest is not looked at."""

DEEPEST: Final = 200
"""Elements inside each other. The parser is silent about what lies deeper than 256."""

# Comments and instructions have text behind them that belongs to nothing else.
_EVENTS: Final = ("start", "end", "comment", "pi")
_DROPPED: Final = frozenset({"script", "style", "head", "title", "template", "noscript", "svg"})
_BLOCKS: Final = frozenset(
    """address article aside blockquote br center dd div dl dt fieldset figure footer form h1 h2 h3
    h4 h5 h6 header hr li main nav ol p pre section table tr ul""".split()
)
# Each is looked through once: what never ends goes on to the end, as in a browser.
_HIDDEN: Final = re.compile(
    r"<(script|style|title)(?=[\s/>]).*?(?=</\1[\s/>]|\Z)|<!--(?:-?>|.*?(?:--!?>|\Z))",
    re.I | re.DOTALL,
)
# Python refuses to make a number of so many digits.
_NO_CHARACTER: Final = re.compile(r"&#[0-9]{1000,}+;?")
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")
_SPACES: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r" ?\n ?(?:\n ?)+")


def html_to_text(html: str) -> str:
    """What a reader would see, with a line for each block. Never raises."""
    parser = etree.HTMLPullParser(events=_EVENTS, huge_tree=False)
    try:
        parser.feed(html[:HTML_LARGEST].replace("\0", ""))
        parser.close()
        text = "".join(_pieces(parser.read_events()))
    except (etree.LxmlError, ValueError, TypeError, AssertionError):
        text = unescaped(_TAG.sub(" ", _HIDDEN.sub(" ", html[:HTML_LARGEST])))
    text = _SPACES.sub(" ", text.replace("\r", "\n").replace("\0", ""))
    return _LINES.sub("\n\n", text).strip()


def unescaped(text: str) -> str:
    """``text`` with its character references (``&amp;``) resolved. Never raises."""
    return unescape(_NO_CHARACTER.sub("\ufffd", text))


def _pieces(events: Iterator[tuple[str, Any]]) -> Iterator[str]:
    dropped = depth = 0
    for event, element in events:
        name = element.tag if isinstance(element.tag, str) else ""
        depth += (event == "start") - (event == "end")
        if depth > DEEPEST:
            raise ValueError("too deep")
        if event == "start":
            dropped += name in _DROPPED
            if not dropped:
                yield "\n" if name in _BLOCKS else " " if name in {"td", "th"} else ""
                yield _flat(element.text)
        else:
            dropped -= name in _DROPPED
            if not dropped:
                yield "\n" if name in _BLOCKS and name != "br" else ""
                yield _flat(element.tail)


def _flat(text: str | None) -> str:
    return " ".join(text.split("\n")) if text else ""


def unflow(text: str, *, delete_space: bool) -> str:
    """Flowed text (RFC 3676) with its paragraphs whole again."""
    lines: list[list[str]] = []  # each in pieces, for a paragraph may have 100,000 lines
    open_depth = -1
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        body = line[depth:].removeprefix(" ")
        if open_depth == depth and body != "-- ":
            lines[-1].append(body)
        else:
            lines.append([">" * depth + (" " if depth and body else ""), body])
        flows = body.endswith(" ") and body != "-- "
        if flows and delete_space:
            lines[-1][-1] = body[:-1]
        open_depth = depth if flows else -1
    return "\n".join(map("".join, lines))
