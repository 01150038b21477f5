"""Why, in a browser: asked by a key, shown over the image, and gone on with by arrow keys."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import expect

from engine.runs.explanations import save_explanation
from engine.runs.run_list import list_runs
from tests.support.browser import settled
from tests.support.explanations import explained


def test_why_by_key_and_on_to_the_next(serve, open_context):
    server = serve({"n": 60, "n_test": 0}, {"n": 60, "n_test": 0, "name": "second", "wrong": 0.4})
    for run in list_runs():
        run.update_config(head_sha256="0" * 64)
        made = [explained(run, row) for row in range(60)]
        known = run.predictions()
        second = np.argsort(known.probabilities[np.arange(60), known.y_true], kind="stable")[1]
        made[second]["maps"].reverse()  # the first shows no area
        made[second]["model_note"] = "The model shown here gets this image right (cat 0.913)."
        for each in made:
            save_explanation(run, each)
    page = open_context().new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(f"{server.url}/errors?show=all")
    settled(page)
    page.locator(".st-key-gallery .tile").first.click()
    dialog = page.locator(".st-key-image dialog")
    heat, reasons = dialog.locator(".heat").first, dialog.locator(".explanation")
    expect(dialog).to_be_visible()
    expect(reasons).not_to_be_visible()
    page.keyboard.press("w")
    expect(reasons.locator(".near")).to_have_count(1)
    expect(heat).to_be_visible()
    legend = dialog.locator(".stage .run")
    expect(legend).to_contain_text("Warm areas: evidence for ")
    reasons.get_by_role("button", name="Hide heat map").click()
    expect(heat).not_to_be_visible()
    expect(legend).to_have_text("")
    page.keyboard.press("ArrowRight")
    expect(dialog.locator(".where")).to_have_text("2 of 60")
    expect(reasons.locator(".near")).to_have_count(1)
    expect(heat).to_be_visible()
    expect(dialog.locator(".explain")).to_have_attribute("aria-busy", "false")
    expect(reasons.locator("h3 + .about")).to_contain_text("gets this image right")
    for width, height in ((390, 844), (1366, 768)):
        page.set_viewport_size({"width": width, "height": height})
        place = legend.bounding_box()
        assert place and 0 < place["y"] < height - place["height"]
        expect(legend).to_be_in_viewport(ratio=1)
    page.keyboard.press("w")
    expect(reasons).not_to_be_visible()
    expect(heat).not_to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    page.goto(f"{server.url}/compare")
    settled(page)
    page.locator(".st-key-compared .tile").first.click()
    dialog = page.locator(".st-key-compared_large dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("w")
    twin, stage = dialog.locator(".twin"), dialog.locator(".stage")
    for side in (stage, twin):
        expect(side.locator(".run")).to_contain_text("evidence for")
        expect(side.locator(".heat")).to_be_visible()
    assert stage.locator(".run").inner_text() != twin.locator(".run").inner_text()
    size = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    left, right = twin.bounding_box(), stage.bounding_box()
    assert left and right and left["y"] == right["y"] and left["x"] < right["x"]
    page.set_viewport_size(size)
    dialog.get_by_role("button", name="Hide heat maps").click()
    expect(dialog.locator(".heat:visible")).to_have_count(0)
    page.keyboard.press("z")
    expect(dialog.locator(".zoomed")).to_have_count(2)
    page.keyboard.press("w")
    expect(twin).not_to_be_visible()
    assert broken == []
