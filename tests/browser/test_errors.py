"""From the confusion matrix to the images and back, by mouse and by keyboard, in a browser."""

from __future__ import annotations

from urllib.parse import parse_qs, urlparse

import numpy as np
from playwright.sync_api import expect

from engine.analysis.categories import category_rows
from tests.support.browser import (
    PER_PAGE,
    assert_focused,
    assert_shown,
    category,
    costliest,
    expected,
    settled,
)


def brushed(y_true: np.ndarray, y_pred: np.ndarray, p: np.ndarray) -> np.ndarray:
    rows = category_rows("most-incorrect", y_true, p)
    return rows[(p[rows, 1] >= 0.2) & (p[rows, 1] < 0.6)]


def test_from_cell_to_images_to_large_and_back_and_by_link(serve, open_context):
    server = serve({"n": 900, "n_test": 20, "quarantined": 2})
    page = open_context().new_page()
    page.goto(server.url)
    settled(page)

    worst = page.locator(".st-key-highest_loss .tile").first
    name = worst.get_attribute("data-id")
    worst.click()
    expect(page.locator(".st-key-image dialog h2")).to_have_text(name or "")
    page.go_back()
    settled(page)

    bars = page.locator(".st-key-chart_histogram .nsewdrag").last  # of the incorrect images
    bars.scroll_into_view_if_needed()
    box = bars.bounding_box()
    assert box
    y = box["y"] + 9
    page.mouse.move(box["x"] + 0.2 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], y, steps=4)
    page.mouse.up()
    page.wait_for_url("**&show=most-incorrect&p=0.2-0.6")
    chip = page.get_by_role("button", name="P(dog) 0.2 to below 0.6")
    chip.wait_for()
    settled(page)
    assert_shown(page, expected(brushed)[:PER_PAGE])
    chip.click()
    page.wait_for_url(lambda url: parse_qs(urlparse(url).query).keys() == {"run"})
    expect(page.locator(".st-key-gallery .tile")).to_have_count(PER_PAGE)
    page.get_by_role("link", name="Overview").click()
    page.wait_for_selector(".st-key-matrix .cell")

    page.locator(".st-key-matrix").get_by_label("true cat, predicted dog").click()
    page.wait_for_url("**/errors?*")
    settled(page)
    want = expected(costliest(0, 1))
    expect(page.locator(".st-key-bar")).to_contain_text(f"{len(want):,} of 900 validation images")
    assert_shown(page, want[:PER_PAGE])

    page.locator(".st-key-gallery .tile").nth(3).click()
    dialog = page.locator(".st-key-image dialog")
    expect(dialog.locator("h2")).to_have_text(want[3])
    expect(dialog.locator(".bar")).to_have_count(2)
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("h2")).to_have_text(want[4])
    dialog.get_by_role("button", name="Next →").click()
    expect(dialog.locator("h2")).to_have_text(want[5])
    expect(dialog.locator(".where")).to_have_text(f"6 of {len(want)}")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    settled(page)
    assert_focused(page, want[5])
    page.wait_for_url(lambda url: "picture=" not in url)

    page.get_by_text("Most confident incorrect").click()
    page.wait_for_url("**show=most-incorrect**")
    settled(page)

    def surest(y_true: np.ndarray, y_pred: np.ndarray, p: np.ndarray) -> np.ndarray:
        rows = category_rows("most-incorrect", y_true, p, class_index=1)
        return rows[y_true[rows] == 0]

    want = expected(surest)
    assert_shown(page, want[:PER_PAGE])

    other = open_context().new_page()
    other.goto(page.url)
    settled(other)
    assert_shown(other, want[:PER_PAGE])
    page.go_back()
    page.wait_for_url(lambda url: "show=" not in url)
    settled(page)
    assert_shown(page, expected(costliest(0, 1))[:PER_PAGE])

    page.get_by_role("link", name="Overview").click()
    page.wait_for_selector(".st-key-matrix .cell")
    page.get_by_role("link", name="Errors").click()
    assert_shown(page, expected(costliest(0, 1))[:PER_PAGE])
    assert parse_qs(urlparse(page.url).query)["true"] == ["cat"]


