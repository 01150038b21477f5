"""Escapes text for HTML and formats figures."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from engine.cli.console import plain


def text(value: object) -> str:
    """Return HTML that shows the value literally on one line, without control characters."""
    return escape(plain(str(value)), quote=True)


def share(value: float) -> str:
    """Return a fraction as a percentage."""
    return f"{value:.2%}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]], name: str = "") -> str:
    """Return a table of cells that are HTML already; the first column holds text."""
    titles = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table class="{name}"><tr>{titles}</tr>{body}</table></div>'
