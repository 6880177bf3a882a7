"""CSS of a message, reduced to what cannot load, run or leave its place.

Everything is an allow-list: properties, functions, units, selectors, media queries. What is kept
is written anew from its tokens, so that no escape, comment or odd spelling of the source gets
through, and the result holds none of ``<``, ``\\``, ``@import`` and ``url(`` by construction.
The same text filtered twice is filtered once: ``f(f(x)) == f(x)``.

Grammar: CSS Syntax Module Level 3, as tinycss2 reads it. No function here raises because of what
a message says.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import tinycss2

STYLE_LONGEST = 4_000
"""Characters of one ``style`` attribute; a longer one is dropped."""

SHEETS_LARGEST = 64_000
"""Characters of all ``<style>`` elements of a message together. Gmail stops at 16,000."""

_CACHED_LONGEST = 500
_SELECTORS_MOST = 50
_SELECTOR_LONGEST = 200
_FUNCTIONS_DEEPEST = 3
# A message may not make its frame kilometres high.
_NUMBER_LARGEST = 10_000

_SIDES = ("top", "right", "bottom", "left")
_CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")

# No position, z-index, transform, animation, content, cursor, filter, mask, zoom, behavior or
# -moz-binding, nothing with a vendor prefix, and no custom property: var() would bring it back.
_PROPERTIES = """
    background background-clip background-color background-image background-origin
    background-position background-repeat background-size border border-collapse border-color
    border-radius border-spacing border-style border-width box-shadow box-sizing caption-side
    clear color direction display empty-cells float font font-family font-size font-style
    font-variant font-weight height letter-spacing line-height list-style list-style-position
    list-style-type margin max-height max-width min-height min-width opacity outline overflow
    overflow-wrap overflow-x overflow-y padding table-layout text-align text-decoration
    text-decoration-color text-decoration-line text-decoration-style text-indent text-overflow
    text-shadow text-transform unicode-bidi vertical-align visibility white-space width
    word-break word-spacing word-wrap
    align-content align-items align-self column-gap flex flex-basis flex-direction flex-flow
    flex-grow flex-shrink flex-wrap gap justify-content order row-gap