def test_by_keyboard_alone(serve, open_context):
    server = serve({"n": 900, "n_test": 0})
    page = open_context().new_page()
    page.goto(server.url)
    settled(page)
    page.locator(".st-key-matrix .cell").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/errors?*")
    settled(page)
    want = expected(costliest(1, 0))
    assert_shown(page, want[:PER_PAGE])

    page.locator(".st-key-gallery .tile[tabindex='0']").focus()
    columns = page.locator(".st-key-gallery .grid").evaluate(
        "g => getComputedStyle(g).gridTemplateColumns.split(' ').length"
    )
    page.keyboard.press("End")
    assert_focused(page, want[:PER_PAGE][-1])
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert_focused(page, want[columns + 1])
    page.keyboard.press("Enter")
    heading = page.locator(".st-key-image dialog h2")
    expect(heading).to_have_text(want[columns + 1])
    page.keyboard.press("ArrowLeft")
    expect(heading).to_have_text(want[columns])
    page.keyboard.press("End")
    expect(heading).to_have_text(want[-1])
    page.keyboard.press("Escape")
    settled(page)
    last_page = want[(len(want) - 1) // PER_PAGE * PER_PAGE :]
    expect(page.locator(".st-key-gallery .tile")).to_have_count(len(last_page))
    assert_shown(page, last_page)
    assert_focused(page, want[-1])
    page.keyboard.press("PageUp")
    page.wait_for_url(lambda url: "page=" not in url)
    settled(page)
    assert_shown(page, want[:PER_PAGE])


def test_the_next_page_and_image_are_there_before_they_are_asked_for(serve, open_context):
    server = serve({"n": 120, "n_test": 0})
    page = open_context().new_page()
    page.goto(f"{server.url}/errors?show=most-uncertain")
    settled(page)
    page.wait_for_function("() => window.secondLookPages?.size")
    want = expected(lambda y_true, _, p: category_rows("most-uncertain", y_true, p))
    at_once = page.locator(".st-key-gallery .turns button").evaluate(
        "b => { b.click(); return [...b.getRootNode().querySelectorAll('.tile')]"
        ".map((t) => t.dataset.id); }"
    )
    assert at_once == want[PER_PAGE : 2 * PER_PAGE]
    page.wait_for_url("**page=2**")
    expect(page.get_by_role("button", name="← Previous page")).to_be_visible()
    assert_shown(page, want[PER_PAGE : 2 * PER_PAGE])
    page.get_by_role("button", name="← Previous page").click()
    page.wait_for_url(lambda url: "page=" not in url)
    assert_shown(page, want[:PER_PAGE])

    correct = expected(lambda y_true, _, p: category_rows("most-correct", y_true, p))[:PER_PAGE]
    page.wait_for_function(
        """() => [...window.secondLookFirstPages].some(([name, page]) =>
            name.endsWith("/most-correct") && window.secondLookPages.has(page))"""
    )
    click = """(button, state) => {
        document.querySelector('[data-testid=stApp]').dataset.testScriptState = state;
        button.click();
        const grid = [...document.querySelectorAll('.st-key-gallery *')]
            .map((e) => e.shadowRoot?.querySelector('.grid')).find(Boolean);
        return [grid.className.includes('stale'), [...grid.children].map((t) => t.dataset.id)];
    }"""
    button = category(page, "Most confident correct")
    assert button.evaluate(click, "running") == [True, want[:PER_PAGE]]  # names may be outdated
    assert_shown(page, correct)
    back = category(page, "Most uncertain").evaluate(click, "notRunning")
    assert back == [False, want[:PER_PAGE]]
    page.wait_for_url("**show=most-uncertain**")
    assert_shown(page, want[:PER_PAGE])
    page.wait_for_function("() => !document.body.hasAttribute('data-ahead')")
    at_once = category(page, "Most confident correct").evaluate(click, "notRunning")
    assert at_once == [False, correct]
    page.wait_for_url("**show=most-correct**")
    category(page, "Most uncertain").click()
    assert_shown(page, want[:PER_PAGE])

    page.locator(".st-key-gallery .tile").first.click()
    page.wait_for_function("() => window.secondLookFollowing?.size === 1")
    heading = page.locator(".st-key-image dialog h2")
    after = page.locator(".st-key-image dialog .after")
    shown_at_once = "b => { b.click(); return b.getRootNode().querySelector('h2').textContent; }"
    assert after.evaluate(shown_at_once) == want[1]
    page.wait_for_url(lambda url: want[1] in url)
    settled(page)
    expect(heading).to_have_text(want[1])
