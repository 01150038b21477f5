"""One image, large, with its probabilities; arrow keys go on through the filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.shared.component import registered
from engine.runs.verdicts import BOTH, CAUSES, FINE, HARD, NEITHER, WRONG

_HTML = """<dialog aria-labelledby="name"><header><span class="where"></span>
<button class="explain" type="button">Why <kbd>W</kbd></button>
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
    ("h", HARD, "Hard"),
    ("f", FINE, "Fine"),
)
_viewer = registered(__file__, _HTML, VERDICTS=VERDICT_KEYS, WRONG=WRONG, CAUSES=CAUSES)


def viewer(
    data: dict[str, Any] | None,
    *,
    key: str,
    changed: Callable[[], None],
    judged: Callable[[], None],
) -> None:
    """Show an image large, or nothing.

    Parameters
    ----------
    data : id, src, where, outcome, title, path, size, loss, bars (a list of name, p, role), and the
        ids before and after, None at an end; None shows nothing. review, None for an image
        without a label: others (classes), the standing verdict, label, cause, line (who and
        when), '' where there is none, and reason (why it is suspected). lastMessage, the number of
        the last message that was received. explainable, False where nothing explains
    key : name of the widget; ``changed`` reads the wanted id there under ``open``, '' for none
    judged : reads there under ``messages`` the verdicts, at least all that were not received yet,
        oldest first: n, a growing number, id, and verdict, label, cause or undo. A state, since of
        triggers that come while a script runs Streamlit keeps the newest alone
    """
    _viewer(
        key=key,
        data=data or {},
        height="content",
        on_open_change=changed,
        on_messages_change=judged,
    )
