"""A real server, Chromium's settings, and what a page in the browser shows."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from playwright.sync_api import Locator, Page, expect

from engine.runs.run_list import open_run
from tests.support.paths import ROOT

expect.set_options(timeout=30_000)  # a slow machine is no failure; `make bench` measures speed
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
READY = (  # with an element: before its first script the page is connected and runs none, too
    "[data-testid=stApp][data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"
    ":has([data-testid=stElementContainer])"
)
URL = re.compile(r"https?://(?:localhost|127\.0\.0\.1):\d+")


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
            if found := URL.search(seen):
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


PER_PAGE = 48


def settled(page: Page) -> None:
    """Wait until the script has ended and every image of the gallery is decoded."""
    page.wait_for_selector(READY)
    page.wait_for_function(
        """() => [...document.querySelectorAll('*')].filter((e) => e.shadowRoot)
            .flatMap((e) => [...e.shadowRoot.querySelectorAll('img')])
            .every((i) => !i.src || i.complete)"""
    )


def until(true: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for what the server does after the page has shown it."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def name_data(page: Page, data: Path) -> None:
    """Name a data folder on the Train page, and wait until it was listed."""
    page.get_by_role("textbox", name="Data folder").fill(str(data))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    settled(page)


def shown(page: Page) -> list[str]:
    """Return the ids in the gallery, in order."""
    ids: list[str] = page.locator(".st-key-gallery .tile").evaluate_all(
        "tiles => tiles.map((t) => t.dataset.id)"
    )
    return ids


def assert_shown(page: Page, want: list[str]) -> None:
    """Fail unless the gallery comes to show exactly these images, decoded."""
    tiles = page.locator(".st-key-gallery .tile")
    expect(tiles).to_have_count(len(want))
    if want:
        expect(tiles.first).to_have_attribute("data-id", want[0])
    settled(page)
    assert shown(page) == want


def category(page: Page, name: str) -> Locator:
    """Return the button of a category on the Errors page, whose label ends with a count."""
    return page.get_by_text(re.compile(rf"^{re.escape(name)}( [\d,]+)?$"))


def assert_focused(page: Page, id: str) -> None:
    """Fail unless this tile comes to have the focus, which moves once the page has answered."""
    page.wait_for_function(
        "(id) => document.activeElement?.shadowRoot?.activeElement?.dataset.id === id", arg=id
    )


def expected(look: Callable[..., np.ndarray]) -> list[str]:
    """Return the ids of a look, computed from the run's files."""
    predictions = open_run("latest").predictions("valid")
    rows = look(predictions.y_true, predictions.y_pred, predictions.probabilities)
    ids: list[str] = [predictions.ids[int(row)].as_py() for row in rows]
    return ids


def costliest(true: int, predicted: int) -> Callable[..., np.ndarray]:
    """Return the look of a matrix cell: its images, by the probability of the true class."""

    def look(y_true: np.ndarray, y_pred: np.ndarray, p: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero((y_true == true) & (y_pred == predicted))
        return rows[np.argsort(p[rows, true], kind="stable")]

    return look
