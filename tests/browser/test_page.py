"""The page to hand on in a real browser: it asks the network for nothing and fits a phone."""

from __future__ import annotations

from pathlib import Path

from engine.analysis.report import report
from engine.html_report.write import write_page
from tests.support.synthetic_runs import synthetic_run


def test_the_page_asks_nothing_of_the_network_and_fits(open_context, tmp_path: Path):
    run = synthetic_run(tmp_path, n=120, classes=4, hostile=True)
    file = write_page(run, "valid", report(run.predictions("valid")), tmp_path / "page.html")
    for theme, width in (("light", 1366), ("dark", 390)):
        page = open_context(theme, width=width).new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("dialog", lambda dialog, said=said: said.append(dialog.message))
        page.goto(file.as_uri())
        page.wait_for_load_state("networkidle")
        assert [url for url in asked if not url.startswith("data:image/jpeg")] == [file.as_uri()]
        assert said == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        images = "[...document.images].map(i => i.complete && i.naturalWidth > 0)"
        assert page.evaluate(images) and all(page.evaluate(images))
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(251, 250, 247)" if theme == "light" else "rgb(23, 22, 20)")
