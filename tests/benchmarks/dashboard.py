"""The dashboard in a real browser: how long each click takes, at 25,000 and 1,000,000 images.

The clock is the page's own: from the time stamp of the click, key or move to the moment at which
what was asked for stands there, every image decoded. The rerun times are taken on the wire:
20 websocket sessions replay what the browser sent for a click, from asking to "script finished".
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.benchmarks.made_runs import drawn, made_run
from tests.benchmarks.report import load, machine, spread, table
from tests.benchmarks.sessions import click_alone, click_together, recorded
from tests.support.browser import ARGUMENTS, CHROMIUM, READY, Server
from tests.support.browser import category as category_button

TITLE = "Dashboard"
SMALL, LARGE, TEST, IMAGES = 25_000, 1_000_000, 12_500, 300
REPEAT, SESSIONS = 11, 20
PAUSE = 700  # milliseconds between clicks: a person looks before the next one
CATEGORIES = ("Most uncertain", "Random incorrect", "Most confident incorrect", "Random correct")
Row = list[str]

_CLOCK = """
addEventListener("click", (e) => { window.asked = e.timeStamp; }, true);
addEventListener("pointermove", (e) => { window.moved = e.timeStamp; }, true);
window.inside = (key) => [...document.querySelectorAll(`.st-key-${key} *`)]
  .find((e) => e.shadowRoot)?.shadowRoot;
