"""A person who is faster than the server loses nothing: keys at one moment, or before an answer."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from engine.analysis.categories import category_rows
from engine.runs.verdicts import load_verdicts
from tests.support.browser import (
    PER_PAGE,
    assert_focused,
    assert_shown,
    costliest,
    expected,
    settled,
    until,
)
from tests.support.small_fits import home

# Runs a task as soon as the large view shows an image, before anything else can happen.
WHEN_SHOWN = """(id, task) => {
    const root = [...document.querySelectorAll('.st-key-image *')]
        .find((e) => e.shadowRoot)?.shadowRoot ?? document;
    const heading = root.querySelector('dialog h2');
    const watcher = new MutationObserver(() => {
        if (heading.textContent !== id) return;
        watcher.disconnect();
        task(heading.closest('dialog'));
    });
    watcher.observe(heading, { childList: true });
}"""
PRESS = """(target, key) => target.dispatchEvent(
    new KeyboardEvent('keydown', { key, bubbles: true, composed: true }))"""


def opened(page: Page, want: list[str], at: int) -> None:
    """Open an image of the first page large."""
    page.locator(f".st-key-gallery .tile[data-id='{want[at]}']").click()
    expect(page.locator(".st-key-image dialog h2")).to_have_text(want[at])


def test_a_key_at_the_moment_the_next_page_is_asked_for(serve, open_context):
    """Streamlit sends both as one message that names the part of the page for the next page."""
    server = serve({"n": 900, "n_test": 0})
    page = open_context().new_page()
    page.add_init_script(
        """const usual = window.setTimeout;
        window.held = [];
        window.setTimeout = (task, after, ...rest) => after === 200 && `${task}`.includes('want')
            ? window.held.push(task) : usual(task, after, ...rest);"""
    )
    page.goto(f"{server.url}/errors?true=dog&predicted=cat")
    settled(page)
    want = expected(costliest(1, 0))
    opened(page, want, 1)
    settled(page)
    asked = page.evaluate(
        f"""() => {{
            const press = {PRESS};
            const dialog = [...document.querySelectorAll('.st-key-image *')]
                .map((e) => e.shadowRoot ?? e).find((e) => e.querySelector('dialog'))
                .querySelector('dialog');
            const asking = window.held.length;
            window.held.pop()();
            press(dialog, 'ArrowRight');
            return asking;
        }}"""
    )
    assert asked
    expect(page.locator(".st-key-image dialog h2")).to_have_text(want[2])


def test_closed_before_the_page_switch_has_followed(serve, open_context):
    """What a widget says of itself before it hears of the new page is no choice of a person."""
    server = serve({"n": 900, "n_test": 0})
    page = open_context().new_page()
    held: list[bytes | str] = []
    state = {"hold": False, "closing": False}

    def pass_on(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def answered(message: bytes | str) -> None:
            element = ForwardMsg.FromString(message).delta.new_element  # type: ignore[arg-type]
            late = state["hold"] and (held or element.WhichOneof("type") == "pagination")
            held.append(message) if late else route.send(message)

        def asked(message: bytes | str) -> None:
            upstream.send(message)
            if not state["closing"]:  # the page asks for the next images by itself
                return
            state["hold"] = False
            while held:
                route.send(held.pop(0))

        upstream.on_message(answered)
        route.on_message(asked)

    page.route_web_socket("**/_stcore/stream", pass_on)
    page.goto(f"{server.url}/errors?true=dog&predicted=cat")
    settled(page)
    want = expected(costliest(1, 0))
    opened(page, want, 0)
    settled(page)
    state["hold"] = True
    page.keyboard.press("End")
    expect(page.locator(".st-key-image dialog h2")).to_have_text(want[-1])
    for _ in range(1500):
        if held:
            break
        page.wait_for_timeout(20)
    assert held
    state["closing"] = True
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-image dialog")).not_to_be_visible()
    page.wait_for_url(lambda url: "picture=" not in url)
    assert not held and not state["hold"]
    last_page = want[(len(want) - 1) // PER_PAGE * PER_PAGE :]
    assert_shown(page, last_page)
    assert_focused(page, want[-1])
    assert "page=2" in page.url


def test_verdicts_in_haste_are_all_kept(serve, open_context, tmp_path: Path):
    """A verdict as soon as an image is there, and the next image at once, again and again."""
    server = serve({"n": 60, "n_test": 0})
    page = open_context().new_page()
    page.goto(f"{server.url}/errors?show=most-uncertain")
    settled(page)
    want = expected(lambda y_true, _, p: category_rows("most-uncertain", y_true, p))
    opened(page, want, 0)
    for id, haste in zip(want[1:8], (0, 5, 30, 0, 5, 30, 0), strict=True):
        page.evaluate(
            f"""([id, haste]) => ({WHEN_SHOWN})(id, (dialog) => {{
                const press = {PRESS};
                press(dialog, 'h');
                setTimeout(() => press(dialog, '6'), haste);
                setTimeout(() => press(dialog, 'ArrowRight'), 2 * haste);
            }})""",
            [id, haste],
        )
    page.keyboard.press("ArrowRight")
    expect(page.locator(".st-key-image dialog h2")).to_have_text(want[8])

    def kept() -> list[tuple[str, str | None]]:
        return [(one.verdict, one.cause) for one in load_verdicts().standing.values()]

    with home(tmp_path / "workspace"):
        until(lambda: kept() == [("hard", "illumination")] * 7)
