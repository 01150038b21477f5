"""Shows one image large with its probabilities; the arrow keys show the next image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.review.standing import TITLES
from dashboard.shared.component import registered
from engine.runs.image_notes import MOST_NOTE_LETTERS, MOST_TAG_LETTERS
from engine.runs.verdicts import BOTH, CAUSES, FINE, HARD, NEITHER, WRONG

_HTML = """<dialog aria-labelledby="name"><header><span class="where"></span>
<button class="like" type="button">More like this <kbd>M</kbd></button>
<button class="explain" type="button">Explain <kbd>W</kbd></button>
<button class="whole" type="button" aria-pressed="false">1:1 <kbd>Z</kbd></button>
<button class="close" type="button">Close <kbd>Esc</kbd></button></header>
<div class="body"><div class="stage"><img alt=""><img class="heat" alt=""><span class="unreadable">
cannot be read</span><span class="run" aria-live="polite"></span></div>
<div class="twin" hidden><img alt=""><img class="heat" alt=""><span class="run"></span></div>
<div class="beside" hidden><img alt=""><button class="second" type="button"></button></div>
<aside><div class="outcome"></div><h2 id="name"></h2><p class="path"></p><p class="size"></p>
<p><a class="original" target="_blank" rel="noopener">Original file</a></p>
<div class="bars"></div><p class="loss"></p>
<section class="review" hidden></section>
<section class="notes" hidden></section>
<section class="explanation" hidden></section></aside></div>
<footer><button class="before" type="button">← Previous</button>
<button class="after" type="button">Next →</button></footer></dialog>"""
VERDICT_KEYS = tuple(  # key, verdict, title of its button
    (key, verdict, TITLES[verdict])
    for key, verdict in (("l", WRONG), ("b", BOTH), ("n", NEITHER), ("h", HARD), ("f", FINE))
)
_viewer = registered(
    __file__,
    _HTML,
    also=("zoom.js", "notes.js"),
    VERDICTS=VERDICT_KEYS,
    WRONG=WRONG,
    HARD=HARD,
    CAUSES=CAUSES,
    MOST_TAG_LETTERS=MOST_TAG_LETTERS,
    MOST_NOTE_LETTERS=MOST_NOTE_LETTERS,
)


def viewer(
    data: dict[str, Any] | None,
    *,
    key: str,
    changed: Callable[[], None],
    judged: Callable[[], None],
    compared: Callable[[], None] = lambda: None,
) -> None:
    """Show one image large, or nothing.

    Parameters
    ----------
    data : None for nothing, or these keys:
        id, src, where, outcome, title, path, size, loss : text
        pixels : width and height; original, the address of the file
        bars : a list of name, p, role; other, None or names and bars of this and another run
        before, after, first, last : ids, None at an end
        review : None for an image without a label, or others (classes), the current verdict,
        label, cause, line (reviewer and time) and effect, each '' without a verdict, and reason
        (why the label is suspected)
        notes : None for an image that was never read, or tags, note and known, all tags in use
        lastMessage : number of the last message received
        explainable : False if there are no explanations
        following : name under which `prefetch` sends the image ``after``; '' or left out for none
        similar : True if similar images can be shown; beside, None or a second image: src and text
    key : name of the widget; ``changed`` reads the id to show there under ``open``, '' for none
    judged : callback that reads there under ``messages`` at least all that were not received yet,
        oldest first: n, an increasing number, id, and verdict, label, cause or undo; or tag and on;
        or note.
        A state and not a trigger, because Streamlit keeps only the newest of several triggers
        that arrive while a script runs
    compared : callback that reads the id there under ``like`` whose similar images to show, and
        under ``second`` whether to show the second image by itself
    """
    _viewer(
        key=key,
        data=data or {},
        height="content",
        on_open_change=changed,
        on_messages_change=judged,
        on_like_change=compared,
        on_second_change=compared,
    )
