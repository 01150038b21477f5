"""A real server and Debian's Chromium for the browser tests."""

from __future__ import annotations

import importlib.util
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=15_000)  # a slow machine is no failure; `make bench` measures speed
READY = (
    "[data-testid=stApp][data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"
)
_URL = re.compile(r"https?://(?:localhost|127\.0\.0\.1):\d+")


def _load_runs() -> ModuleType:
    """Return tests/dashboard/conftest.py, which makes up runs."""
    path = ROOT / "tests" / "dashboard" / "conftest.py"
    spec = importlib.util.spec_from_file_location("synthetic_runs", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


synthetic_runs = _load_runs()


class Server:
    """`streamlit run dashboard/app.py` on a workspace of its own and a free port."""

    def __init__(self, home: Path) -> None:
        environment = {**os.environ, "SECONDLOOK_HOME": str(home / "workspace")}
        command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py"]
        self.log = open(home / "server.log", "w+b")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, "--server.port", "0", "--server.headless", "true"],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=self.log,
        )  # fmt: skip
        self.url = self._wait_for_url()

    def _wait_for_url(self) -> str:
        assert self.process.stdout is not None
        deadline, seen = time.monotonic() + 60, ""
        while time.monotonic() < deadline and self.process.poll() is None:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                seen += os.read(self.process.stdout.fileno(), 65536).decode(errors="replace")
            if found := _URL.search(seen):
                return found[0]
        raise AssertionError(f"the server did not start: {seen}\n{self.errors()}")

    def errors(self) -> str:
        """Return what the server has written to stderr."""
        self.log.flush()
        return Path(self.log.name).read_text(errors="replace")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()
        self.log.close()


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server on runs made with the given options, one a dict."""
    started = []

    def start(*runs: dict[str, Any]) -> Server:
        monkeypatch.setenv("SECONDLOOK_HOME", str(tmp_path / "workspace"))
        for options in runs:
            synthetic_runs.synthetic_run(tmp_path, **options)
        started.append(Server(tmp_path))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; where there is none, CI fails and a laptop skips."""
    if not CHROMIUM.exists():
        message = f"{CHROMIUM} is missing: install Debian's chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_context(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Return a function that opens a fresh browser context: a person of their own."""
    opened = []

    def new(theme: Any = "light", width: int = 1366, height: int = 768) -> BrowserContext:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True
        )
        context.set_default_timeout(15_000)
        opened.append(context)
        return context

    yield new
    for context in opened:
        context.close()


def ready(page: Page) -> None:
    """Wait until the script has ended and every image is decoded."""
    page.wait_for_selector(READY)
    page.wait_for_function(
        """() => {
            const images = [];
            const walk = (root) => {
                images.push(...root.querySelectorAll("img"));
                for (const e of root.querySelectorAll("*")) if (e.shadowRoot) walk(e.shadowRoot);
            };
            walk(document);
            return images.every((i) => i.complete);
        }"""
    )
