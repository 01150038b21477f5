"""The list of a submission's checks as HTML; all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.shared.escape import literal_html
from engine.competition.submission import Check

_SIGNS = {"passed": "✓", "failed": "✕", "flagged": "!"}


def checks_list(checks: Sequence[Check]) -> str:
    """List the checks, each passed, failed or to be acknowledged, in words and by shape."""
    lines = []
    for check in checks:
        kind = "failed" if not check.passed else "flagged" if check.ids else "passed"
        word = {"failed": "failed", "flagged": "look at this", "passed": "passed"}[kind]
        lines.append(
            f'<li class="{kind}"><span class="sign">{_SIGNS[kind]}</span><div>'
            f"<b>{literal_html(check.name.capitalize())}</b>"
            f" · {word}<p>{literal_html(check.message)}</p></div></li>"
        )
    return f'<ul class="sl-checks">{"".join(lines)}</ul>'
