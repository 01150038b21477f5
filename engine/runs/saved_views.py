"""Stores named filters of the Errors page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.errors import UserError
from engine.runs.files import locked, read_json, write_json
from engine.runs.opening import is_file
from engine.runs.run import Run

MOST_VIEWS, MOST_NAME_LETTERS, _MOST_LETTERS = 50, 80, 1000
View = dict[str, str]  # parameters of the page's address


def views_path(run: Run) -> Path:
    """Return the path of a run's views."""
    return run.folder / "views.json"


def load_views(run: Run) -> dict[str, View]:
    """Return a run's views by name, oldest first; invalid ones are left out.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    path = views_path(run)
    found = read_json(path) if is_file(path) else {}
    views = {name: view for name, view in found.items() if _is_name(name) and _is_view(view)}
    return dict(list(views.items())[:MOST_VIEWS])


def save_view(run: Run, name: str, view: Mapping[str, str]) -> str:
    """Save a view under a new name, and return the name without surrounding spaces.

    Raises
    ------
    UserError
        If the name is taken, empty or too long, or there are too many views.
    """
    name = " ".join(name.split())
    if not _is_name(name):
        raise UserError(f"the name of a view has 1 to {MOST_NAME_LETTERS} printable characters.")
    with locked(_lock(run)):
        views = load_views(run)
        if name in views:
            raise UserError(f"there is a view called {name!r}; choose another name, or delete it.")
        if len(views) >= MOST_VIEWS:
            raise UserError(f"a run has at most {MOST_VIEWS} views; delete one first.")
        write_json(views_path(run), views | {name: dict(view)})
    return name


def delete_view(run: Run, name: str) -> None:
    """Delete a view if it is there."""
    with locked(_lock(run)):
        views = load_views(run)
        if views.pop(name, None) is not None:
            write_json(views_path(run), views)


def _lock(run: Run) -> Path:
    return run.folder / "views.lock"


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MOST_NAME_LETTERS and name.isprintable()


def _is_view(view: object) -> bool:
    return isinstance(view, dict) and all(
        isinstance(value, str) and len(value) <= _MOST_LETTERS for value in view.values()
    )
