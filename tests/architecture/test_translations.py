"""Nothing on screen is left in one language."""

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from scripts import translations


def test_every_sentence_is_translated_and_none_is_fuzzy(tmp_path: Path) -> None:
    template = tmp_path / "messages.pot"
    translations._extract(template)
    assert translations.check(template, "ru") == []


def test_the_check_notices_a_missing_and_a_fuzzy_sentence(tmp_path: Path) -> None:
    template = tmp_path / "messages.pot"
    catalog = Catalog()
    catalog.add("A sentence that nobody has translated")
    with template.open("wb") as file:
        write_po(file, catalog)
    assert any("missing" in fault for fault in translations.check(template, "ru"))
    fuzzy = Catalog(locale="ru")
    fuzzy.add("x", "икс", flags=["fuzzy"])
    assert translations._faults(fuzzy["x"], fuzzy) == ["fuzzy: 'x'"]
