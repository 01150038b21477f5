"""Small tables and lists: Jinja2 templates beside the modules, all text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dashboard.shared.escape import one_line

_DASHBOARD = Path(__file__).resolve().parents[1]


def _shown(value: Any) -> Any:
    """Replace control characters in text, which could hide or reorder it."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return one_line(value)
    return value


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_DASHBOARD), autoescape=True, undefined=StrictUndefined,
    finalize=_shown, trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


def rendered(file: str, macro: str, **values: Any) -> Markup:
    """Return HTML of a macro of the template beside a module (text.py: text.html).

    Parameters
    ----------
    file : the module's own ``__file__``
    values : the macro's arguments; text among them is escaped where the macro shows it
    """
    name = Path(file).resolve().with_suffix(".html").relative_to(_DASHBOARD).as_posix()
    made = getattr(_ENVIRONMENT.get_template(name).module, macro)(**values)
    return Markup(str(made).strip())


def show_html(
    html: Markup, width: Literal["stretch", "content"] = "stretch", key: str | None = None
) -> None:
    """Show what `rendered` made; the style sheet reserves room for it under its ``key``."""
    if key is None:
        st.html(html, width=width)
        return
    with st.container(key=key):
        st.html(html, width=width)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, whole: bool = False) -> Markup:
    """Return a small table; the first column holds text, the others figures.

    With ``whole``, no figure is broken into two lines.
    """
    return rendered(__file__, "table", head=head, rows=rows, whole=whole)


def image_grid(images: Sequence[tuple[str, str]]) -> Markup:
    """Return a grid of small images, each as (data URI, caption)."""
    return rendered(__file__, "image_grid", images=images)


def large_image(src: str, text: str) -> Markup:
    """Return an image that fits into the window, from a data URI, with its text for readers."""
    return rendered(__file__, "large_image", src=src, text=text)


def no_run(purpose: str) -> None:
    """Show that there is no finished run, with links to where one is made."""
    st.write(f"There is no finished run yet. Fit a model first, then {purpose} here.")
    st.page_link(
        "views/train/page.py", label="Fit a model to my images", icon=":material/model_training:"
    )
    st.page_link("views/overview/page.py", label="Start the demo", icon=":material/play_arrow:")
