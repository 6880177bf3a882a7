"""The files that come from npm are the ones we pinned, and pages ask for nothing else."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jinja2 import Environment, nodes

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = "scripts/vendor.py"
MANIFEST = "static/vendor/manifest.json"
PACKAGE = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
HTMX = f"static/vendor/htmx.org@{PACKAGE['dependencies']['htmx.org']}/htmx.min.js"

TEMPLATES = sorted(ROOT.glob("templates/**/*.html"))
STYLES = sorted(ROOT.glob("static/**/*.css"))
SCRIPTS = [file for file in sorted(ROOT.glob("static/**/*.js")) if "vendor" not in file.parts]

JINJA = Environment(
    autoescape=True,
    extensions=["jinja2.ext.do", "jinja2.ext.i18n", "jinja2.ext.loopcontrols"],
)
REFERENCE = re.compile(r"#icon-([a-z0-9-]+)")
# An attribute that loads or opens something, with an address that names a host.
FOREIGN_ATTRIBUTE = re.compile(
    r"""(?<![\w-])(?:src|srcset|href|action|formaction|poster|background|data|cite|ping|manifest
    |(?:data-)?hx-[a-z:-]+)\s*=\s*["']?\s*(?:[a-z]+:)?//[\w.]""",
    re.IGNORECASE | re.VERBOSE,
)
FOREIGN_STYLE = re.compile(
    r"""(?:url\(\s*["']?|@import\s+["'])(?:[a-z]+:)?//[\w.]""", re.IGNORECASE
)
FOREIGN_SCRIPT = re.compile(r"""["'`](?:(?:https?|wss?):)?//[\w.]""", re.IGNORECASE)


def check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / SCRIPT, "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "PYTHONUTF8": "1"},  # neither npm nor anything else is found
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the check looks at, to be spoiled."""
    for name in (SCRIPT, "package.json", "static/icons.svg", "static/icons.txt"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for folder in ("static/vendor", "tests/browser/vendor"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def sprite_names() -> set[str]:
    drawn = ElementTree.parse(ROOT / "static/icons.svg").getroot()  # noqa: S314 (a file of ours)
    return {str(each.get("id")).removeprefix("icon-") for each in drawn}


def constants(node: nodes.Node, known: Mapping[str, nodes.Node]) -> Iterator[str]:
    """The names an expression can turn out to be, as far as they are written in the template."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, nodes.Name) and node.name in known:
        yield from constants(known[node.name], {})
    elif isinstance(node, nodes.Dict):
        for pair in node.items:
            yield from constants(pair.value, known)
    else:
        parts: list[nodes.Node | None] = []
        if isinstance(node, nodes.CondExpr):
            parts = [node.expr1, node.expr2]
        elif isinstance(node, nodes.Or):
            parts = [node.left, node.right]
        elif isinstance(node, nodes.Getitem):
            parts = [node.node]
        for part in parts:
            if part is not None:
                yield from constants(part, known)


def called(node: nodes.Call) -> str | None:
    if isinstance(node.node, nodes.Name):
        return node.node.name
    return node.node.attr if isinstance(node.node, nodes.Getattr) else None


def argument(call: nodes.Call, place: int, name: str) -> nodes.Node | None:
    named = {keyword.key: keyword.value for keyword in call.kwargs}
    return call.args[place] if place < len(call.args) else named.get(name)


def takers(trees: Iterable[nodes.Template]) -> dict[str, tuple[int, str]]:
    """The macros that take the name of an icon, and where: icon() and those that hand it on."""
    found = {"icon": (0, "name")}
    for macro in (each for tree in trees for each in tree.find_all(nodes.Macro)):
        parameters = [parameter.name for parameter in macro.args]
        for call in macro.find_all(nodes.Call):
            given = argument(call, *found["icon"]) if called(call) == "icon" else None
            if isinstance(given, nodes.Name) and given.name in parameters:
                found[macro.name] = (parameters.index(given.name), given.name)
    return found


def icons_in(source: str, macros: Mapping[str, tuple[int, str]] | None = None) -> set[str]:
    tree = JINJA.parse(source)
    macros = takers([tree]) if macros is None else macros
    known = {
        each.target.name: each.node
        for each in tree.find_all(nodes.Assign)
        if isinstance(each.target, nodes.Name)
    }
    used = set(REFERENCE.findall(source))
    for call in tree.find_all(nodes.Call):
        if (name := called(call)) in macros and name is not None:
            given = argument(call, *macros[name])
            used |= set(constants(given, known)) if given is not None else set()
    return used


def test_committed_files_match_the_manifest() -> None:
    done = check(ROOT)
    assert done.returncode == 0, done.stderr


def test_copy_of_the_tree_passes(tree: Path) -> None:
    assert check(tree).returncode == 0


def test_changed_file_is_found(tree: Path) -> None:
    with (tree / HTMX).open("a", encoding="utf-8") as file:
        file.write(";")
    done = check(tree)
    assert done.returncode == 1
    assert f"{HTMX} differs" in done.stderr


def test_missing_file_is_found(tree: Path) -> None:
    (tree / HTMX).unlink()
    assert f"{HTMX} is missing" in check(tree).stderr


@pytest.mark.parametrize("folder", ["static/vendor", "tests/browser/vendor"])
def test_extra_file_is_found(tree: Path, folder: str) -> None:
    (tree / folder / "more.js").write_text("1", encoding="utf-8")
    assert f"{folder}/more.js is extra" in check(tree).stderr


