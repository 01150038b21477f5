"""Pages as AppTest shows them: opened with a run, and read."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from engine.runs.run import Run

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"


def opened(page: str, run: Run | None = None) -> AppTest:
    """Open a page, on a run."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    if run is not None:
        app.query_params["run"] = run.name
    return app.run().switch_page(f"views/{page}/page.py").run()


def at_page(app: AppTest, page: str) -> AppTest:
    """Choose the page of the first run; `AppTest.switch_page` knows pages after a run only."""
    app._page_hash = calc_hash(page)
    return app


def assert_harmless(app: AppTest) -> None:
    """Fail on a tag that is not ours, an image from elsewhere, or Markdown from a stranger."""
    parser = Tags()
    parser.feed(html(app))
    assert "script" not in parser.tags
    assert all(src.startswith("data:image/") for src in parser.sources)
    for element in (*app.markdown, *app.caption, *app.error):
        assert "](http" not in element.value and "<" not in element.value


class Tags(HTMLParser):
    """Collects the tags and the sources of images."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name == "src"]
        assert not [name for name, _ in attrs if name.startswith("on")]


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def errors(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in parameters.items():
        app.query_params[name] = value
    at_page(app, "errors")
    return app.run()


def sentence(app: AppTest) -> str:
    return next(str(element.value) for element in app.markdown if "images" in element.value)
