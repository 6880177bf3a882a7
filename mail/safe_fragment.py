"""The first sieve for a message's HTML: events of a parser in, a well-nested fragment out.

`Writer` is a target of lxml's HTML parser. It writes only what `mail.safe_values` allows, every
element closed and placed where HTML 5 would leave it. `mail.safe_html` puts the second sieve
behind it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from urllib.parse import unquote

from mail.safe_css import SHEETS_LARGEST, filter_sheet, filter_style
from mail.safe_values import (
    ADDRESS_LONGEST,
    ATTRIBUTES,
    BLOCKS,
    DROPPED,
    IN_TABLES,
    TAGS,
    VOID,
    is_own_path,
    link_address,
    plain_value,
    safe_text,
    squeezed,
    web_address,
)

DEEPEST = 256
"""Levels of a source, ``html`` and ``body`` included."""

TAGS_MOST = 30_000
"""Elements of a source. A long newsletter has 3,000."""

STYLES_LARGEST = 200_000
"""Characters of all different ``style`` attributes together; those beyond are dropped."""

_CELLS = frozenset({"caption", "td", "th"})
_ROWS = frozenset({"td", "th", "tr"})
# What may stand directly in a part of a table. A browser moves the rest in front of the table.
_TABLE_PARTS = {
    "colgroup": frozenset({"col"}),
    "table": IN_TABLES,
    "tbody": _ROWS,
    "tfoot": _ROWS,
    "thead": _ROWS,
    "tr": frozenset({"td", "th"}),
}
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
# HTML 5, 13.2.6.4.7: what ends which open item, and what hides the items around it.
_ENDS_ITEM = {"dd": {"dd", "dt"}, "dt": {"dd", "dt"}, "li": {"li"}}
_HIDES_ITEMS = BLOCKS - {"address", "div", "p"} | _CELLS

_CID = re.compile(r"cid:(.+)", re.IGNORECASE | re.DOTALL)
_BLANK = " \t\n\f\r"

# libxml2 ends these where HTML 4 did, a link before a table, bold text before a paragraph;
# browsers go on. Names it does not know it leaves alone.
_RENAMED = "a|b|big|font|h[1-6]|i|s|small|span|strike|tt|u"
_OPENING = re.compile(rf"<(?=(?:{_RENAMED})[\s/>])", re.IGNORECASE)
_CLOSING = re.compile(rf"</(?=(?:{_RENAMED})[\s/>])", re.IGNORECASE)
_RENAMED_BACK = re.compile(rf"<(/?)x-({_RENAMED})(?=[\s/>])", re.IGNORECASE)
# Mailing lists and forwarding programs write on after the end of the document.
_END_OF_DOCUMENT = re.compile(r"</(?:body|html)\s*>", re.IGNORECASE)


class TooComplex(ValueError):  # noqa: N818 (a verdict about a message, not a fault)
    """The source is larger, deeper or odder than the limits; show the text part instead."""


def prepared(html: str) -> bytes:
    """The source as the parser is to get it."""
    renamed = _CLOSING.sub("</x-", _OPENING.sub("<x-", _END_OF_DOCUMENT.sub("", html)))
    return renamed.encode("utf-8", "replace")


@dataclass(slots=True, eq=False)
class _Element:
    """An element being written, and what HTML 5 asks about the elements around it.

    ``home`` is where misplaced content goes. A closed element has no name and sends there all
    that still comes. ``at`` is the place of its start tag in ``out``. ``stray`` is the misplaced
    element it is in, and the part of a table that one was found in.
    """

    name: str
    out: list[str]
    at: int = 0
    outer: "_Element | None" = None
    home: "_Element | None" = None
    paragraph: "_Element | None" = None
    link: "_Element | None" = None
    item: "_Element | None" = None
    stray: "tuple[_Element, _Element] | None" = None

    def settled(self) -> "_Element":
        """Itself while open, else the element that takes over."""
        element = self
        while not element.name and element.home is not None:
            element = element.home
        return element


class Writer:
    """Events of libxml2's parser in, a well-nested fragment out.

    It ends what HTML 5 would end (a link before a link, an item before an item), and puts in
    front of a table what does not belong into it, so that the next parser finds nothing to
    repair: html5ever repairs at a cost that a message could make quadratic.

    ``cid_address`` is asked for Content-IDs and for paths; see `mail.safe_html.sanitise`.
    """

    def __init__(self, remote_pictures: bool, cid_address: Callable[[str], str | None]) -> None:
        self.blocked_pictures = 0
        self._remote_pictures = remote_pictures
        self._cid_address = cid_address
        self._root = _Element("", [])
        # Who takes what comes, and whether the tag that put it there also ends it.
        self._open = [(self._root, False)]
        self._depth = self._tags = self._dropping = 0
        self._sheets: list[tuple[str, list[str]]] = []
        self._in_sheet = False
        self._styles: dict[str, str] = {}
        self._styles_size = 0

    def fragment(self) -> str:
        return "".join(self._root.out).strip(_BLANK)

    def sheet(self) -> str:
        """All style sheets as one ``<style>`` element, or an empty text."""
        sources = [(media, "".join(parts)) for media, parts in self._sheets]
        if sum(len(source) for _media, source in sources) > SHEETS_LARGEST:
            return ""
        rules = "\n".join(filter(None, (filter_sheet(css, media) for media, css in sources)))
        return f"<style>{rules}</style>" if rules else ""

    # What the parser calls.

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._tags += 1
        if self._depth > DEEPEST or self._tags > TAGS_MOST:
            raise TooComplex("deep" if self._depth > DEEPEST else "large")
        if self._dropping or tag in DROPPED:
            self._dropping += 1
            if self._dropping == 1 and tag == "style":
                self._in_sheet = True
                self._sheets.append((attributes.get("media", ""), []))
            return
        self._open.append(self._begin(tag.removeprefix("x-"), attributes))

    def end(self, _tag: str) -> None:
        self._depth -= 1
        if self._dropping:
            self._dropping -= 1
            self._in_sheet = False
            return
        element, ends = self._open.pop()
        if ends and element.name:
            self._end(element)

    def data(self, text: str) -> None:
        if self._dropping:
            if self._in_sheet:
                self._sheets[-1][1].append(text)
            return
        element = self._open[-1][0].settled()
        if element.name in _TABLE_PARTS:
            if not text.strip(_BLANK):
                return
            element = _home(element)
        text = safe_text(text)
        if element.name == "pre" and len(element.out) == element.at + 2:
            text = text.lstrip("\n")  # a parser skips the first one: each would lose another
        if text:
            element.out.append(escape(text, quote=False))

    def close(self) -> None:
        """lxml asks for it; the results are `fragment` and `sheet`."""

    # Elements.

    def _begin(self, name: str, attributes: dict[str, str]) -> tuple[_Element, bool]:
        outer = self._open[-1][0].settled()
        if name == "body":
            name, attributes = "div", _body_style(attributes)
            if not attributes:
                return outer, False
        if name not in TAGS:
            return outer, False
        written = self._attributes(name, attributes)
        if name == "a" and "href" not in written:
            name = "span"
        rest = "".join(f' {key}="{escape(value)}"' for key, value in written.items()) + ">"
        allowed = _TABLE_PARTS.get(outer.name)
        if allowed is None and name in IN_TABLES:
            if outer.stray is None or name not in _TABLE_PARTS.get(outer.stray[1].name, ()):
                return outer, False
            return self._write(self._back_to_table(outer, *outer.stray), name, rest)
        if allowed is None or name in allowed:
            return self._write(self._make_room(outer, name), name, rest)
        element, ends = self._write(self._make_room(_home(outer), name), name, rest)
        if ends:
            element.stray = (element, outer)
        return element, ends

    def _make_room(self, outer: _Element, name: str) -> _Element:
        """Ends what cannot stay open around an element of this name; the element now around it."""
        if name == "a" and outer.link is not None and outer.link.name:
            outer = self._end_through(outer, outer.link)
        if name in _ENDS_ITEM and outer.item is not None and outer.item.name in _ENDS_ITEM[name]:
            outer = self._end_through(outer, outer.item)
        if name in _HEADINGS and outer.name in _HEADINGS:
            outer = self._end_through(outer, outer)
        paragraph = outer.paragraph
        if name in BLOCKS and paragraph is not None and paragraph.name == "p":
            # A browser would end it here and open again all that stood between the two.
            paragraph.name = "div"
            paragraph.out[paragraph.at] = "<div"
        return outer

    def _back_to_table(self, inner: _Element, stray: _Element, part: _Element) -> _Element:
        """``<table><font><tr>``: the row belongs to the table all the same."""
        self._end_through(inner, stray)
        stray.home = part
        return part

    def _write(self, outer: _Element, name: str, rest: str) -> tuple[_Element, bool]:
        out = outer.out
        if name in VOID:
            out += (f"<{name}", rest)
            return outer, False
        if name == "table":
            out = []  # added when it ends: what does not belong into it comes before
        element = _Element(name, out, len(out), outer)
        out += (f"<{name}", rest)
        if name == "table":
            element.home = outer
        elif name in _TABLE_PARTS:
            element.home = outer.home
        if name not in _CELLS:
            element.paragraph, element.link = outer.paragraph, outer.link
            element.stray = outer.stray
        if name not in _HIDES_ITEMS:
            element.item = outer.item
        if name == "p":
            element.paragraph = element
        elif name == "a":
            element.link = element
        elif name in _ENDS_ITEM:
            element.item = element
        return element, True

    def _end(self, element: _Element) -> None:
        element.out.append(f"</{element.name}>")
        if element.name == "table" and element.outer is not None:
            element.outer.settled().out.append("".join(element.out))
        element.name, element.home = "", element.outer

    def _end_through(self, element: _Element, last: _Element) -> _Element:
        """Ends an element and those around it up to ``last``; the one around that."""
        while True:
            self._end(element)
            if element is last:
                return element.settled()
            element = element.settled()

    # Attributes.

    def _attributes(self, name: str, attributes: dict[str, str]) -> dict[str, str]:
        allowed = ATTRIBUTES[name]
        kept = {}
        for key, value in attributes.items():
            if key in allowed:
                value = _RENAMED_BACK.sub(r"<\1\2", value) if "x-" in value else value
                if (safe := self._value(key, value)) is not None:
                    kept[key] = safe
        return kept

    def _value(self, key: str, value: str) -> str | None:
        if key == "style":
            return self._style(value) or None
        if key == "href":
            return link_address(value)
        return self._picture(value) if key == "src" else plain_value(key, value)

    def _style(self, css: str) -> str:
        if css not in self._styles:
            self._styles_size += len(css)
            self._styles[css] = filter_style(css) if self._styles_size <= STYLES_LARGEST else ""
        return self._styles[css]

    def _picture(self, address: str) -> str | None:
        """The address a picture may be loaded from; no ``data:``, which the frame refuses."""
        if len(address) > ADDRESS_LONGEST:
            return None
        address = squeezed(address)
        if found := _CID.fullmatch(address):
            return self._cid_address(unquote(found[1]))
        if is_own_path(address):
            return address if self._cid_address(address) == address else None
        remote = web_address(address)
        if remote is None or self._remote_pictures:
            return remote and f"https://{remote.partition('://')[2]}"
        self.blocked_pictures += 1
        return None


def _home(element: _Element) -> _Element:
    return (element.home or element).settled()


def _body_style(attributes: dict[str, str]) -> dict[str, str]:
    """The colours of ``<body>``, which a fragment has no other place for."""
    old = {"background-color": attributes.get("bgcolor"), "color": attributes.get("text")}
    style = ";".join(f"{name}:{value}" for name, value in old.items() if value)
    css = filter_style(f"{style};{attributes.get('style', '')}")
    return {"style": css} if css else {}
