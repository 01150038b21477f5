"""Renders the checks of a submission as HTML; all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.shared.escape import literal_html
from engine.competition.submission import Check

_SIGNS = {"passed": "✓", "failed": "✕", "flagged": "!"}


def checks_list(checks: Sequence[Check]) -> str:
    """Return the list of checks: passed, failed or to be confirmed, by text and shape."""
    lines = []
    for check in checks:
        kind = "failed" if not check.passed else "flagged" if check.ids else "passed"
        word = {"failed": "failed", "flagged": "please confirm", "passed": "passed"}[kind]
        lines.append(
            f'<li class="{kind}"><span class="sign">{_SIGNS[kind]}</span><div>'
            f"<b>{literal_html(check.name.capitalize())}</b>"
            f" · {word}<p>{literal_html(check.message)}</p></div></li>"
        )
    return f'<ul class="sl-checks">{"".join(lines)}</ul>'
