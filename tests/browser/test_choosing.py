"""Images are chosen, judged together, taken back and exported, in a browser."""

from __future__ import annotations

import csv

from playwright.sync_api import expect

from engine.runs.verdicts import load_verdicts
from tests.support.browser import settled, shown, until


def verdicts() -> list[str]:
    return [each.verdict for each in load_verdicts().standing.values()]


def test_choose_judge_undo_and_export(serve, open_context):
    server = serve({"n": 60, "n_test": 0, "distinct": 60})
    page = open_context().new_page()
    page.goto(f"{server.url}/errors?show=all")
    settled(page)
    tiles, bar = page.locator(".st-key-gallery .tile"), page.locator(".st-key-chosen")
    tiles.nth(1).hover()
    tiles.nth(1).locator(".check").click()
    expect(bar).to_contain_text("1 chosen")
    tiles.nth(4).click(modifiers=["Shift"])
    expect(bar).to_contain_text("4 chosen")
    tiles.nth(2).click(modifiers=["ControlOrMeta"])
    expect(bar).to_contain_text("3 chosen")
    expect(tiles.nth(2)).to_have_attribute("aria-pressed", "false")
    tiles.nth(2).focus()
    page.keyboard.press("Space")
    expect(bar).to_contain_text("4 chosen")
    want = shown(page)[1:5]

    bar.get_by_role("button", name="Neither").click()
    expect(page.locator(".st-key-gallery .verdict")).to_have_count(4)
    until(lambda: verdicts() == ["neither"] * 4)
    with page.expect_download() as download:
        bar.get_by_role("button", name="CSV").click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == want
    assert {row["verdict"] for row in rows} == {"neither"}
    bar.get_by_role("button", name="Undo").click()
    expect(page.locator(".st-key-gallery .verdict")).to_have_count(0)

    bar.get_by_role("button", name="Clear").click()
    expect(bar).to_have_count(0)
    first, third = tiles.nth(0).bounding_box(), tiles.nth(2).bounding_box()
    assert first and third
    page.mouse.move(first["x"] + 9, first["y"] + 9)
    page.mouse.down()
    page.mouse.move(third["x"] + 9, third["y"] + 30, steps=4)
    page.mouse.up()
    expect(bar).to_contain_text("3 chosen")
    expect(page.locator(".st-key-image dialog")).to_be_hidden()  # a drag opens nothing

    tiles.nth(0).focus()
    page.keyboard.press("ControlOrMeta+a")
    expect(bar).to_contain_text("60 chosen")
    bar.get_by_role("button", name="Clear").click()
    expect(bar).to_have_count(0)
    page.keyboard.press("Escape")
    tiles.nth(0).click()  # opens, as before
    dialog = page.locator(".st-key-image dialog")
    expect(dialog.locator("h2")).to_have_text(shown(page)[0])
    page.keyboard.press("a")
    page.keyboard.press("f")  # a verdict, and on to the next image
    expect(dialog.locator("h2")).to_have_text(shown(page)[1])
    until(lambda: verdicts() == ["fine"])
