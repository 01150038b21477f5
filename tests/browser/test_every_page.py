"""Every page fits its window, and shows the names of strangers as they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from engine.runs.run_list import open_run
from tests.support.browser import expected, settled, shown
from tests.support.tiny_images import kaggle

SCREENSHOTS = Path(__file__).with_name("screenshots")


def look_at(page: Page, data: Path) -> None:
    """Name a data folder on the Train page, and wait until it was listed."""
    page.get_by_role("textbox", name="Data folder").fill(str(data))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    settled(page)


@pytest.mark.parametrize(("theme", "width"), [("light", 1366), ("dark", 390)])
def test_every_page_fits_its_width(serve, open_context, tmp_path: Path, theme, width):
    server = serve(
        {"n": 400, "n_test": 100, "quarantined": 4, "name": "Second try"},
        {"n": 400, "n_test": 100, "wrong": 0.3, "age": timedelta(days=1)},
    )
    data = kaggle(tmp_path / "pets", train=40, test=10)
    SCREENSHOTS.mkdir(exist_ok=True)
    page = open_context(theme, width).new_page()
    for name in ("overview", "errors", "clip", "compare", "submit", "train"):
        page.goto(f"{server.url}/{name}")
        settled(page)
        if name == "train":
            look_at(page, data)
        page.wait_for_timeout(400)
        inner = page.evaluate("document.querySelector('.stMain').scrollHeight")
        page.set_viewport_size({"width": width, "height": min(inner, 3000)})
        page.wait_for_timeout(200)
        wide = page.evaluate(
            "[document.documentElement, document.querySelector('.stMain')]"
            ".map((e) => e.scrollWidth - e.clientWidth)"
        )
        assert wide == [0, 0], name
        if width == 390:  # where the pages are folded, under a name
            expect(page.get_by_role("button", name="Pages", exact=True)).to_be_visible()
        page.screenshot(path=SCREENSHOTS / f"{name}-{theme}-{width}.png")
        page.set_viewport_size({"width": width, "height": 768})
    page.goto(f"{server.url}/errors?show=most-incorrect")
    settled(page)
    page.locator(".st-key-gallery .tile").nth(1).click()
    expect(page.locator(".st-key-image dialog")).to_be_visible()
    settled(page)
    page.screenshot(path=SCREENSHOTS / f"large-{theme}-{width}.png")


def test_hostile_names_are_shown_as_they_are_and_ask_no_other_host(
    serve, open_context, tmp_path: Path
):
    server = serve({"n": 80, "n_test": 20, "classes": 9, "hostile": True, "quarantined": 9})
    data = kaggle(tmp_path / "![x](http:__evil.invalid)", classes=("<img src=x>", "&amp; $x^2$"))
    (data / "train" / "![x](http:evil).jpg").write_bytes(b"no image")
    page = open_context().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    for path in ("", "errors", "clip", "submit", "train"):
        page.goto(f"{server.url}/{path}")
        settled(page)
        if path == "":
            matrix = page.locator(".st-key-matrix .row")
            for name in open_run("latest").class_names:
                expect(matrix.get_by_text(name, exact=True)).to_be_visible()
            page.get_by_text("9 unreadable files").click()
        if path == "errors":
            everything = expected(lambda y_true, *_: np.arange(len(y_true)))
            expect(page.locator(".st-key-gallery .tile").first).to_be_visible()
            assert shown(page) and set(shown(page)) <= set(everything)
            page.locator(".st-key-gallery .tile").first.click()
            expect(page.locator(".st-key-image h2")).to_have_text(shown(page)[0])
        if path == "train":
            look_at(page, data)
            for name in ("<img src=x>", "&amp; $x^2$"):
                expect(page.locator("table").get_by_text(name)).to_be_visible()
        page.wait_for_timeout(300)
        assert not page.locator(".stException").count()
        assert page.locator("b b, script:text('alert'), img[src*='evil']").count() == 0
    own = (server.url, "data:", f"blob:{server.url}")
    assert [url for url in asked if not url.startswith(own)] == []
