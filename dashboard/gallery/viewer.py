"""Shows one image large with its probabilities; the arrow keys show the next image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.shared.component import registered
from engine.runs.verdicts import BOTH, CAUSES, FINE, HARD, NEITHER, WRONG

_HTML = """<dialog aria-labelledby="name"><header><span class="where"></span>
<button class="explain" type="button">Explain <kbd>W</kbd></button>
<button class="close" type="button">Close <kbd>Esc</kbd></button></header>
<div class="body"><div class="stage"><img alt=""><img class="heat" alt=""><span class="unreadable">
cannot be read</span></div>
<aside><div class="outcome"></div><h2 id="name"></h2><p class="path"></p><p class="size"></p>
<div class="bars"></div><p class="loss"></p>
<section class="review" hidden></section>
<section class="explanation" hidden></section></aside></div>
<footer><button class="before" type="button">← Previous</button>
<button class="after" type="button">Next →</button></footer></dialog>"""
VERDICT_KEYS = (  # key, verdict, title of its button
    ("l", WRONG, "Wrong label"),
    ("b", BOTH, "Both"),
    ("n", NEITHER, "Neither"),
    ("h", HARD, "Ambiguous"),
    ("f", FINE, "Label is correct"),
)
_viewer = registered(__file__, _HTML, VERDICTS=VERDICT_KEYS, WRONG=WRONG, CAUSES=CAUSES)


def viewer(
    data: dict[str, Any] | None,
    *,
    key: str,
    changed: Callable[[], None],
    judged: Callable[[], None],
) -> None:
    """Show one image large, or nothing.

    Parameters
    ----------
    data : id, src, where, outcome, title, path, size, loss, bars (a list of name, p, role), and
        the ids before and after, None at an end; None shows nothing. review, None for an image
        without a label: others (classes), the current verdict, label, cause, line (reviewer and
        time), each '' without a verdict, and reason (why the label is suspected). lastMessage, the
        number of the last message received. explainable, False if there are no explanations
    key : name of the widget; ``changed`` reads the id to show there under ``open``, '' for none
    judged : callback that reads the verdicts there under ``messages``, at least all that were not
        received yet, oldest first: n, an increasing number, id, and verdict, label, cause or undo.
        A state and not a trigger, because Streamlit keeps only the newest of several triggers
        that arrive while a script runs
    """
    _viewer(
        key=key,
        data=data or {},
        height="content",
        on_open_change=changed,
        on_messages_change=judged,
    )
