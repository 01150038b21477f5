"""What the Clip page says about which bounds can be trusted; all text is escaped."""

from __future__ import annotations

from dashboard.shared.escape import literal_html
from dashboard.views.clip.corrections import ShiftedLoss
from dashboard.views.clip.text import short
from engine.analysis.recommendation import Comparison

PUBLISHED = (
    "Test sets tend to be harder than the images one has. Solutions published for Kaggle's Dogs "
    "vs. Cats Redux went from 0.0119 on their own images to 0.0414 on the leaderboard, and from "
    "0.0062 to 0.030. Here a share of the images that are right become errors, as sure as the "
    "model is where it is right."
)


def recommendation(compared: Comparison) -> str:
    """Return the one sentence, and what it rests on."""
    sample = "a sample of " if compared.sampled else ""
    return (
        f'<div class="sl-text"><p>{literal_html(compared.sentence)}</p><p class="sl-dim">Each '
        f"correction is chosen on four fifths of {sample}{compared.n:,} images and scored on the "
        "rest, in turn, so that one fitted too closely gains nothing. Intervals hold 95 % of the "
        "differences when the images are drawn again.</p></div>"
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
    """Say what the suggested bounds and the present ones cost if the test set is worse, and not."""
    bound, expected = harder.symmetric
    loss, known = harder.loss, harder.loss.known
    price = known.at(bound, 1 - bound) - known.at(0, 1)
    suggested = "without clipping" if bound == 0 else f"at the suggested {short(bound):g}"
    return (
        f'<div class="sl-text sl-dim" role="status"><p>On a test set {points:g} points worse, '
        f"expect <b>{expected:.5f}</b> {suggested}, {loss.at(*chosen):.5f} at the present bounds "
        f"and {loss.at(0, 1):.5f} without any (the dash-dotted curve below). "
        f"If it is no worse, the suggested bounds change the log loss by {price:+.5f}.</p></div>"
    )
