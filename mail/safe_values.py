"""What a message's HTML may hold: elements, attributes, and the values of attributes.

Tables and pure functions; `mail.safe_fragment` applies them, and nh3 the tables once more.
"""

import re

ADDRESS_LONGEST = 8_192
"""Characters of a link or a picture's address; longer ones are dropped."""

_TEXT_LONGEST = 2_000
_CLASSES_MOST = 20

_BLOCKS = """address article aside blockquote center dd div dl dt figcaption figure footer h1 h2 h3
    h4 h5 h6 header hr li main nav ol p pre section table ul"""
_PHRASES = """a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd mark q s samp small
    span strike strong sub sup tt u var"""
_IN_TABLES = "caption col colgroup tbody td tfoot th thead tr"
_DROPPED = """iframe math noembed noframes script select style svg template textarea title xml"""

BLOCKS = frozenset(_BLOCKS.split())
IN_TABLES = frozenset(_IN_TABLES.split())
VOID = frozenset({"br", "col", "hr", "img", "wbr"})

# No form controls, no element that loads, embeds or names anything, no SVG and no MathML.
TAGS = BLOCKS | IN_TABLES | VOID | frozenset(_PHRASES.split())

# Dropped with all they hold: code, what a browser reads by other rules, what nobody is to read.
# Every other element that is not allowed gives way to its content.
DROPPED = frozenset(_DROPPED.split())

# No id and no name, which could pass for a property of the document; no data-*, hx-*, on*.
_EVERYWHERE = frozenset({"align", "class", "dir", "lang", "role", "style", "title"})
_COLUMN = frozenset({"span", "width"})
_ROW = frozenset({"bgcolor", "height", "valign"})
_CELL = _ROW | {"abbr", "colspan", "nowrap", "rowspan", "scope", "width"}
_OWN = {
    "a": frozenset({"href"}),
    "br": frozenset({"clear"}),
    "col": _COLUMN,
    "colgroup": _COLUMN,
    "font": frozenset({"color", "face", "size"}),
    "hr": frozenset({"color", "noshade", "size", "width"}),
    "img": frozenset({"alt", "border", "height", "hspace", "src", "vspace", "width"}),
    "li": frozenset({"type", "value"}),
    "ol": frozenset({"start", "type"}),
    "table": frozenset({"bgcolor", "border", "cellpadding", "cellspacing", "height", "width"}),
    "tbody": _ROW,
    "td": _CELL,
    "th": _CELL,
    "tr": _ROW,
    "ul": frozenset({"type"}),
}
ATTRIBUTES = {tag: _EVERYWHERE | _OWN.get(tag, frozenset()) for tag in TAGS}

_MEASURES = """border cellpadding cellspacing colspan height hspace rowspan size span start value
    vspace width"""
_MEASURED = frozenset(_MEASURES.split())
_TEXTS = frozenset({"abbr", "alt", "title"})
_MEASURE = re.compile(r"[+-]?[0-9]{1,4}(?:\.[0-9]{1,4})?(?:px|%|\*)?", re.IGNORECASE)
_PLAIN = re.compile(r"[\w #%.,'+-]{0,60}")
_CLASS = re.compile(r"-?[A-Za-z_][A-Za-z0-9_-]{0,63}")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff]")
_EDGE = "".join(map(chr, range(0x21)))
_WEB = re.compile(r"(?:(https?):[/\\]*|[/\\]{2,})([^/\\?#].*)", re.IGNORECASE | re.DOTALL)


def plain_value(key: str, value: str) -> str | None:
    """The value of an attribute that is neither a style nor an address; None drops it."""
    if key in _TEXTS:
        return safe_text(value)[:_TEXT_LONGEST]
    if key == "class":
        classes = [each for each in value.split() if _CLASS.fullmatch(each)]
        return " ".join(classes[:_CLASSES_MOST]) or None
    if key == "role":  # a screen reader tells tables that lay out from tables of data
        return value if value in {"none", "presentation"} else None
    pattern = _MEASURE if key in _MEASURED else _PLAIN
    return value if pattern.fullmatch(value) else None


def safe_text(text: str) -> str:
    """The text without what a later parser would change: carriage returns, other controls."""
    return _CONTROL.sub("", text.replace("\r", "\n")) if _CONTROL.search(text) else text


def link_address(address: str) -> str | None:
    """Where a link may lead: the web or a mailbox. None for all else, and for paths."""
    if len(address) > ADDRESS_LONGEST:
        return None
    address = squeezed(address)
    start = address[:7].lower()
    if start == "mailto:":
        return address
    return web_address(f"http://{address}" if start.startswith("www.") else address)


def web_address(address: str) -> str | None:
    """A squeezed address when it is ``http:`` or ``https:`` with a host, as browsers read it.

    Without its slashes such an address would be relative to our own page (WHATWG URL, 4.4), so
    they are always written; without a scheme, ``//host``, it is one of the web.
    """
    found = _WEB.fullmatch(address)
    return f"{(found[1] or 'https').lower()}://{found[2]}" if found else None


def squeezed(address: str) -> str:
    """Without what browsers skip in an address (WHATWG URL, 4.4), and spaces encoded."""
    address = address.strip(_EDGE).replace("\t", "").replace("\n", "")
    return _CONTROL.sub("", address).replace(" ", "%20")


def is_own_path(address: str) -> bool:
    """Whether an address stays on the host of the page."""
    return address.startswith("/") and not address.startswith(("//", "/\\"))
