"""Keys that work on every page: ``?`` shows all keys, Ctrl or ⌘ and K jumps somewhere."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.selection import split
from dashboard.selection.filters import ID, TRUE
from dashboard.selection.image_filter import ImageFilter, forget_filter, open_errors
from dashboard.selection.run import run_name, show_run
from dashboard.selection.views import go_to_view, saved_views
from dashboard.shared import tables
from dashboard.shared.browser_sync import component_value
from dashboard.shared.component import registered
from dashboard.shared.tables import RunSummary
from engine.errors import UserError
from engine.runs.run_list import open_run

KEY = "shortcuts"
_EVERYWHERE = (
    ("?", "these keys"), ("Ctrl or ⌘ + K", "jump to a page, run, view, class or image"),
    ("Tab, then Enter", "skip to the content"),
)  # fmt: skip
_GALLERY = (
    ("arrow keys, Home, End", "move between images"), ("Enter", "enlarge the image"),
    ("Page up, Page down", "turn the page"), ("Ctrl + wheel", "size of the images"),
)  # fmt: skip
_CHOICE = (
    ("Space, Ctrl or ⌘ + click", "choose an image"), ("Shift + click", "choose a range"),
    ("drag with the mouse", "choose the images that the rectangle touches"),
    ("Ctrl or ⌘ + A", "choose all images of the filter"),
)  # fmt: skip
_SIMILAR = (("M", "more images like this one"),)
_VIEWER = (
    ("← →, swipe", "previous and next image"), ("Home, End", "first and last image"),
    ("Z, double click", "one image pixel on one screen pixel"),
    ("+ −, wheel, pinch", "zoom; drag to move"),
    ("W", "explain the prediction"),
    ("L B N H F", "wrong label, both, neither, ambiguous, label is correct"),
    ("1 to 9", "cause of difficulty"), ("U", "undo the verdict"),
    ("A", "show the next image after each verdict, or not"),
    ("Esc", "close"),
)  # fmt: skip


def _in_large(*keys: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((f"in the large view: {each}", what) for each, what in keys)


_KEYS = {
    "overview": (("arrow keys", "move in the confusion matrix"), ("Enter", "show a cell's images")),
    "errors": (*_GALLERY, *_CHOICE, *_in_large(*_SIMILAR, *_VIEWER)),
    "map": (
        ("arrow keys, + −, 0", "move, zoom, show all"), ("Enter", "list the images in view"),
        ("L or Shift + drag", "lasso"),
    ),
    "clip": (("arrow keys, Page up, Page down", "move a bound that has the focus"),),
    "compare": (*_GALLERY, *_in_large(*_VIEWER)),
}  # fmt: skip
_MOST_CLASSES = 1000
_shortcuts = registered(__file__, '<dialog class="keys"></dialog><dialog class="jump"></dialog>')


def shortcuts(page: str, pages: Sequence[str], runs: Sequence[RunSummary]) -> None:
    """Listen for the keys, and go where the user chose.

    Parameters
    ----------
    page, pages : the folder of the shown page in views/, and those of all pages
    runs : the finished runs
    """
    places = [["page", name, name.capitalize()] for name in pages]
    places += [["run", run.name, run.line] for run in runs]
    run = run_name()
    places += [["view", name, name] for name in (saved_views(run) if run else ())]
    places += [["class", name, name] for name in _class_names()]
    _shortcuts(
        key=KEY,
        data={"keys": [*_EVERYWHERE, *_KEYS.get(page, ())], "places": places},
        on_go_change=lambda: None,
    )


def go(pages: Sequence[str]) -> None:
    """Go where the user chose, if they did; before anything is drawn."""
    asked = component_value(KEY, "go")
    if not (isinstance(asked, list) and len(asked) == 2 and all(isinstance(a, str) for a in asked)):
        return
    kind, name = asked
    if kind == "page" and name in pages:
        st.switch_page(f"views/{name}/page.py", query_params=split.standing_parameters())
    elif kind == "run":
        forget_filter()
        show_run(name)
    elif kind == "class" and name in _class_names():
        open_errors(ImageFilter(show="all", where={TRUE: name}))
    elif kind == "view" and (run := run_name()) and (view := saved_views(run).get(name)):
        go_to_view(run, view)
    elif kind == "image" and (run := run_name()):
        table = split.selected_table(run, split.ANY_TEST)
        known = tables.row_of(table, name) is not None
        found = ImageFilter(show="all", image=name) if known else ImageFilter(where={ID: name})
        open_errors(found, to=table.key[1] if table.key[1] in ("test", "train") else "")


def _class_names() -> tuple[str, ...]:
    try:
        return open_run(run).class_names[:_MOST_CLASSES] if (run := run_name()) else ()
    except (UserError, KeyError):
        return ()
