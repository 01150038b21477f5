"""Renders the checks of a submission as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from dashboard.shared.html import rendered
from engine.competition.submission_checks import Check

_SIGNS = {"passed": ("✓", "passed"), "failed": ("✕", "failed"), "flagged": ("!", "please confirm")}


def checks_list(checks: Sequence[Check]) -> Markup:
    """Return the list of checks: passed, failed or to be confirmed, by text and shape."""
    lines = []
    for check in checks:
        unsure = check.passed is None or check.ids
        kind = "failed" if check.passed is False else "flagged" if unsure else "passed"
        sign, word = _SIGNS[kind]
        name = check.name.capitalize()
        lines.append(
            {"kind": kind, "sign": sign, "name": name, "word": word, "message": check.message}
        )
    return rendered(__file__, "checks_list", checks=lines)
