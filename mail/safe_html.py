"""HTML of a message made safe to show, and plain text made HTML.

Two sieves share tables but no parser. libxml2 reads the source as a stream of events;
`mail.safe_fragment` writes from them a fragment of what is allowed, well nested; nh3 reads that
fragment as a browser would and writes the result. All of it is repeated until nothing changes,
so that ``sanitise(sanitise(x).html).html == sanitise(x).html``.

The source itself never reaches nh3, for html5ever needs quadratic time for what a prepass by
libxml2 does not see: nesting behind ``<svg><style>``, which libxml2 takes for text; thousands of
attributes in one tag; unclosed ``<font>`` opened again in each paragraph. libxml2 is read by
events, for in building a tree it is quadratic in the attributes of a tag itself.

The result is shown as a `document` of its own, in a frame with `FRAME_SANDBOX`, sent with
`FRAME_CSP` and ``Referrer-Policy: no-referrer``. Nothing may be changed in it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, cast

import nh3
from linkify_it import LinkifyIt
from linkify_it.tlds import TLDS
from lxml import etree

from mail.safe_fragment import TAGS_MOST, TooComplex, Writer, prepared
from mail.safe_values import ATTRIBUTES, DROPPED, TAGS, is_own_path, link_address

__all__ = [
    "FRAME_CSP",
    "FRAME_CSP_REMOTE_PICTURES",
    "FRAME_SANDBOX",
    "VERSION",
    "SafeHtml",
    "TooComplex",
    "document",
    "sanitise",
    "text_to_html",
]

VERSION = 1
"""Kept beside every stored result: to be raised when a source would give another result."""

HTML_LARGEST = 5_000_000
"""Characters of a source. It is ``data:`` pictures that make one so large."""

TEXT_LARGEST = 500_000
"""Characters of a plain text that are shown; an ellipsis stands for the rest."""

REFERENCES_MOST = 50_000
"""Character references (``&amp;``) of what is shown: the second sieve needs their square."""

FRAME_SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
"""The ``sandbox`` attribute of the frame; the header says the same."""

_CSP = (
    "default-src 'none'; img-src {}; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'; sandbox " + FRAME_SANDBOX
)
FRAME_CSP = _CSP.format("'self'")
FRAME_CSP_REMOTE_PICTURES = _CSP.format("'self' https:")
"""For a message whose remote pictures the employee asked for."""

_REL = "noopener noreferrer nofollow"
_PASSES_MOST = 5
_QUOTES_DEEPEST = 20
_LINKED_LINE_LONGEST = 10_000
_LINKED_LARGEST = 200_000  # characters of all lines in which links are looked for
_MARKS = re.compile(r"(?:> ?)+")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3}")

_CLEANER = nh3.Cleaner(
    tags=TAGS,
    clean_content_tags=DROPPED,
    attributes=ATTRIBUTES,
    url_schemes={"http", "https", "mailto"},
    url_relative=lambda path: path if is_own_path(path) else None,
    link_rel=_REL,
    set_tag_attribute_values={"a": {"target": "_blank"}},
)
_LINKIFY = LinkifyIt().tlds(TLDS)

# Messages are made for white paper. Only plain text, which brings no colours, follows the theme.
# A picture keeps its height and is fitted in: `height: auto` would blow up the one-pixel pictures
# that hold layouts apart.
_STYLE = """
:root{color-scheme:light}
body{margin:0;padding:1px;background:#fff;color:#1f2328;overflow-wrap:break-word;
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Arial,sans-serif}
img{max-width:100%;object-fit:contain}
pre{white-space:pre-wrap}
a{color:#0b57d0}
blockquote{margin:4px 0 4px 1px;padding-left:12px;border-left:3px solid #d0d7de;color:#57606a}
.plain{color-scheme:light dark}
.plain.light{color-scheme:light}
.plain.dark{color-scheme:dark}
.plain body{max-width:75ch;white-space:pre-wrap;overflow-wrap:anywhere;
background:light-dark(#fff,#171b24);color:light-dark(#1d2330,#e6e9f0)}
.plain a{color:light-dark(#1f4bbd,#9bb8ff)}
.plain blockquote{border-color:light-dark(#dfe3ea,#4a5468);color:light-dark(#5a6376,#a3acbf)}
@media print{body{padding:0}.plain{color-scheme:light}}
"""


@dataclass(frozen=True, slots=True)
class SafeHtml:
    """A fragment that may be shown.

    ``blocked_pictures`` counts the remote pictures that asking for them would show;
    ``inline_cids`` are the Content-IDs of the message's own pictures that it shows, in order.
    """

    html: str
    blocked_pictures: int
    inline_cids: tuple[str, ...]


def sanitise(
    html: str, *, remote_pictures: bool = False, cid_address: Callable[[str], str | None]
) -> SafeHtml:
    """The HTML of a message as a safe fragment. Raises TooComplex, and what ``cid_address`` raises.

    ``cid_address`` turns a Content-ID (RFC 2392, without its brackets) into a path on our own
    host, or None. A path in the source stays only if ``cid_address`` turns it into itself, for a
    message must not choose which of our addresses a page asks for. With ``remote_pictures`` the
    pictures of other hosts stay, over ``https:`` whatever the source says.
    """
    if len(html) > HTML_LARGEST or html.count("<") > 4 * TAGS_MOST:
        raise TooComplex("large")
    inline: dict[str, str] = {}
    given: set[str] = set()

    def address(cid: str) -> str | None:
        if cid in given:  # a later pass reads what an earlier one wrote
            return cid
        path = cid_address(cid)
        if path is None or not is_own_path(path):
            return None
        if path != cid:
            inline[cid] = path
        given.add(path)
        return path

    first = Writer(remote_pictures, address)
    safe = _pass(html, first)
    for _ in range(_PASSES_MOST):
        again = _pass(safe, Writer(remote_pictures, address))
        if again == safe:
            return SafeHtml(safe, first.blocked_pictures, tuple(inline))
        safe = again
    raise TooComplex("unstable")


def _pass(html: str, writer: Writer) -> str:
    # The encoding is named, or a declaration in the source would choose it.
    target = cast(Any, writer)  # the stubs want a target that takes bytes as well
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=False, no_network=True, target=target)
    etree.fromstring(prepared(html), parser)
    fragment = writer.fragment()
    if fragment.count("&") > REFERENCES_MOST:
        raise TooComplex("large")
    return writer.sheet() + _CLEANER.clean(fragment)


def text_to_html(text: str) -> str:
    """Plain text as a safe fragment: links, line breaks, quotes as ``<blockquote class="quote">``.

    Spaces and tabs stay as they are: `document` shows the fragment with ``plain``. Links are
    ``http:``, ``https:``, ``mailto:``, names that begin with ``www.`` and mail addresses. Beyond
    `TEXT_LARGEST` an ellipsis stands for the rest, as it does beyond `REFERENCES_MOST`.
    """
    shown = text if len(text) <= TEXT_LARGEST else f"{text[:TEXT_LARGEST]}\n…"
    written = []
    depth = looked_at = references = 0
    for line in shown.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n"):
        marks = _MARKS.match(line)
        deeper = min(marks[0].count(">"), _QUOTES_DEEPEST) if marks else 0
        written.append('<blockquote class="quote">' * (deeper - depth))
        written.append("</blockquote>" * (depth - deeper))
        looked_at += len(line)
        body = line[marks.end() :] if marks else line
        shown_line = _line(body) if looked_at <= _LINKED_LARGEST else escape(body)
        references += shown_line.count("&")
        if references > REFERENCES_MOST:
            written.append("…")
            break
        written += (shown_line, "<br>")
        depth = deeper
    # Built safe, and read once more as a browser would, like all that is shown.
    return _CLEANER.clean("".join(written))


def _line(line: str) -> str:
    """A line, escaped, with its links."""
    if len(line) > _LINKED_LINE_LONGEST or not ("://" in line or "@" in line or "www." in line):
        return escape(line)
    parts: list[str] = []
    done = 0
    for match in _LINKIFY.match(line) or ():
        # Without a scheme, README.md and main.py would be links to Moldova and Paraguay.
        wanted = match.schema or match.raw.lower().startswith("www.")
        if address := link_address(match.url) if wanted else None:
            link = f'<a href="{escape(address)}">{escape(match.raw)}</a>'
            parts += (escape(line[done : match.index]), link)
            done = match.last_index
    return "".join(parts) + escape(line[done:])


def document(
    body: str,
    language: str,
    *,
    plain: bool = False,
    theme: Literal["auto", "light", "dark"] = "auto",
) -> str:
    """The whole page of a frame around a safe fragment.

    ``language`` is the message's as far as known (BCP 47; anything else leaves it out);
    ``plain`` says that the fragment comes from `text_to_html`. Such a page follows ``theme``,
    which is the reader's choice; ``auto`` is what the system says.
    """
    lang = f' lang="{language}"' if _LANGUAGE.fullmatch(language) else ""
    kind = f' class="plain {theme}"' if plain else ""
    return (
        f'<!doctype html><html{lang}{kind}><head><meta charset="utf-8">'
        f'<meta name="referrer" content="no-referrer"><style>{_STYLE}</style></head>'
        f'<body dir="auto">{body}</body></html>'
    )
