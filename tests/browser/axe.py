"""axe in a page that is open already: both themes and both widths, without loading it anew."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page, ViewportSize

AXE = Path(__file__).parent / "vendor/axe-core@4.14.1/axe.min.js"
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = {1440: 900, 390: 844}
WIDEST = ViewportSize(width=1440, height=WIDTHS[1440])
# How a page is opened for axe: nothing moves while it looks, and its own script may be put in (the
# pages are tested under their policy elsewhere).
OPTIONS: dict[str, Any] = {"reduced_motion": "reduce", "bypass_csp": True, "locale": "en-GB"}


def violations(page: Page, *, but: Collection[str] = ()) -> list[str]:
    """What axe finds in the page as it stands; rules named in ``but`` are left out.

    Frames are left out: no script runs in a message's frame, so axe could only wait for an answer
    from it. What stands there is a route of its own.
    """
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run(document, {resultTypes: ['violations'], iframes: false, rules})",
        {rule: {"enabled": False} for rule in but},
    )
    return [
        f"{one['id']} at {node['target']}: {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def violations_in_both_themes(page: Page, *, but: Collection[str] = ()) -> list[str]:
    """The same for each theme and each width, whichever of them the page was opened with."""
    found = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        if page.locator("html[data-theme-auto]").count():
            page.locator(f"html[data-bs-theme={theme}]").wait_for(state="attached")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            found += [f"{theme}, {width} px: {one}" for one in violations(page, but=but)]
    return found
