"""One picture, large, with its probabilities; arrow keys go on through the filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.components import registered

_HTML = """<dialog aria-labelledby="name"><header><span class="where"></span>
<button class="close" type="button">Close <kbd>Esc</kbd></button></header>
<div class="body"><div class="stage"><img alt=""><span class="lost">cannot be read</span></div>
<aside><div class="verdict"></div><h2 id="name"></h2><p class="path"></p><p class="size"></p>
<div class="bars"></div><p class="loss"></p></aside></div>
<footer><button class="before" type="button">← Previous</button>
<button class="after" type="button">Next →</button></footer></dialog>"""
_picture = registered("picture", _HTML)


def picture(data: dict[str, Any] | None, *, key: str, changed: Callable[[], None]) -> None:
    """Show a picture large, or nothing.

    Parameters
    ----------
    data : id, src, where, verdict, told, path, size, loss, bars (a list of name, p, role), and the
        ids before and after, None at an end; None shows nothing
    key : name of the widget; ``changed`` reads the wanted id there under ``open``, '' for none
    """
    _picture(key=key, data=data or {}, height="content", on_open_change=changed)
