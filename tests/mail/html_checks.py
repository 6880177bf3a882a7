"""What must be true of every sanitised piece of HTML, read from its structure."""

import re
from urllib.parse import urlsplit

from lxml import html as lxml_html

FORBIDDEN = frozenset(
    """script iframe object embed applet base meta link form input button textarea select svg math
    frame frameset audio video source template noscript portal""".split()
)
SCHEMES = frozenset({"http", "https", "mailto"})


def faults(cleaned: str) -> list[str]:
    """Everything in it that could run, ask a server, or reach out of its place."""
    found = []
    tree = lxml_html.fragment_fromstring(cleaned, create_parent="div")
    for element in tree.iter():
        if not isinstance(element.tag, str):
            found.append("a comment or instruction")
            continue
        if element.tag in FORBIDDEN:
            found.append(f"<{element.tag}>")
        for name, value in element.attrib.items():
            found += _attribute_faults(element.tag, str(name), str(value))
        if element.tag == "style" and re.search(r"url\(|@import|expression\(", element.text or ""):
            found.append("a style sheet that reaches out")
    return found


def _attribute_faults(tag: str, name: str, value: str) -> list[str]:
    if name.startswith(("on", "hx-", "data-")) or name in {"srcdoc", "srcset", "formaction", "is"}:
        return [f"{name} on <{tag}>"]
    if name == "style" and re.search(r"url\(|expression\(|@import|position\s*:\s*fixed", value):
        return [f"style {value!r}"]
    if name == "href":
        scheme = urlsplit(value.strip()).scheme.lower()
        return [] if scheme in SCHEMES or value.startswith("#") else [f"href {value!r}"]
    if name in {"src", "background", "poster", "action", "cite"}:
        return [] if value.startswith("/mail/messages/") else [f"{name} {value!r}"]
    return []
