"""Every page: axe finds no serious violation in either theme, nothing moves, and all fits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.app import PAGES
from tests.support.browser import name_data, settled
from tests.support.run_folders import suspected
from tests.support.synthetic_runs import synthetic_run
from tests.support.tiny_images import kaggle
from tests.support.warm_server import WarmServer

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
OPTIONS = {
    "resultTypes": ["violations"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
MOST_SHIFT = 0.1  # what Google calls good
SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const each of list.getEntries()) if (!each.hadRecentInput) shifts.push(each.value);
    }).observe({ type: "layout-shift", buffered: true });
"""
PAPER = 'getComputedStyle(document.querySelector(".stApp")).backgroundColor'
CHART_CONTRAST = """() => {
    const light = (colour) => {
      const [r, g, b] = colour.match(/[\\d.]+/g).map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    const paper = light(PAPER);
    return [...document.querySelectorAll(".stPlotlyChart svg text")].map((text) => {
      const ink = light(getComputedStyle(text).fill);
      return Math.max(ink, paper) / Math.min(ink, paper);
    });
}""".replace("PAPER", PAPER)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """Serve two runs that can be compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECONDLOOK_HOME", str(home / "workspace"))
        run = synthetic_run(home, n=400, n_test=100, quarantined=4, name="Second try")
        suspected(run, ["0000003", "0000008"])
        synthetic_run(home, n=400, n_test=100, wrong=0.3, age=timedelta(days=1))
        server = WarmServer(home)
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    context.set_default_timeout(30_000)
    context.add_init_script(SHIFTS)
    yield context.new_page()
    context.close()


def in_both_themes(page: Page) -> list[Any]:
    """Return the violations in the light theme, and those that the dark one adds."""
    page.evaluate(f"{AXE};0")
    light = violations(page, OPTIONS)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"() => {PAPER} === 'rgb(23, 22, 20)'")
    dark = violations(page, {"runOnly": ["color-contrast"]})
    page.emulate_media(color_scheme="light")
    return light + dark


def violations(page: Page, options: dict[str, Any]) -> list[Any]:
    """Return rule, selectors and reason of each serious or critical violation."""
    # Axe does not look at the text of drawings, which change their colours after the page.
    page.wait_for_function(f"() => ({CHART_CONTRAST})().every((contrast) => contrast >= 4.5)")
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [
        (each["id"], [(node["target"], node["failureSummary"]) for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def assert_it_fits(page: Page) -> None:
    """Fail unless a laptop and a phone show the page without scrolling sideways."""
    usual = page.viewport_size
    assert usual
    for width in (usual["width"], 390):
        page.set_viewport_size({"width": width, "height": 768})
        page.wait_for_timeout(400)
        wide = page.evaluate(
            "[document.documentElement, document.querySelector('.stMain')]"
            ".map((e) => e.scrollWidth - e.clientWidth)"
        )
        assert wide == [0, 0], width
    folded = page.locator("[data-testid=stExpandSidebarButton]")  # on a phone, with a name
    expect(folded).to_have_attribute("aria-label", "Pages")
    page.set_viewport_size(usual)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible_stands_still_and_fits(
    page: Page, address: str, home: Path, name: str
):
    page.goto(f"{address}/{name}")
    settled(page)
    shifts = page.evaluate("shifts")
    assert sum(shifts) <= MOST_SHIFT, shifts
    if name == "train":
        name_data(page, kaggle(home / "pets", train=40, test=10))
    assert in_both_themes(page) == []
    assert_it_fits(page)


def test_the_large_view_is_accessible_and_the_content_is_one_tab_away(page: Page, address: str):
    page.goto(f"{address}/errors")
    page.locator(".st-key-gallery .tile").first.wait_for()
    settled(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(".st-key-gallery .tile").first.evaluate(
        "(tile) => tile.getRootNode().activeElement === tile"
    )
    page.keyboard.press("Enter")
    dialog = page.locator(".st-key-image dialog[open]")
    dialog.wait_for()
    settled(page)
    assert in_both_themes(page) == []
    assert_it_fits(page)
    stage = dialog.locator(".stage.zoomed")
    page.keyboard.press("z")
    original = dialog.get_by_role("link", name="Original file").evaluate("(link) => link.href")
    expect(stage.locator("img").first).to_have_attribute("src", original)
    page.keyboard.press("z")
    expect(stage).to_have_count(0)
    dialog.locator(".stage").hover()
    page.mouse.wheel(0, -400)
    expect(stage).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(stage).to_have_count(0)


def test_images_come_first_and_keep_the_size_that_is_chosen(page: Page, address: str):
    grid = page.locator(".st-key-gallery .grid")
    first = grid.locator(".frame").first
    for show in ("suspects", "all"):
        page.goto(f"{address}/errors?show={show}")
        first.wait_for()
        settled(page)
        assert sum(page.evaluate("shifts")) <= MOST_SHIFT
        usual = first.bounding_box()
        assert usual and usual["y"] <= 230
    first.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    expect(page.locator(".st-key-tile_size input")).to_have_value("184")
    larger = first.bounding_box()
    assert larger and larger["width"] > usual["width"]
    page.locator(".st-key-gallery .turns button").click()
    page.wait_for_url("**page=2**")
    settled(page)
    turned = first.bounding_box()
    assert turned and turned["y"] > 0 and turned["width"] == larger["width"]
    first.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    expect(page.locator(".st-key-tile_size input")).to_have_value("200")
    page.evaluate("localStorage.clear()")

    usual_size = page.viewport_size
    assert usual_size
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/errors?show=suspects")
    first.wait_for()
    settled(page)
    categories = page.get_by_role("radio")
    places = [each.bounding_box() for each in categories.all()]
    assert len({place["y"] for place in places if place}) == 1  # one row, which scrolls
    assert all(place and place["height"] >= 40 for place in places)
    expect(page.get_by_role("radio", checked=True)).to_be_in_viewport(ratio=1)
    categories.first.focus()
    expect(categories.first).to_be_in_viewport(ratio=0.9)
    highest = first.bounding_box()
    assert highest and highest["y"] <= 300
    page.get_by_role("button", name="Pages").click()
    page.get_by_role("link", name="Clip").click()
    page.wait_for_url("**/clip?*")
    expect(page.locator("[data-testid=stSidebar]")).to_have_attribute("data-collapsed", "true")
    page.set_viewport_size(usual_size)


def test_keys_are_shown_and_jump_anywhere(page: Page, address: str):
    page.goto(f"{address}/errors?show=all")
    page.locator(".st-key-gallery .tile").first.wait_for()
    settled(page)
    page.keyboard.press("?")
    keys = page.locator(".st-key-shortcuts dialog.keys")
    expect(keys).to_contain_text("turn the page")
    page.keyboard.press("Escape")
    expect(keys).not_to_be_visible()
    page.keyboard.press("?")
    page.keyboard.press("Control+k")
    expect(keys).not_to_be_visible()
    page.keyboard.type("0000007")
    expect(page.locator(".st-key-shortcuts dialog.jump .place")).to_contain_text(["0000007"])
    settled(page)
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-image dialog h2")).to_have_text("0000007")
    page.keyboard.press("Control+k")
    page.keyboard.type("compa")
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare?*")
    settled(page)
    page.keyboard.press("Control+k")
    expect(page.locator(".st-key-shortcuts dialog.jump")).to_be_visible()
