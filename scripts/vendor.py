"""What the browser gets from npm, copied into the tree and pinned by hash.

``vendor.py`` installs exactly what package-lock.json says into a temporary folder, copies the few
files used to static/vendor and tests/browser/vendor (unchanged, so that they can be compared with
the published ones), builds static/icons.svg from the names in static/icons.txt and writes
static/vendor/manifest.json: path → "sha384-…", as the integrity attribute wants it.

``vendor.py --check`` compares the committed files with that manifest. It needs neither npm nor a
network.
"""

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = "static/vendor"
TESTS = "tests/browser/vendor"
MANIFEST = f"{STATIC}/manifest.json"
SPRITE = "static/icons.svg"
ICON_NAMES = "static/icons.txt"

SVG = "http://www.w3.org/2000/svg"
VIEW_BOX = "0 0 24 24"
SHAPES = frozenset({"circle", "ellipse", "line", "path", "polygon", "polyline", "rect"})


@dataclass(frozen=True)
class Source:
    """The files taken from one npm package, and the folder they are copied to."""

    package: str
    folder: str
    files: tuple[str, ...]

    def target(self, version: str, file: str) -> str:
        return f"{self.folder}/{self.package}@{version}/{Path(file).name}"


ICONS = Source("lucide-static", STATIC, ("LICENSE",))
SOURCES = (
    Source("htmx.org", STATIC, ("dist/htmx.min.js", "LICENSE")),
    Source("bootstrap", STATIC, ("dist/css/bootstrap.min.css", "LICENSE")),
    Source("squire-rte", STATIC, ("dist/squire.js", "LICENSE")),
    Source("dompurify", STATIC, ("dist/purify.min.js", "LICENSE", "LICENSE-MPL")),
    ICONS,
    Source("axe-core", TESTS, ("axe.min.js", "LICENSE", "LICENSE-3RD-PARTY.txt")),
)


class VendorError(Exception):
    """Something is missing or not as expected; the message says what to do."""


def integrity(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


def pinned_versions(root: Path) -> dict[str, str]:
    package = json.loads((root / "package.json").read_text(encoding="utf-8"))
    return {**package["dependencies"], **package["devDependencies"]}


def icon_names(root: Path) -> list[str]:
    return sorted(set((root / ICON_NAMES).read_text(encoding="utf-8").split()))


# --- building ------------------------------------------------------------------------------------


def install(root: Path, into: Path) -> Path:
    """Install what the lock file says, running no script of any package."""
    npm = shutil.which("npm")
    if npm is None:
        raise VendorError("npm was not found: install Node.js, or keep the committed files.")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(root / name, into / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=into, check=False)  # noqa: S603 (fixed arguments)
    if done.returncode:
        raise VendorError("npm ci failed: see its message above.")
    return into / "node_modules"


def symbol(name: str, svg: str) -> ET.Element:
    """One icon as a <symbol>; colour and stroke come from the page that uses it."""
    picture = ET.fromstring(svg)  # noqa: S314 (its hash is in package-lock.json)
    if picture.get("viewBox") != VIEW_BOX:
        raise VendorError(f"The icon {name} is not drawn on {VIEW_BOX}.")
    strange = {shape.tag for shape in picture} - {f"{{{SVG}}}{shape}" for shape in SHAPES}
    if strange or any(len(shape) for shape in picture):
        raise VendorError(f"The icon {name} holds more than plain shapes.")
    made = ET.Element(f"{{{SVG}}}symbol", {"id": f"icon-{name}", "viewBox": VIEW_BOX})
    made.extend(picture)
    return made


def sprite(names: list[str], icons: Path, version: str) -> bytes:
    ET.register_namespace("", SVG)
    root = ET.Element(f"{{{SVG}}}svg")
    root.append(ET.Comment(f" Icons from lucide-static {version}, ISC licence. "))
    for name in names:
        file = icons / f"{name}.svg"
        if not file.is_file():
            raise VendorError(f"{ICON_NAMES} asks for {name}, which lucide does not have.")
        root.append(symbol(name, file.read_text(encoding="utf-8")))
    ET.indent(root)
    return (ET.tostring(root, encoding="unicode") + "\n").encode()


def build(root: Path, modules: Path) -> dict[str, bytes]:
    """Everything the manifest speaks of, by its path in the project."""
    versions = pinned_versions(root)
    files = {
        source.target(versions[source.package], file): (
            modules / source.package / file
        ).read_bytes()
        for source in SOURCES
        for file in source.files
    }
    icons = modules / ICONS.package / "icons"
    files[SPRITE] = sprite(icon_names(root), icons, versions[ICONS.package])
    return files


def write(root: Path, files: dict[str, bytes]) -> None:
    for folder in (STATIC, TESTS):
        shutil.rmtree(root / folder, ignore_errors=True)
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    manifest = {path: integrity(files[path]) for path in sorted(files)}
    (root / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def vendor(root: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        files = build(root, install(root, Path(folder)))
    write(root, files)
    return len(files)


# --- checking ------------------------------------------------------------------------------------


def vendored_files(root: Path) -> set[str]:
    """What stands in the two folders now, the manifest itself apart."""
    found = {
        file.relative_to(root).as_posix()
        for folder in (STATIC, TESTS)
        for file in (root / folder).rglob("*")
        if file.is_file() or file.is_symlink()
    }
    return found - {MANIFEST}


def wanted_files(root: Path) -> set[str]:
    versions = pinned_versions(root)
    copied = {
        source.target(versions[source.package], file) for source in SOURCES for file in source.files
    }
    return copied | {SPRITE}


def sprite_names(root: Path) -> list[str]:
    drawn = ET.parse(root / SPRITE).getroot()  # noqa: S314 (a file of ours)
    return [str(each.get("id")).removeprefix("icon-") for each in drawn]


def complaints(root: Path) -> list[str]:
    """What differs between the committed files, the manifest, package.json and the icon list."""
    if not (root / MANIFEST).is_file():
        return [f"{MANIFEST} is missing."]
    manifest: dict[str, str] = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    found: list[str] = []
    listed, wanted = set(manifest), wanted_files(root)
    found += [f"{path} is wanted, but not in the manifest." for path in sorted(wanted - listed)]
    found += [f"{path} is in the manifest, but not wanted." for path in sorted(listed - wanted)]
    present = {path for path in listed if (root / path).is_file()}
    found += [f"{path} is missing." for path in sorted(listed - present)]
    found += [f"{path} is extra." for path in sorted(vendored_files(root) - listed)]
    changed = [
        path for path in sorted(present) if integrity((root / path).read_bytes()) != manifest[path]
    ]
    found += [f"{path} differs from its hash in the manifest." for path in changed]
    if SPRITE in present and SPRITE not in changed and sprite_names(root) != icon_names(root):
        found.append(f"{SPRITE} does not hold exactly the names in {ICON_NAMES}.")
    return found


def check(root: Path) -> None:
    found = complaints(root)
    if found:
        raise VendorError("\n".join([*found, "Run: make vendor"]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Copy what the browser gets from npm.")
    parser.add_argument(
        "--check",
        action="store_true",
        help="only compare the committed files with the manifest; no npm, no network",
    )
    options = parser.parse_args()
    try:
        if options.check:
            check(ROOT)
        else:
            sys.stdout.write(f"{vendor(ROOT)} files written.\n")
    except VendorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
