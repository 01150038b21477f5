"""Renders what was found in the data as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from dashboard.shared.html import rendered


def found(lines: Sequence[tuple[str, str]]) -> Markup:
    """Return a list of (subject, text)."""
    return rendered(__file__, "found", lines=lines)
