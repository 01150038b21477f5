"""A real server and Debian's Chromium for the browser tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.support.synthetic_runs import synthetic_run
from tests.support.warm_server import WarmServer


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., WarmServer]]:
    """Return a function that starts a server on runs made with the given options, one a dict."""
    started = []

    def start(*runs: dict[str, Any]) -> WarmServer:
        monkeypatch.setenv("SECONDLOOK_HOME", str(tmp_path / "workspace"))
        for options in runs:
            synthetic_run(tmp_path, **options)
        started.append(WarmServer(tmp_path))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def open_context(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Return a function that opens a fresh browser context: a person of their own."""
    opened = []

    def new(theme: Any = "light", width: int = 1366, height: int = 768) -> BrowserContext:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True
        )
        context.set_default_timeout(30_000)
        opened.append(context)
        return context

    yield new
    for context in opened:
        context.close()
