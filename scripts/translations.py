"""Collects the sentences to translate, and checks that each one is (``--check``)."""

import subprocess
import sys
import tempfile
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("ru",)
KEYWORDS = ("_", "gettext", "lazy_gettext", "ngettext:1,2", "pgettext:1c,2")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "messages.pot"
        _extract(template)
        if "--check" in sys.argv[1:]:
            faults = [fault for language in LANGUAGES for fault in check(template, language)]
            print("\n".join(faults) or "Every sentence is translated.")
            return 1 if faults else 0
        for language in LANGUAGES:
            _update(template, language)
    return 0


def check(template: Path, language: str) -> list[str]:
    """What is missing, empty, fuzzy, out of use, or has other placeholders than the original."""
    wanted, present = _read(template), _read(_path(language))
    # A catalogue that is fuzzy as a whole is skipped when it is compiled, without an error.
    faults = [f"{language}: the catalogue is marked as fuzzy"] if present.fuzzy else []
    for message in wanted:
        if message.id:
            faults += [f"{language}: {fault}" for fault in _faults(message, present)]
    for message in present:
        if message.id and wanted.get(message.id, message.context) is None:
            faults.append(f"{language}: no longer used: {_key(message)!r}")
    return faults


def _faults(message: Message, present: Catalog) -> list[str]:
    translated = present.get(message.id, message.context)
    if translated is None:
        return [f"missing: {_key(message)!r}"]
    if translated.fuzzy:
        return [f"fuzzy: {_key(message)!r}"]
    strings = translated.string if isinstance(translated.string, tuple) else (translated.string,)
    if not all(strings):
        return [f"empty: {_key(message)!r}"]
    return [f"{_key(message)!r}: {error}" for error in translated.check(present)]


def _key(message: Message) -> str:
    return message.id[0] if isinstance(message.id, (tuple, list)) else str(message.id)


def _extract(template: Path) -> None:
    keywords = [part for word in KEYWORDS for part in ("-k", word)]
    _babel("extract", "-F", "babel.cfg", "--no-location", *keywords, "-o", str(template), ".")


def _update(template: Path, language: str) -> None:
    path = _path(language)
    if not path.exists():
        _babel("init", "-i", str(template), "-d", "translations", "-l", language)
        return
    _babel(
        "update", "-i", str(template), "-d", "translations", "-l", language,
        "--ignore-obsolete", "--no-fuzzy-matching", "--width", "100",
    )  # fmt: skip
    catalog = _read(path)
    catalog.fuzzy = False
    with path.open("wb") as file:
        write_po(file, catalog, width=100, ignore_obsolete=True)


def _babel(*arguments: str) -> None:
    subprocess.run(  # noqa: S603 - a command of our own environment
        [sys.executable, "-m", "babel.messages.frontend", "-q", *arguments], cwd=ROOT, check=True
    )


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale="ru")


def _path(language: str) -> Path:
    return ROOT / "translations" / language / "LC_MESSAGES" / "messages.po"


if __name__ == "__main__":
    sys.exit(main())