def test_missing_manifest_is_found(tree: Path) -> None:
    (tree / MANIFEST).unlink()
    assert f"{MANIFEST} is missing" in check(tree).stderr


def test_forgotten_update_is_found(tree: Path) -> None:
    newer = {**PACKAGE, "dependencies": {**PACKAGE["dependencies"], "htmx.org": "99.0.0"}}
    (tree / "package.json").write_text(json.dumps(newer), encoding="utf-8")
    complaint = check(tree).stderr
    assert "htmx.org@99.0.0/htmx.min.js is wanted" in complaint
    assert f"{HTMX} is in the manifest, but not wanted" in complaint


def test_forgotten_icon_is_found(tree: Path) -> None:
    with (tree / "static/icons.txt").open("a", encoding="utf-8") as file:
        file.write("anchor\n")
    assert "static/icons.svg does not hold exactly the names" in check(tree).stderr


def test_versions_are_exact_and_come_from_the_public_registry() -> None:
    versions = {**PACKAGE["dependencies"], **PACKAGE["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    assert "scripts" not in PACKAGE

    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)["packages"]
    assert {name: lock[f"node_modules/{name}"]["version"] for name in versions} == versions
    assert all(part["integrity"].startswith("sha512-") for path, part in lock.items() if path)
    assert set(re.findall(r"\w+://[^/\"]+", text)) == {"https://registry.npmjs.org"}


def test_sprite_holds_every_listed_icon() -> None:
    names = (ROOT / "static/icons.txt").read_text(encoding="utf-8").split()
    assert names == sorted(set(names))
    assert sprite_names() == set(names)


def test_sprite_symbols_draw_something() -> None:
    drawn = ElementTree.parse(ROOT / "static/icons.svg").getroot()  # noqa: S314 (a file of ours)
    for each in drawn:
        assert each.tag == "{http://www.w3.org/2000/svg}symbol"
        assert each.get("viewBox") == "0 0 24 24"
        assert len(each) > 0


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("{{ icon('mail') }}", {"mail"}),
        ("{{ ui.icon('eye' if shown else 'eye-off', label=_('Show')) }}", {"eye", "eye-off"}),
        ("{{ icon('sun' if theme == 'dark' else 'moon') }}", {"sun", "moon"}),
        ("{{ icon(name='star')|safe }}{{ icon(folder.icon) }}", {"star"}),
        ("{{ icon({'done': 'check', 'failed': 'x'}[step.state]) }}", {"check", "x"}),
        (
            "{% set by = {1: 'inbox'} %}{{ icon(by[role] if role else 'folder') }}",
            {"inbox", "folder"},
        ),
        ("{% macro go(to, n) %}{{ icon(n) }}{% endmacro %}{{ go('a', 'send') }}", {"send"}),
        ("{% trans %}Press{% endtrans %}<use href='{{ sprite }}#icon-x'/>", {"x"}),
        ("<label for='icon'>icon('none')</label>", set()),
    ],
)
def test_icons_are_found_in_templates(source: str, names: set[str]) -> None:
    assert icons_in(source) == names


def test_every_used_icon_is_in_the_sprite() -> None:
    known = sprite_names()
    sources = {file: file.read_text(encoding="utf-8") for file in TEMPLATES}
    macros = takers(JINJA.parse(source) for source in sources.values())
    missing = {
        file.relative_to(ROOT).as_posix(): sorted(lost)
        for file, source in sources.items()
        if (lost := icons_in(source, macros) - known)
    }
    for file in [*SCRIPTS, *STYLES]:
        if lost := set(REFERENCE.findall(file.read_text(encoding="utf-8"))) - known:
            missing[file.relative_to(ROOT).as_posix()] = sorted(lost)
    assert missing == {}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (FOREIGN_ATTRIBUTE, '<script src="https://cdn.example/x.js">'),
        (FOREIGN_ATTRIBUTE, "<img src=//cdn.example/x.png>"),
        (FOREIGN_ATTRIBUTE, '<a hx-get = " http://elsewhere.example/">'),
        (FOREIGN_STYLE, "a { background: url( 'https://cdn.example/x.png') }"),
        (FOREIGN_STYLE, '@import "//cdn.example/x.css";'),
        (FOREIGN_SCRIPT, 'fetch("https://elsewhere.example/")'),
    ],
)
def test_foreign_host_is_recognised(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (FOREIGN_ATTRIBUTE, '<svg xmlns="http://www.w3.org/2000/svg">'),
        (FOREIGN_ATTRIBUTE, '<input placeholder="https://mail.example.org">'),
        (FOREIGN_ATTRIBUTE, '<a href="/mail//7">'),
        (
            FOREIGN_STYLE,
            "a { background: url(\"data:,<svg xmlns='http://www.w3.org/2000/svg'/>\") }",
        ),
        (FOREIGN_SCRIPT, "// a comment, and 'a' // b"),
    ],
)
def test_own_address_is_left_alone(pattern: re.Pattern[str], text: str) -> None:
    assert not pattern.search(text)


def test_nothing_is_loaded_from_a_foreign_host() -> None:
    kinds = ((TEMPLATES, FOREIGN_ATTRIBUTE), (STYLES, FOREIGN_STYLE), (SCRIPTS, FOREIGN_SCRIPT))
    found = [
        f"{file.relative_to(ROOT).as_posix()}: {match.group()}"
        for files, pattern in kinds
        for file in files
        for match in pattern.finditer(file.read_text(encoding="utf-8"))
    ]
    assert found == []
