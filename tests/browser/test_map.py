"""The map in a browser: drawing around images leads to exactly those in Errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from playwright.sync_api import expect

from dashboard.selection.lasso import EDGE, GRID, read_lasso
from engine.analysis.lasso import inside
from engine.runs.maps import load_map, save_map
from engine.runs.run_list import open_run
from tests.support.browser import PER_PAGE, ready, settled, shown

SCREENSHOTS = Path(__file__).with_name("screenshots")


def add_maps(name: str = "latest") -> None:
    run = open_run(name)
    images = run.images
    rng = np.random.default_rng(1)
    points = rng.normal(size=(len(images), 2)) + 4 * (images["label"] == "dog").to_numpy()[:, None]
    for method in ("pca", "tsne"):
        save_map(run, method, images["split"].tolist(), images["id"].tolist(), points)
        points = points[:, ::-1]
    run.update_config(head_sha256="0" * 64)


def held(text: str) -> set[str]:
    """Return the valid images within an area, from the run's files."""
    area, table = read_lasso(text), load_map(open_run("latest"), "pca")
    assert area
    points = np.column_stack([table["x"], table["y"]]).astype(float)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) * ((GRID - 2 * EDGE) / (high - low).max()) + GRID / 2
    hit = inside(points, np.array(area.corners, dtype=float))
    rows = zip(hit, table["split"].to_pylist(), table["id"].to_pylist(), strict=True)
    return {name for is_in, split, name in rows if is_in and split == "valid"}


def test_from_lasso_to_those_images_in_errors(serve, open_context):
    server = serve({"n": 300, "n_test": 60})
    add_maps()
    page = open_context().new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(f"{server.url}/map")
    ready(page)
    canvas = page.locator(".st-key-map canvas").first
    box = canvas.bounding_box()
    assert box is not None
    page.get_by_role("button", name="Lasso", exact=True).click()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reach = 0.3 * min(box["width"], box["height"])
    for turn in range(65):  # more corners than the address takes
        to = (x + reach * math.cos(turn / 10.2), y + reach * math.sin(turn / 10.2))
        page.mouse.move(*to)
        if not turn:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_url("**map=pca.*")
    expect(page.locator(".st-key-map_first .tile").first).to_be_visible()
    ready(page)
    text = page.url.partition("map=")[2].partition("&")[0]
    want = held(text)
    assert 5 < len(want) < 290
    area = read_lasso(text)
    assert area and 12 <= len(area.corners) <= 40
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "map-light-1366.png")
    page.get_by_role("button", name="Show in Errors").click()
    page.wait_for_url("**/errors?*")
    settled(page)
    expect(page.locator(".st-key-bar")).to_contain_text(f"{len(want)} of 300 validation images")
    assert set(shown(page)) <= want and len(shown(page)) == min(len(want), PER_PAGE)
    page.reload()
    settled(page)
    expect(page.locator(".st-key-bar")).to_contain_text(f"{len(want)} of 300 validation images")
    assert broken == []


def test_the_keyboard_moves_the_map_and_shows_what_is_in_view(serve, open_context):
    server = serve({"n": 120, "n_test": 0})
    add_maps()
    page = open_context("dark", 390, 844).new_page()
    page.goto(f"{server.url}/map")
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".st-key-map canvas").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**map=pca.*")
    ready(page)
    expect(page.get_by_text("120 of 120 images")).to_be_visible()
    before = page.url
    for key in ("+", "+", "+", "ArrowRight", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(lambda url: url != before)
    text = page.url.partition("map=")[2].partition("&")[0]
    expect(page.get_by_text(f"{len(held(text))} of 120 images")).to_be_visible()
    assert 0 < len(held(text)) < 120
    page.screenshot(path=SCREENSHOTS / "map-dark-390.png")
