"""Strings from strangers as harmless HTML, and figures as words."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from engine.cli.console import plain


def text(value: object) -> str:
    """Return HTML that shows the value as it is, on one line: no tag, no entity, no control."""
    return escape(plain(str(value)), quote=True)


def share(value: float) -> str:
    """Return a share as a percentage."""
    return f"{value:.2%}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]], name: str = "") -> str:
    """Return a table of cells that are HTML already; the first column is text."""
    titles = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table class="{name}"><tr>{titles}</tr>{body}</table></div>'
