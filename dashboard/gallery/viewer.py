"""One image, large, with its probabilities; arrow keys go on through the filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.shared.component import registered

_HTML = """<dialog aria-labelledby="name"><header><span class="where"></span>
<button class="ask" type="button">Why <kbd>W</kbd></button>
<button class="close" type="button">Close <kbd>Esc</kbd></button></header>
<div class="body"><div class="stage"><img alt=""><img class="heat" alt=""><span class="lost">
cannot be read</span></div>
<aside><div class="verdict"></div><h2 id="name"></h2><p class="path"></p><p class="size"></p>
<div class="bars"></div><p class="loss"></p>
<section class="review" hidden></section><section class="reasons" hidden></section></aside></div>
<footer><button class="before" type="button">← Previous</button>
<button class="after" type="button">Next →</button></footer></dialog>"""
_image = registered(__file__, _HTML)


def viewer(
    data: dict[str, Any] | None,
    *,
    key: str,
    changed: Callable[[], None],
    said: Callable[[], None],
) -> None:
    """Show an image large, or nothing.

    Parameters
    ----------
    data : id, src, where, verdict, told, path, size, loss, bars (a list of name, p, role), and the
        ids before and after, None at an end; None shows nothing. review, None for an image
        without a label: others (classes), the standing verdict, label, cause, line (who and
        when), '' where there is none, and reason (why it is suspected). heard, the number of the
        last word that was heard
    key : name of the widget; ``changed`` reads the wanted id there under ``open``, '' for none
    said : reads there under ``said`` what was said of labels, at least all that was not heard yet,
        oldest first: n, a growing number, id, and verdict, label, cause or undo. A state, since of
        triggers that come while a script runs Streamlit keeps the newest alone
    """
    _image(key=key, data=data or {}, height="content", on_open_change=changed, on_said_change=said)
