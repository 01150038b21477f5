"""The map in a real browser at 25,000 images: opening, frames while it moves, from lasso to rows.

The clock is the page's own: from the time stamp of the pointer's release to the moment at which
the first images of the area stand there, decoded; frames by `requestAnimationFrame`.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from playwright.sync_api import Browser, Page, sync_playwright

from engine.model.embed import COMPONENTS, pca, tsne
from engine.runs.maps import save_map
from engine.runs.run import Run
from tests.benchmarks.dashboard import _home, _memory
from tests.benchmarks.made_runs import drawn, made_run
from tests.benchmarks.report import load, machine, spread, table
from tests.support.browser import ARGUMENTS, CHROMIUM, READY, Server

TITLE = "Map"
IMAGES, DRAWN, WIDTH, REPEAT, MOVES = 25_000, 300, 1_280, 9, 120
Row = list[str]

_CLOCK = """
addEventListener("pointerup", (e) => { window.asked = e.timeStamp; }, true);
window.inside = (key) => [...document.querySelectorAll(`.st-key-${key} *`)]
  .find((e) => e.shadowRoot)?.shadowRoot;
window.until = (there) => new Promise((done, failed) => {
  const begun = performance.now();
  const look = () => {
    if (there()) done(performance.now());
    else if (performance.now() - begun > 20000) failed("not there in 20 s");
    else requestAnimationFrame(look);
  };
  look();
});
window.first = () => [...(inside("map_first")?.querySelectorAll(".tile") ?? [])];
window.names = () => first().map((t) => t.dataset.id).join();
window.chosen = async (before) => {
  await until(() => first().length && names() !== before);
  const images = first().map((t) => t.querySelector("img")).filter(Boolean);
  await Promise.all(images.map((i) => i.decode()));
  return performance.now() - window.asked;
};
window.frames = () => {
  const stamps = [];
  const tick = (now) => { stamps.push(now); if (!window.over) requestAnimationFrame(tick); };
  window.over = false;
  window.stamps = stamps;
  requestAnimationFrame(tick);
};
"""


def measure() -> str:
    """Measure on made-up places and return the section."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder)
        files = drawn(root / "images", DRAWN)
        with _home(root):
            run = made_run(root / "images", files, IMAGES, 0)
        place(run)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        rows = _in_browser(browser, root)
    rows += _layouts()
    head = ("", "median", "p90", "n", "goal", "", "load")
    packages = ("streamlit", "numpy", "openTSNE", "torch", "playwright")
    return "\n\n".join([machine(packages), table(head, rows), _HOW])


def place(run: Run) -> None:
    """Give a made-up run the look of a fitted one, with groups of images on its map."""
    rng = np.random.default_rng(0)
    images = run.images
    centres = rng.normal(0, 4, (24, 2)) + np.repeat([[-6, 0], [6, 0]], 12, axis=0)
    group = rng.integers(0, 12, len(images)) + 12 * (images["label"] == "dog").to_numpy()
    points = centres[group] + rng.normal(0, 1, (len(images), 2))
    save_map(run, "pca", images["split"].tolist(), images["id"].tolist(), points)
    save_map(run, "tsne", images["split"].tolist(), images["id"].tolist(), points[:, ::-1])
    run.update_config(head_sha256="0" * 64)


def _in_browser(browser: Browser, home: Path) -> list[Row]:
    server = Server(home)
    try:
        context = browser.new_context(viewport={"width": 1366, "height": 768})
        context.add_init_script(_CLOCK)
        page = context.new_page()
        page.goto(f"{server.url}/train")  # the browser has the scripts from here on
        page.wait_for_selector(READY)
        rows = [_row("Map opens, nothing read from disk yet, ms", [_opens(page, server.url)], 2000)]
        again = [_opens(page, server.url) for _ in range(REPEAT)]
        rows.append(_row("Map opens again, ms", again, 2000))
        for what, move in (("drag", _drag), ("zoom", _zoom)):
            frames = move(page)
            rows.append(_row(f"frame to frame while one {what}s, ms", frames, 33))
        taken = [_lasso(page, turn) for turn in range(REPEAT)]
        rows.append(_row(f"lasso to first images, ms (server {_memory(server)} MB)", taken, 150))
    finally:
        server.stop()
    return rows


def _opens(page: Page, url: str) -> float:
    page.goto(f"{url}/map", wait_until="commit")
    page.wait_for_selector("[data-testid=stApp]", timeout=60_000)
    there = page.evaluate("until(() => inside('map')?.querySelector('canvas')?.width > 400)")
    page.wait_for_selector(READY)
    return float(there)


def _middle(page: Page) -> tuple[float, float]:
    box = page.locator(".st-key-map canvas").first.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _drag(page: Page) -> list[float]:
    x, y = _middle(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate("frames()")
    for step in range(MOVES):
        page.mouse.move(x + 120 * math.sin(step / 9), y + 60 * math.cos(step / 7))
    taken = _frames(page)
    page.mouse.up()
    return taken


def _zoom(page: Page) -> list[float]:
    x, y = _middle(page)
    page.mouse.move(x, y)
    page.evaluate("frames()")
    for step in range(MOVES):
        page.mouse.wheel(0, -40 if step % 40 < 20 else 40)
    return _frames(page)


def _frames(page: Page) -> list[float]:
    stamps = page.evaluate("() => { window.over = true; return window.stamps; }")
    return [float(gap) for gap in np.diff(stamps)]


def _lasso(page: Page, turn: int) -> float:
    x, y = _middle(page)
    page.get_by_role("button", name="Reset", exact=True).click()
    page.get_by_role("button", name="Lasso", exact=True).click()
    x += 200 * (turn % 3 - 1)  # areas apart, whose costliest images differ
    before = page.evaluate("window.names()")
    corners = [(x + 90 * math.cos(a / 9), y + 80 * math.sin(a / 9)) for a in range(56)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners:
        page.mouse.move(*corner)
    page.evaluate("(before) => { window.answer = chosen(before); }", before)
    page.mouse.up()
    taken = float(page.evaluate("window.answer"))
    page.wait_for_timeout(600)
    return taken


def _layouts() -> list[Row]:
    """Time the layouts on features with groups, as a fit makes them: float16."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(40, WIDTH, generator=generator)
    group = torch.randint(0, 40, (IMAGES,), generator=generator)
    features = (centres[group] + 2 * torch.randn(IMAGES, WIDTH, generator=generator)).half()
    rows = []
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        pca(features, 2)
        taken.append(1000 * (time.perf_counter() - begun))
    rows.append(_row(f"PCA of {IMAGES:,} × {WIDTH:,}, ms", taken, 300))
    begun = time.perf_counter()
    tsne(pca(features, COMPONENTS))
    rows.append(_row("t-SNE of the same, s", [time.perf_counter() - begun], 120))
    return rows


def _row(what: str, taken: list[float], goal: int) -> Row:
    median, p90, n = spread(taken)
    verdict = "met" if median <= goal else "**missed**"
    row = [what, f"{median:.0f}", f"{p90:.0f}", str(n), f"{goal:,}", verdict, load()]
    print("   ".join(row), flush=True)
    return row


_HOW = """How it is measured: Debian's Chromium without a screen and without a GPU, 1366 × 768;
the page's own clock. Frames: the time from one frame to the next, drawing all 25,000 points."""