"""
PROPERTIES = frozenset(
    _PROPERTIES.split()
    + [f"{box}-{side}" for box in ("border", "margin", "padding") for side in _SIDES]
    + [f"border-{side}-{part}" for side in _SIDES for part in ("color", "style", "width")]
    + [f"border-{corner}-radius" for corner in _CORNERS]
)

# A share of the frame's height, which follows its content: it would grow for ever.
_HEIGHTS = frozenset({"height", "max-height", "min-height", "flex-basis", "flex"})
_BACKGROUNDS = frozenset({"background", "background-image"})
_FUNCTIONS = frozenset(
    {"rgb", "rgba", "hsl", "hsla", "calc", "min", "max", "clamp"}
    | {"linear-gradient", "radial-gradient"}
)
# Not vh and its kin: the page makes the frame as high as its content, which would grow with it.
_UNITS = frozenset(
    {"px", "pt", "pc", "em", "rem", "ex", "ch", "cm", "mm", "in", "vw", "deg", "turn"}
)
_LITERALS = frozenset(",/+-*")

_IDENTIFIER = re.compile(r"-?[^\W\d][\w-]{0,60}")
_COLOUR = re.compile(r"[0-9a-fA-F]{3,8}")
_FONT_NAME = re.compile(r"[\w .,+-]{1,60}")

_CLASS = r"\.-?[A-Za-z_][A-Za-z0-9_-]*"
_PSEUDO = r":(?:hover|active|focus|link|visited|root|(?:first|last|only)-(?:child|of-type))"
_COMPOUND = rf"(?:(?:\*|[A-Za-z][A-Za-z0-9]*)(?:{_CLASS})*|(?:{_CLASS})+)(?:{_PSEUDO})*|{_PSEUDO}"
# Eight steps are plenty, and keep a browser from matching for seconds.
_SELECTOR = re.compile(rf"(?:{_COMPOUND})(?:(?: ?[>+~] ?| )(?:{_COMPOUND})){{0,7}}")
# prefers-color-scheme is left out: messages are shown on white.
_FEATURE = (
    r"\( ?(?:(?:min-|max-)?(?:device-)?width ?: ?[0-9]{1,5}(?:\.[0-9]{1,4})?(?:px|em|rem)"
    r"|orientation ?: ?(?:portrait|landscape)) ?\)"
)
_QUERY = re.compile(
    rf"(?:(?:only |not )?(?:all|screen|print)(?: and {_FEATURE}){{0,4}}"
    rf"|{_FEATURE}(?: and {_FEATURE}){{0,3}})"
)
_SPACE = re.compile(r"[ \t\n\f\r]+")


def filter_style(css: str) -> str:
    """What may stay of a ``style`` attribute: ``color:red;margin:0``, or an empty text."""
    if len(css) > STYLE_LONGEST:
        return ""
    return _filter_cached(css) if len(css) <= _CACHED_LONGEST else _filter_style(css)


def _filter_style(css: str) -> str:
    try:
        return _declarations(tinycss2.parse_blocks_contents(css))
    except ValueError:  # Python reads no number of more than 4,300 digits
        return ""


# Newsletters repeat a few styles hundreds of times, and the same ones every week.
_filter_cached = lru_cache(maxsize=4096)(_filter_style)


def filter_sheet(css: str, media: str = "") -> str:
    """What may stay of a ``<style>`` element: rules, one a line, or an empty text.

    ``media`` is the element's attribute. ``@media`` stays when its query is about width or
    orientation, with its rules filtered alike; every other at-rule goes.
    """
    if len(css) > SHEETS_LARGEST:
        return ""
    try:
        rules = _rules(tinycss2.parse_stylesheet(css, skip_comments=True), nested=False)
    except ValueError:  # see above
        return ""
    if rules and media.strip():
        rules = _media(media, rules) if "@" not in rules else ""
    return rules


def _rules(nodes: Iterable[Any], *, nested: bool) -> str:
    kept = []
    for node in nodes:
        if node.type == "qualified-rule":
            selectors = _selectors(node.prelude)
            body = _declarations(tinycss2.parse_blocks_contents(node.content)) if selectors else ""
            if body:
                kept.append(f"{selectors}{{{body}}}")
        elif node.type == "at-rule" and node.lower_at_keyword == "media" and not nested:
            if node.content is None or not _flat(node.prelude, blocks=True):
                continue
            inner = tinycss2.parse_rule_list(node.content, skip_comments=True)
            if rule := _media(_plain(node.prelude), _rules(inner, nested=True)):
                kept.append(rule)
    return "\n".join(kept)


def _media(query: str, rules: str) -> str:
    if not rules:
        return ""
    parts = [_SPACE.sub(" ", part).strip() for part in query.lower().split(",")]
    kept = [part for part in parts if len(part) <= _SELECTOR_LONGEST and _QUERY.fullmatch(part)]
    return f"@media {','.join(kept)}{{{rules}}}" if kept else ""


def _selectors(prelude: list[Any]) -> str:
    """The selectors of a list that are simple enough; one odd selector does not spoil the rest."""
    if not _flat(prelude, blocks=False):
        return ""
    parts = [_SPACE.sub(" ", part).strip() for part in _plain(prelude).split(",")]
    kept = [part for part in parts if len(part) <= _SELECTOR_LONGEST and _SELECTOR.fullmatch(part)]
    return ",".join(kept[:_SELECTORS_MOST])


def _flat(tokens: Iterable[Any], *, blocks: bool) -> bool:
    """Whether nothing is nested, but for round brackets one deep where ``blocks`` says so.

    tinycss2 writes nested tokens by recursion, which a message could make too deep.
    """
    for token in tokens:
        inner = getattr(token, "content", getattr(token, "arguments", None))
        if inner is None:
            continue
        if token.type != "() block" or not blocks or not _flat(inner, blocks=False):
            return False
    return True


def _plain(tokens: Iterable[Any]) -> str:
    parts = (" " if token.type == "comment" else token.serialize() for token in tokens)
    return "".join(parts)


def _declarations(nodes: Iterable[Any]) -> str:
    kept = []
    for node in nodes:
        if node.type != "declaration" or node.lower_name not in PROPERTIES:
            continue
        value = _value(node.value, node.lower_name in _BACKGROUNDS)
        if "%" in value and node.lower_name in _HEIGHTS:
            continue
        if value:
            kept.append(f"{node.lower_name}:{value}{'!important' if node.important else ''}")
    return ";".join(kept)


def _value(tokens: Iterable[Any], background: bool) -> str:
    """The value written anew, empty when a token of it is not allowed.

    A picture is taken out of a ``background``, so that its colour stays.
    """
    written = []
    for token in tokens:
        if background and _is_address(token):
            continue
        text = _token(token, 0)
        if text is None:
            return ""
        written.append(text)
    return _SPACE.sub(" ", "".join(written)).strip()


def _is_address(token: Any) -> bool:
    return bool(token.type == "url" or (token.type == "function" and token.lower_name == "url"))


def _token(token: Any, depth: int) -> str | None:
    """One token as text, None when it is not allowed."""
    kind = token.type
    if kind in {"whitespace", "comment"}:
        return " "
    if kind in {"number", "percentage", "dimension"}:
        return _number(token)
    if kind == "ident":
        return str(token.value) if _IDENTIFIER.fullmatch(token.value) else None
    if kind == "hash":
        return f"#{token.value}" if _COLOUR.fullmatch(token.value) else None
    if kind == "literal":
        return str(token.value) if token.value in _LITERALS else None
    if kind == "string":
        return f"'{token.value}'" if _FONT_NAME.fullmatch(token.value) else None
    return _nested(token, depth)


def _nested(token: Any, depth: int) -> str | None:
    if token.type == "function" and token.lower_name in _FUNCTIONS:
        opening, inner = f"{token.lower_name}(", token.arguments
    elif token.type == "() block":
        opening, inner = "(", token.content
    else:
        return None
    if depth >= _FUNCTIONS_DEEPEST:
        return None
    written = [_token(each, depth + 1) for each in inner]
    return f"{opening}{''.join(part or '' for part in written)})" if None not in written else None


def _number(token: Any) -> str | None:
    if abs(token.value) > _NUMBER_LARGEST or len(token.representation) > 20:
        return None
    if token.type == "number":
        return str(token.representation)
    if token.type == "percentage":
        return f"{token.representation}%"
    return f"{token.representation}{token.lower_unit}" if token.lower_unit in _UNITS else None
