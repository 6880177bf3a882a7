"""The shape of the house."""

import re
import subprocess
import sys
from pathlib import Path

from scripts.templates import faults

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("blueprints", "commands", "demo", "domain", "jobs", "mail", "models", "web")


def test_imports_go_in_the_directions_of_the_house() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_templates_hold_no_inline_script_handler_or_style() -> None:
    assert faults(ROOT / "templates") == []


def test_the_template_check_finds_what_it_looks_for(tmp_path: Path) -> None:
    for text in (
        "<script>alert(1)</script>",
        '<a onclick="x()">',
        '<p style="color: red">',
        '<b hx-on:click="x()">',
        '<a href="javascript:x()">',
        "{{ text|safe }}",
        '<img src="https://elsewhere.example/x.png">',
    ):
        (tmp_path / "page.html").write_text(text)
        assert faults(tmp_path), text


def test_no_name_of_ours_hides_a_standard_module() -> None:
    ours = {path.stem for path in ROOT.glob("*.py")} | set(PACKAGES) | {"tests", "scripts"}
    assert not ours & set(sys.stdlib_module_names)


def test_only_views_runners_and_commands_commit() -> None:
    for package in ("domain", "models", "web", "mail"):
        for path in (ROOT / package).rglob("*.py"):
            assert ".commit(" not in path.read_text(encoding="utf-8"), path


def test_verbs_are_given_the_time() -> None:
    for path in (ROOT / "domain").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "datetime.now(" not in text, path
        assert "time.time(" not in text, path


def test_the_application_factory_stays_small() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) <= 80


def test_no_expression_has_a_possessive_group() -> None:
    """Python before 3.11.5, and so Debian 12's, matches them wrongly (cpython issue 106052)."""
    possessive_group = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>")
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            lines = path.read_text(encoding="utf-8").splitlines()
            assert [line for line in lines if possessive_group.search(line)] == [], path
