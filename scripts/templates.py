"""Checks every template: it parses, and holds no inline script, handler or style."""

import re
import sys
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError
from jinja2.ext import InternationalizationExtension

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = (
    (re.compile(r"<script(?![^>]*\ssrc=)", re.I), "an inline script"),
    (re.compile(r"<style\b", re.I), "an inline style sheet"),
    (re.compile(r"\son[a-z]+\s*=", re.I), "an inline event handler"),
    (re.compile(r"\sstyle\s*=", re.I), "a style attribute"),
    (re.compile(r"\shx-on\b|\shx-on:", re.I), "hx-on, which needs eval"),
    (re.compile(r"javascript:|\bjs:", re.I), "an address or value that runs"),
    (re.compile(r"\|\s*safe\b|autoescape\s+false", re.I), "text that is not escaped"),
    (re.compile(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", re.I), "an address elsewhere"),
)


def faults(folder: Path) -> list[str]:
    environment = Environment(autoescape=True, extensions=[InternationalizationExtension])
    found = []
    for path in sorted(folder.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(folder)
        try:
            environment.parse(text)
        except TemplateSyntaxError as error:
            found.append(f"{name}:{error.lineno}: {error.message}")
        for pattern, what in FORBIDDEN:
            found += [
                f"{name}:{text[: hit.start()].count(chr(10)) + 1}: {what}"
                for hit in pattern.finditer(text)
            ]
    return found


def main() -> int:
    found = faults(ROOT / "templates")
    print("\n".join(found) or "The templates are clean.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
