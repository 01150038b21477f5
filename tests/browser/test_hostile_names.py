"""Every page shows the names of strangers as they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from engine.runs.run_list import list_runs, open_run
from tests.support.browser import expected, name_data, settled, shown
from tests.support.tiny_images import kaggle


def test_hostile_names_are_shown_as_they_are_and_ask_no_other_host(
    serve, open_context, tmp_path: Path
):
    hostile = {"n": 80, "n_test": 20, "hostile": True}
    many = {**hostile, "classes": 40, "n_test": 0, "age": timedelta(days=1)}
    server = serve({**hostile, "classes": 9, "quarantined": 9}, many)
    data = kaggle(tmp_path / "![x](http:__evil.invalid)", classes=("<img src=x>", "&amp; $x^2$"))
    (data / "train" / "![x](http:evil).jpg").write_bytes(b"no image")
    page = open_context().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    larger = list_runs()[-1]
    long = f"errors?show=all&true={max(larger.class_names, key=len)}"
    for path in ("", f"overview?run={larger.name}", long, "clip", "submit", "train"):
        page.goto(f"{server.url}/{path}")
        settled(page)
        if path == "":
            matrix = page.locator(".st-key-matrix .row")
            for name in open_run("latest").class_names:
                expect(matrix.get_by_text(name, exact=True)).to_be_visible()
            page.get_by_text("9 unreadable files").click()
        if path.startswith("overview"):  # more classes than rows of buttons, each second one named
            names = page.locator(".st-key-matrix .left span")
            expect(names).to_have_count(20)
            assert names.all_text_contents() == list(larger.class_names[::2])
            page.goto(server.url)  # other pages show the latest run
            settled(page)
        if path == long:
            everything = expected(lambda y_true, *_: np.arange(len(y_true)))
            expect(page.locator(".st-key-gallery .tile").first).to_be_visible()
            assert shown(page) and set(shown(page)) <= set(everything)
            page.locator(".st-key-gallery .tile").first.click()
            expect(page.locator(".st-key-image h2")).to_have_text(shown(page)[0])
            aside = page.locator(".st-key-image aside")
            assert aside.evaluate("(box) => box.scrollWidth <= box.clientWidth")
        if path == "train":
            name_data(page, data)
            for name in ("<img src=x>", "&amp; $x^2$"):
                expect(page.locator("table").get_by_text(name)).to_be_visible()
        page.wait_for_timeout(300)
        assert not page.locator(".stException").count()
        assert page.locator("b b, script:text('alert'), img[src*='evil']").count() == 0
    own = (server.url, "data:", f"blob:{server.url}")
    assert [url for url in asked if not url.startswith(own)] == []
