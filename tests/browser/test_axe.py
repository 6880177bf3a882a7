"""axe finds nothing on any page, dialogs and refused forms included, in either theme."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from scripts.house import running
from scripts.screenshots import Scene, Shot, demo_scene, page_in
from tests.browser.axe import OPTIONS, WIDEST, violations, violations_in_both_themes

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def scenes(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Scene]]:
    folder = tmp_path_factory.mktemp("pages")
    with (
        running("demo", folder / "demo", until="The demo runs at") as demo,
        running("run-all", folder / "empty", until="one-time code") as empty,
    ):
        set_up = Scene(empty.address, {}, (Shot("set-up", "/set-up"),))
        yield [set_up, demo_scene(browser, demo.address)]


def test_axe_finds_nothing_on_any_page(browser: Browser, scenes: list[Scene]) -> None:
    faults = [
        f"{shot.name}: {fault}"
        for scene in scenes
        for shot in scene.shots
        for fault in examine(browser, scene, shot)
    ]
    assert faults == []


def test_axe_would_find_something(browser: Browser) -> None:
    with page_in(browser, "about:blank") as page:
        page.set_content('<img src="x">')
        assert any(fault.startswith("image-alt") for fault in violations(page))


def examine(browser: Browser, scene: Scene, shot: Shot) -> list[str]:
    cookies = scene.cookies.get(shot.who)
    with page_in(browser, scene.address, storage_state=cookies, viewport=WIDEST, **OPTIONS) as page:
        page.goto(shot.path)
        if shot.then is not None:
            shot.then(page)
        return violations_in_both_themes(page)
