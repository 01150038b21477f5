"""Texts of the Clip page about corrections; all text is escaped."""

from __future__ import annotations

from dashboard.shared.escape import literal_html
from dashboard.views.clip.corrections import ShiftedLoss
from dashboard.views.clip.text import short
from engine.analysis.recommendation import Comparison

PUBLISHED = (
    "Test sets tend to be harder than one's own images. Published solutions for Kaggle's Dogs vs. "
    "Cats Redux scored 0.0119 on their own images but 0.0414 on the leaderboard, and 0.0062 but "
    "0.030. Here a share of the correct images is assumed to become errors with unchanged "
    "confidence."
)


def recommendation(compared: Comparison) -> str:
    """Return the recommendation and the method behind it."""
    sample = "a sample of " if compared.sampled else ""
    return (
        f'<div class="sl-text"><p>{literal_html(compared.sentence)}</p><p class="sl-dim">Each '
        f"correction is fitted on four fifths of {sample}{compared.n:,} images and scored on the "
        "rest, in turn, so that overfitting is not rewarded. The intervals are 95 % bootstrap "
        "intervals of the differences.</p></div>"
    )


def comparison_table(compared: Comparison) -> str:
    """Tabulate log loss, difference to no correction and to the best, with intervals."""
    rows = []
    for index, scored in enumerate(compared.scored):
        title = literal_html(scored.correction.title)
        if index == compared.recommended:
            title = f"<b>{title}</b> <small>recommended</small>"
        low, high = scored.interval
        to_raw = (
            f"{scored.difference:+.5f} <small>{low:+.5f} to {high:+.5f}</small>"
            if scored.correction.numbers
            else ""
        )
        to_best = f"{scored.to_best:+.5f}" if index != compared.best else "best"
        rows.append(
            f"<tr><td>{title}</td><td>{scored.log_loss:.5f}</td><td>{to_raw}</td>"
            f"<td>{to_best}</td></tr>"
        )
    left_out = "".join(
        f'<p class="sl-dim sl-text">Left out: {literal_html(title)}, {literal_html(reason)}.</p>'
        for title, reason in compared.left_out
    )
    return (
        '<table class="sl-table sl-whole"><tr><th></th><th>log loss</th><th>to no correction</th>'
        f"<th>to the best</th></tr>{''.join(rows)}</table>{left_out}"
    )


def worse_sentence(points: float, harder: ShiftedLoss, chosen: tuple[float, float]) -> str:
    """Compare suggested and current bounds for the assumed drop in accuracy and without it."""
    bound, expected = harder.symmetric
    loss, known = harder.loss, harder.loss.known
    price = known.at(bound, 1 - bound) - known.at(0, 1)
    suggested = "without clipping" if bound == 0 else f"at the suggested {short(bound):g}"
    return (
        f'<div class="sl-text sl-dim" role="status"><p>If test accuracy drops by {points:g} '
        f"percentage points, the expected log loss is <b>{expected:.5f}</b> {suggested}, "
        f"{loss.at(*chosen):.5f} at the current bounds and {loss.at(0, 1):.5f} without clipping "
        f"(dash-dotted curve below). Without a drop, the suggested bounds change the log loss by "
        f"{price:+.5f}.</p></div>"
    )
