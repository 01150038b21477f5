"""Renders the checks of a submission as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from markupsafe import Markup

from dashboard.shared.html import rendered
from engine.analysis.compared_corrections import named
from engine.competition.submission import Submission
from engine.competition.submission_checks import Check

_SIGNS = {
    "passed": ("✓", "passed"),
    "failed": ("✕", "failed"),
    "flagged": ("!", "please confirm"),
    "unknown": ("–", "not possible"),
}


def costs(submission: Submission) -> bool:
    """Return whether the correction is expected to raise the log loss beyond noise."""
    chosen = submission.chosen
    return bool(chosen and chosen.expected and chosen.expected.costs)


def shown_checks(submission: Submission) -> list[Check]:
    """Return the checks in the words of the page, where the figures stand beside them."""
    if not (submission.chosen and costs(submission)):
        return list(submission.checks)
    what = named(submission.chosen.fitted)
    said = f"{what[0].upper()}{what[1:]}: expected to raise the log loss beyond noise."
    return [
        replace(check, message=said) if check.name == "correction" else check
        for check in submission.checks
    ]


def checks_list(checks: Sequence[Check]) -> Markup:
    """Return the list of checks: passed, failed, to be confirmed or not possible, with shapes."""
    lines = []
    for check in checks:
        kind = _kind(check)
        sign, word = _SIGNS[kind]
        name = check.name.capitalize()
        lines.append(
            {"kind": kind, "sign": sign, "name": name, "word": word, "message": check.message}
        )
    return rendered(__file__, "checks_list", checks=lines)


def verdict(checks: Sequence[Check]) -> str:
    """Return how many checks failed, need confirmation or are not possible, in one sentence."""
    found = Counter(map(_kind, checks))
    if found["failed"]:
        return f"{found['failed']} of {len(checks)} checks failed"
    flagged, unknown = found["flagged"], found["unknown"]
    parts = [f"{flagged} need{'s' * (flagged == 1)} confirmation"] if flagged else []
    parts += [f"{unknown} {'is' if unknown == 1 else 'are'} not possible"] if unknown else []
    return f"No check failed; {', '.join(parts)}" if parts else "All checks passed"


def needed(failed: set[str]) -> str:
    """Return what is missing until the file can be written."""
    if failed == {"correction"}:
        return "To write the file, use the recommended correction or tick the box above."
    return "The file can be written when all checks pass."


def _kind(check: Check) -> str:
    if check.passed is None:
        return "unknown"
    return "failed" if not check.passed else "flagged" if check.ids else "passed"
