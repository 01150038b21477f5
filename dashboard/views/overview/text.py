"""Texts of the Overview page."""

from __future__ import annotations

from dashboard.shared.escape import literal
from engine.runs.run import open_run


def label_edit_effect(name: str) -> str:
    """Return the effect of a refit with verdicts as safe Markdown, or '' for any other run."""
    config = open_run(name).config
    change, made = config.get("change"), config.get("corrections")
    if not isinstance(change, dict) or not isinstance(made, dict):
        return ""
    low, high = change["interval"]
    verdict = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    return (
        f"**With verdicts, {verdict}**: {made['relabelled']:,} relabelled, {made['dropped']:,} "
        f"left out. On {change['n']:,} images with one fixed set of labels the log loss changed "
        f"from {change['log_loss_before']:.4f} to {change['log_loss_after']:.4f}, a gain of "
        f"{change['difference']:.4f} (95%: {low:.4f} to {high:.4f}), compared with run "
        f"{literal(str(change['against']))}."
    )