window.gallery = () => [...(inside("gallery")?.querySelectorAll(".tile") ?? [])];
window.ids = () => gallery().map((t) => t.dataset.id).join();
window.loss = () => document.querySelector("[data-testid=loss-after]")?.textContent;
// The moment at which `there()` first holds; looked at on every change and every frame.
window.until = (there) => new Promise((done, failed) => {
  const begun = performance.now(), watched = new Set();
  const seen = new MutationObserver(look);
  const watch = (root) => {
    if (!root || watched.has(root)) return;
    watched.add(root);
    seen.observe(root, { childList: true, subtree: true, characterData: true, attributes: true });
  };
  let over = false;
  function look() {
    if (over) return;
    watch(document);
    watch(inside("gallery"));
    if (there()) { over = true; seen.disconnect(); done(performance.now()); }
    else if (performance.now() - begun > 20000) { over = true; failed("not there in 20 s"); }
  }
  const frame = () => { look(); if (!over) requestAnimationFrame(frame); };
  frame();
});
// 48 images of another page, all decoded.
window.decoded = async (before) => {
  await until(() => gallery().length && ids() !== before);
  const images = gallery().map((t) => t.querySelector("img")).filter(Boolean);
  await Promise.all(images.map((i) => i.decode()));
  return [performance.now() - window.asked, images.length];
};
window.changed = async (before) => await until(() => loss() && loss() !== before) - window.moved;
window.retold = async (before) => await until(() => loss() && loss() !== before) - window.asked;
"""
# What makes a page usable: its own content, which is the last to come.
_USABLE = {
    "overview": "document.querySelectorAll('.js-plotly-plot .main-svg').length >= 3"
    " && inside('matrix')?.querySelector('.cell') && inside('highest_loss')?.querySelector('img')",
    "errors": "gallery().length === 48",
    "clip": "loss() && inside('clip_track')?.querySelector('.thumb')"
    " && document.querySelector('.js-plotly-plot .main-svg')",
    "submit": "document.querySelector('.st-key-submit_button button')"
    " && document.querySelector('.js-plotly-plot .main-svg')",
    "train": "document.querySelector('.st-key-train_data input')",
}


def measure() -> str:
    """Measure everything and return the section."""
    with tempfile.TemporaryDirectory() as folder, _browser() as browser:
        root = Path(os.environ.get("SECONDLOOK_BENCH") or folder)
        files = drawn(root / "images", IMAGES)
        with _home(root / "small"):
            made_run(root / "images", files, SMALL, TEST)
        with _home(root / "large"):
            made_run(root / "images", files, LARGE, TEST)
        small = _small(browser, root / "small")
        large = _large(browser, root / "large")
    packages = ("streamlit", "plotly", "numpy", "pyarrow", "pandas", "playwright")
    return "\n\n".join([machine(packages), small, large, _HOW])


def _small(browser: Browser, home: Path) -> str:
    rows: list[Row] = []
    launches = [_launch(browser, home) for _ in range(7)]
    rows.append(_row("`streamlit run` to first page usable", launches, 3000))
    server = Server(home)
    try:
        page = _page(browser)
        rows += _clicks(page, server.url)
        rows.append(_row("clip drag to new log loss", _drag(page, server.url), 100))
        page.context.close()
        asked = recorded(browser, server.url)
        alone = _memory(server)
        rows.append(_row("server, rerun of Errors, 1 session", click_alone(asked, REPEAT * 4), 30))
        together, held = click_together(asked, SESSIONS, 6, lambda: _memory(server))
        rows.append(_row(f"server, the same, {SESSIONS} sessions", together, 60, p95=True))
        memory = f"Server memory: {alone} MB with 1 session, {held} MB with {SESSIONS}."
    finally:
        server.stop()
    return _told(f"{SMALL:,} predictions", rows) + f"\n\n{memory}"


def _large(browser: Browser, home: Path) -> str:
    rows: list[Row] = []
    server = Server(home)
    try:
        page = _page(browser)
        _opens(page, f"{server.url}/train", "train")  # the browser has the scripts from here on
        for name in _USABLE:
            first = [_opens(page, f"{server.url}/{name}", name)]
            again = [_opens(page, f"{server.url}/{name}", name) for _ in range(7)]
            rows.append(_row(f"{name} opens, nothing read from disk yet", first, 2000))
            rows.append(_row(f"{name} opens again", again, 2000))
        page.context.close()
        page = _page(browser)
        rows += _clicks(page, server.url, category=300)
        rows.append(_row("clip drag to new log loss", _drag(page, server.url), 300))
        rows[-1][0] += f" (server {_memory(server)} MB)"
    finally:
        server.stop()
    return _told(f"{LARGE:,} predictions", rows)


def _clicks(page: Page, url: str, category: int = 200) -> list[Row]:
    cells, turns, switches = [], [], []
    for turn in range(REPEAT):
        _opens(page, f"{url}/overview", "overview")
        page.wait_for_timeout(PAUSE)
        cells.append(_gallery(page, page.locator(".st-key-matrix .cell").nth(turn % 4).click))
    _opens(page, f"{url}/errors?show=all", "errors")
    page.wait_for_timeout(PAUSE)
    for _ in range(REPEAT):
        turns.append(_gallery(page, page.get_by_role("button", name="Next page →").click))
        page.wait_for_timeout(PAUSE)
    _opens(page, f"{url}/errors", "errors")
    page.wait_for_timeout(PAUSE)
    for turn in range(REPEAT + 1):
        button = category_button(page, CATEGORIES[turn % len(CATEGORIES)])
        switches.append(_gallery(page, button.click))
        page.wait_for_timeout(PAUSE)
    return [
        _row("matrix click to 48 images decoded", cells, 300),
        _row("page turn to 48 images decoded", turns, 150),
        _row("category switch to 48 images decoded", switches, category),
    ]


def _gallery(page: Page, click: Callable[[], None]) -> float:
    before = page.evaluate("window.ids()")
    page.evaluate("(before) => { window.answer = decoded(before); }", before)
    click()
    milliseconds, count = page.evaluate("window.answer")
    assert count == 48, f"{count} images instead of 48"
    return float(milliseconds)


def _drag(page: Page, url: str) -> list[float]:
    _opens(page, f"{url}/clip", "clip")
    page.wait_for_timeout(PAUSE)
    page.get_by_role("button", name="Often used").click()
    page.wait_for_timeout(PAUSE)
    thumb = page.locator(".st-key-clip_track .thumb").first
    box = thumb.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 34
    page.mouse.move(x, y)
    page.mouse.down()
    taken = []
    for step in range(1, 25):
        before = page.evaluate("window.loss()")
        page.evaluate("(before) => { window.answer = changed(before); }", before)
        page.mouse.move(x + 6 * step, y)
        taken.append(float(page.evaluate("window.answer")))
        page.wait_for_timeout(150)
    page.mouse.up()
    return taken


def _launch(browser: Browser, home: Path) -> float:
    """Return milliseconds from starting the server to a usable Overview; the browser runs."""
    page = _page(browser)
    begun = time.time()
    server = Server(home)
    try:
        page.goto(server.url, wait_until="commit")
        page.wait_for_selector(".st-key-matrix", timeout=60_000)
        there = page.evaluate(f"until(() => {_USABLE['overview']}).then(() => Date.now())")
        return float(there - 1000 * begun)
    finally:
        page.context.close()
        server.stop()


def _opens(page: Page, url: str, name: str) -> float:
    """Return milliseconds from the start of the navigation until a page is usable."""
    page.goto(url, wait_until="commit")
    page.wait_for_selector("[data-testid=stApp]", timeout=60_000)
    there = float(page.evaluate(f"until(() => {_USABLE[name]})"))
    page.wait_for_selector(READY)
    return there


def _page(browser: Browser) -> Page:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    context.add_init_script(_CLOCK)
    return context.new_page()


def _memory(server: Server) -> int:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return round(int(text.split("VmRSS:")[1].split()[0]) / 1000)


def _row(what: str, milliseconds: list[float], goal: int, *, p95: bool = False) -> Row:
    median, p90, n = spread(milliseconds)
    judged, word = (median, "") if not p95 else (sorted(milliseconds)[int(0.95 * n)], " (p95)")
    said = f"{judged:.0f}{word}" if p95 else f"{p90:.0f}"
    verdict = "met" if judged <= goal else "**missed**"
    row = [what, f"{median:.0f}", said, str(n), f"{goal:,}", verdict, load()]
    print("   ".join(row), flush=True)
    return row


def _told(title: str, rows: list[Row]) -> str:
    head = ("milliseconds", "median", "p90", "n", "goal", "", "load")
    return f"### {title}\n\n" + table(head, rows)


@contextmanager
def _home(home: Path) -> Iterator[None]:
    before = os.environ.get("SECONDLOOK_HOME")
    os.environ["SECONDLOOK_HOME"] = str(home / "workspace")
    yield
    if before is None:
        del os.environ["SECONDLOOK_HOME"]
    else:
        os.environ["SECONDLOOK_HOME"] = before


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)


_HOW = """How it is measured: Debian's Chromium without a screen, 1366 × 768; the page's own clock,
from the time stamp of the click or move to the last `img.decode()` or to the new text; medians.
The server's rerun is timed on the wire, from sending what the browser sent for a category or page
click to receiving "script finished", so waiting for other sessions counts. 20 sessions click once
in two seconds each."""
