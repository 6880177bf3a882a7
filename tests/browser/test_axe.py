"""axe finds nothing on any page, dialogs and refused forms included, in either theme."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from scripts.house import running
from scripts.screenshots import THEMES, Scene, Shot, demo_scene, page_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("demo")]

AXE = Path(__file__).parent / "vendor/axe-core@4.14.1/axe.min.js"
WIDTHS = {1440: 900, 390: 844}


@pytest.fixture(scope="module")
def scenes(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Scene]]:
    folder = tmp_path_factory.mktemp("pages")
    with (
        running("demo", folder / "demo", until="The demo runs at") as demo,
        running("run-all", folder / "empty", until="one-time code") as empty,
    ):
        set_up = Scene(empty.address, {}, (Shot("set-up", "/set-up"),))
        yield [set_up, demo_scene(browser, demo.address)]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_on_any_page(
    browser: Browser, scenes: list[Scene], theme: str, width: int
) -> None:
    shots = [(scene, shot) for scene in scenes for shot in scene.shots]
    faults = [
        f"{shot.name}: {fault}"
        for scene, shot in shots
        for fault in examine(browser, scene, shot, theme, width)
    ]
    assert faults == []


def test_axe_would_find_something(browser: Browser) -> None:
    with page_in(browser, "about:blank") as page:
        page.set_content('<img src="x">')
        assert any(fault.startswith("image-alt") for fault in violations(page))


def examine(browser: Browser, scene: Scene, shot: Shot, theme: str, width: int) -> list[str]:
    with page_in(
        browser,
        scene.address,
        storage_state=scene.cookies.get(shot.who),
        viewport={"width": width, "height": WIDTHS[width]},
        color_scheme=theme,
        reduced_motion="reduce",
        bypass_csp=True,  # for axe's own script; the pages are tested under their policy elsewhere
    ) as page:
        page.goto(shot.path)
        if shot.then is not None:
            shot.then(page)
        return violations(page)


def violations(page: Page) -> list[str]:
    page.add_script_tag(path=AXE)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} at {node['target']}: {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
