"""From the bounds to the file, and from a folder to a finished fit, in a browser."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine.runs.jobs import running_jobs
from engine.runs.run import Run
from engine.runs.run_list import list_runs, open_run
from tests.support.browser import READY, until
from tests.support.tiny_images import kaggle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_left_running(workspace: Path) -> Iterator[None]:
    """End the fits that a failed test left behind; they outlive whoever started them."""
    yield
    for run in running_jobs():
        with suppress(OSError):
            os.kill(int(run.status.pid), signal.SIGKILL)


def go(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector(READY)


def loss(page: Page) -> str:
    """Return the log loss within the bounds, as shown."""
    return page.get_by_test_id("loss-after").inner_text()


def test_from_the_bounds_to_the_file(serve, open_context, tmp_path):
    server = serve({"n": 400, "n_test": 60, "seed": 1, "quarantined": 3})
    context = open_context()
    page = context.new_page()
    go(page, server.url + "/clip")
    run = open_run("latest")

    # Dragging shows a new log loss before the thumb is let go, and keeps it only afterwards.
    first = loss(page)
    thumb = page.locator(".st-key-clip_track .thumb").first
    thumb.hover(position={"x": 22, "y": 84})
    box = thumb.bounding_box()
    assert box is not None
    page.mouse.down()
    for step in range(1, 7):
        page.mouse.move(box["x"] + 22 + 10 * step, box["y"] + 84)
        page.wait_for_timeout(60)
    expect(page.get_by_test_id("loss-after")).not_to_have_text(first)
    assert run.bounds == (0.025, 0.975)
    page.mouse.up()
    until(lambda: run.bounds != (0.025, 0.975))
    until(lambda: run.bounds[0] == float(thumb.inner_text()))
    assert run.bounds[0] > 0.05 and run.bounds[0] == pytest.approx(1 - run.bounds[1])

    # By keyboard, and by number.
    page.wait_for_selector(READY)
    dragged, kept = loss(page), run.bounds
    thumb.press("ArrowLeft")
    expect(page.get_by_test_id("loss-after")).not_to_have_text(dragged)
    until(lambda: run.bounds != kept)
    page.wait_for_selector(READY)  # the answer sets the field
    field = page.get_by_role("spinbutton", name="Lower bound")
    field.fill("0.04")
    field.press("Enter")
    until(lambda: run.bounds == (0.04, 0.96))

    # The other page hands in what was chosen here, once the missing image is acknowledged.
    page.get_by_role("link", name="Submit").first.click()
    button = page.get_by_role("button", name="Write and download the file")
    expect(button).to_be_disabled()
    page.get_by_text("I understand, submit anyway").click()
    expect(button).to_be_enabled()
    with page.expect_download() as waiting:
        button.click()
    content = Path(waiting.value.path()).read_bytes()
    out = tmp_path / "by command.csv"
    subprocess.run(
        [sys.executable, "-m", "engine", "submit", run.name, "--lower", "0.04", "--upper", "0.96",
         "--out", str(out)],
        check=True, capture_output=True, cwd=ROOT,
    )  # fmt: skip
    assert content == out.read_bytes() and content.count(b"\n") == 62

    # It is kept with the run, and can be had again.
    records = sorted((run.folder / "submissions").glob("*.json"))
    assert json.loads(records[0].read_text())["lower"] == 0.04
    expect(page.get_by_role("button", name="Download", exact=True)).to_have_count(1)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download", exact=True).click()
    assert Path(waiting.value.path()).read_bytes() == content


def start_fit(page: Page, data: Path, network: str, whole: bool, **more: str) -> Run:
    """Start a fit on the Train page and return its run."""
    before = {run.name for run in list_runs()}
    field = page.get_by_role("textbox", name="Data folder")
    field.fill(str(data))
    field.press("Enter")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    for label, choice in (("Network", network), ("Initial weights", "none")):
        page.wait_for_selector(READY)
        box = page.get_by_role("combobox", name=label)
        box.fill(choice)
        box.press("Enter")
        page.wait_for_selector(READY)
    if whole:
        page.get_by_text("The whole network", exact=True).click()
    if not page.get_by_role("spinbutton", name="Image size").is_visible():
        page.get_by_text("More options").click()
    for label, value in more.items():
        number = page.get_by_role("spinbutton", name=label.replace("_", " "))
        number.fill(value)
        number.press("Enter")
        page.wait_for_selector(READY)
    page.get_by_role("button", name="Start", exact=True).click()
    until(lambda: {run.name for run in list_runs()} > before)
    return next(run for run in list_runs() if run.name not in before)


def test_a_fit_goes_on_without_its_tab(serve, open_context, tmp_path):
    server = serve()
    data = kaggle(tmp_path / "pets", train=12, test=4)
    page = open_context().new_page()
    go(page, server.url + "/train")
    run = start_fit(page, data, "squeezenet1_1", whole=False, Image_size="64")
    expect(page.get_by_role("heading", name="Running")).to_be_visible()
    page.context.close()

    until(lambda: run.status.state == "done")
    page = open_context().new_page()
    go(page, server.url + "/train")
    expect(page.get_by_text("Finished.")).to_be_visible(timeout=60_000)
    page.locator(f".st-key-open_{run.name} button").click()
    page.wait_for_url(lambda url: f"run={run.name}" in url and "/train" not in url)
    assert len(run.predictions("test")) == 4


def test_a_fit_is_watched_cancelled_and_lost(serve, open_context, tmp_path):
    server = serve()
    data = kaggle(tmp_path / "pets", train=30, test=2)
    page, other = open_context().new_page(), open_context().new_page()
    go(page, server.url + "/train")
    long = {"Epochs": "5000", "Image_size": "32"}
    run = start_fit(page, data, "resnet18", whole=True, **long)
    expect(page.locator(".sl-steps .now")).to_have_text("Training", timeout=90_000)
    expect(page.get_by_text("images a second")).to_be_visible(timeout=60_000)
    expect(page.locator(".js-plotly-plot")).to_have_count(2, timeout=60_000)
    go(other, server.url + "/train")  # another tab sees the same
    expect(other.locator(".sl-steps .now")).to_have_text("Training")
    page.get_by_role("button", name="Cancel").click()
    for tab in (page, other):
        expect(tab.get_by_text("Cancelled.")).to_be_visible(timeout=60_000)
    assert run.status.state == "cancelled"

    killed = start_fit(page, data, "resnet18", whole=True, **long)
    until(lambda: killed.status.stage == "train")
    os.kill(int(killed.status.pid), signal.SIGKILL)
    expect(page.get_by_text("Lost.")).to_be_visible(timeout=60_000)
    expect(page.locator(".sl-log")).to_contain_text("-m engine fit")
    expect(page.locator(".sl-bar")).to_have_count(0)
