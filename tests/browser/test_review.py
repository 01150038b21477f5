"""From a suspect to a verdict by key, back, a refit and the measured change, in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from engine.model.triage import triage
from engine.runs.run_list import list_runs
from engine.runs.verdicts import load_verdicts, verdicts_path
from tests.support.browser import ready
from tests.support.small_fits import home, small_fit
from tests.support.tiny_images import image_bytes, kaggle, put

WRONG = ("dog.90", "cat.91", "dog.92")


def judged(page: Page, count: int, does: Callable[[], None]) -> None:
    """Do something and wait until so many verdicts stand."""
    does()
    with home(Path(page.workspace)):  # type: ignore[attr-defined]
        for _ in range(300):
            if len(load_verdicts()) == count:
                return
            page.wait_for_timeout(50)
    raise AssertionError(f"{len(load_verdicts())} verdicts stand, not {count}")


def pressed_at_once(dialog: Locator, key: str) -> None:
    """Press a verdict's key; its button shows it before the server can have answered."""
    pressed = dialog.evaluate(
        """(dialog, key) => {
          dialog.dispatchEvent(new KeyboardEvent("keydown", { key }));
          return dialog.querySelector(`[data-key=${key}]`).getAttribute("aria-pressed");
        }""",
        key,
    )
    assert pressed == "true"


def test_verdict_undo_refit_and_the_measured_change(serve, open_context, tmp_path):
    data = kaggle(tmp_path / "data", train=20, test=2)
    for id in WRONG:
        animal, number = id.split(".")
        truly = "cat" if animal == "dog" else "dog"
        put(data / "train" / f"{id}.jpg", image_bytes(truly, int(number)))
    with home(tmp_path / "workspace"):
        first = small_fit(data, valid=12, epochs=8, name="first").run
        triage(first)
    server = serve()
    page = open_context().new_page()
    page.workspace = str(tmp_path / "workspace")
    page.goto(f"{server.url}/errors?run={first.name}&show=suspects")
    ready(page)
    tiles = page.locator(".st-key-gallery .tile")
    expect(tiles.first).to_be_visible()
    assert {tiles.nth(i).get_attribute("data-id") for i in range(3)} == set(WRONG)

    tiles.first.click()
    dialog = page.locator(".st-key-image dialog")
    expect(dialog.locator(".reason")).to_contain_text("of its 10 nearest images are")
    wrong, undo = dialog.locator("[data-key=l]"), dialog.locator("[data-key=u]")
    judged(page, 1, lambda: pressed_at_once(dialog, "l"))
    expect(wrong).to_have_attribute("aria-pressed", "true")
    expect(wrong).to_contain_text("Correct label")
    page.keyboard.press("5")
    expect(dialog.locator("[data-key='5']")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("u")
    expect(dialog.locator("[data-key='5']")).to_have_attribute("aria-pressed", "false")
    judged(page, 0, lambda: page.keyboard.press("u"))
    expect(undo).to_be_disabled()

    for count in (1, 2, 3):
        id = dialog.locator("h2").inner_text()
        judged(page, count, lambda: page.keyboard.press("l"))
        page.keyboard.press("ArrowRight")
        expect(dialog.locator("h2")).not_to_have_text(id)
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(page.locator(".st-key-gallery .verdict")).to_have_count(3)
    lines = [json.loads(line) for line in verdicts_of(tmp_path).read_text().splitlines()]
    assert len(lines) == 7 and all(line["reviewer"] and line["time"] for line in lines)

    ready(page)
    page.get_by_role("button", name="Verdicts (3)").click()
    page.get_by_role("button", name="Refit with 3 verdicts").click()
    page.wait_for_url("**/train?*")
    page.locator("[class*=st-key-open_] button").click(timeout=90_000)
    page.wait_for_url("**/overview?*")
    change = page.get_by_text("With verdicts, ").locator("..")
    expect(change).to_contain_text("3 relabelled, 0 left out")
    expect(change).to_contain_text("On 12 images with one fixed set of labels")
    with home(tmp_path / "workspace"):
        measured = list_runs()[0].config.label_edit_effect
    assert measured.against == first.name
    before, after = re.findall(r"from (\S+) to (\S+), a gain", change.inner_text())[0]
    assert float(before) == round(measured.log_loss_before, 4)
    assert float(after) == round(measured.log_loss_after, 4)


def verdicts_of(folder: Path) -> Path:
    with home(folder / "workspace"):
        return verdicts_path()
