"""Texts and small tables of the Clip page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dashboard.shared.escape import one_line
from dashboard.shared.html import rendered
from dashboard.views.clip.corrections import ShiftedCurve
from dashboard.views.clip.data import ClipLossCurve
from engine.analysis.compared_corrections import Comparison, named

ABOUT = (
    "Clip bounds keep probabilities away from 0 and 1, which limits what a confident error adds "
    "to the log loss."
)
_MOST_PERCENT = 200  # a larger ratio is said as a multiple
PUBLISHED = (
    "Test sets tend to be harder than one's own images. Published solutions for Kaggle's Dogs vs. "
    "Cats Redux scored 0.0119 on their own images but 0.0414 on the leaderboard, and 0.0062 but "
    "0.030. Here a share of the correct images is assumed to become errors with unchanged "
    "confidence."
)


@dataclass(frozen=True)
class CorrectionRow:
    """A line of the table of corrections."""

    title: str
    recommended: bool
    log_loss: str
    difference: str
    interval: str


def short(value: float) -> float:
    """Round a bound to three significant digits of its distance to 0 or 1."""
    if value <= 0.5:
        return float(f"{value:.3g}")
    return round(1 - float(f"{1 - value:.3g}"), 12)


def before_after(before: float, after: float, images: str) -> Markup:
    """Return the log loss without and with the bounds."""
    change = after - before
    share = f" ({abs(change) / before:.1%})" if before > 0 else ""
    gain = f"{abs(change):.5f} {'lower' if change < 0 else 'higher'}{share}"
    return rendered(
        __file__, "before_after", images=images, before=f"{before:.5f}", after=f"{after:.5f}",
        gain="no change" if abs(change) < 5e-7 else gain,
    )  # fmt: skip


def histogram_note(score_name: str, images: str) -> str:
    """Return the description of the bars behind the track."""
    return (
        f"{one_line(score_name)[:60]} of {images}, on a logit scale; values outside the bounds are "
        "moved to the nearer bound."
    )


def best_bounds(curve: ClipLossCurve) -> Markup:
    """Return the bounds that are as good as the best within noise."""
    low, high = curve.band.interval
    rows = curve.band.sampled_rows
    return rendered(
        __file__, "best_bounds",
        bound=f"{short(curve.symmetric[0]):g}" if curve.symmetric[0] else "",
        low=f"{short(low):g}", high=f"{short(high):g}", sampled=f"{rows:,}" if rows else "",
    )  # fmt: skip


def touched_table(rows: Sequence[tuple[str, int, int, int]], lower: float, upper: float) -> Markup:
    """Tabulate (split, n, below, above): the number of images that each bound changes."""
    shown = [
        (split, f"{n:,}", [(f"{k:,}", f"{k / max(n, 1):.1%}") for k in (below, above)])
        for split, n, below, above in rows
    ]
    return rendered(__file__, "touched", rows=shown, lower=f"{lower:.6g}", upper=f"{upper:.6g}")


def confident_error_table(one: float, n: int, images: str, loss: float, *, counted: bool) -> Markup:
    """Tabulate how much confident errors increase the mean log loss over ``n`` images.

    Parameters
    ----------
    counted : whether a correction is recommended, which counts such errors
    """
    rows = [
        (title, f"+{k * one:.5f}", _relative(k * one / loss if loss else 0.0))
        for k, title in ((1, "One image"), (10, "The first ten"))
        if k <= n
    ]
    return rendered(
        __file__, "confident_error", rows=rows, images=images, loss=f"{one * n:.2f}",
        counted=counted,
    )  # fmt: skip


def _relative(times: float) -> str:
    return f"{times:.1%}" if times <= _MOST_PERCENT / 100 else f"{times:,.1f} times"


def recommendation(compared: Comparison) -> Markup:
    """Return the recommendation and the method behind it."""
    images = f"{'a sample of ' if compared.sampled else ''}{compared.n:,} images"
    return rendered(__file__, "recommendation", sentence=compared.sentence, images=images)


def applied(kept: tuple[float, float] | None, compared: Comparison) -> str:
    """Return what a submission applies, in one sentence."""
    if kept is None:
        return f"A submission applies the recommendation: {named(compared.chosen)}."
    lower, upper = kept
    return (
        f"A submission applies the bounds set here: {lower:g} and {upper:.9g}. "
        f"Recommended: {named(compared.chosen)}."
    )


def corrections_table(compared: Comparison) -> Markup:
    """Tabulate log loss and difference to no correction, with intervals."""
    rows = []
    for scored in compared.scored:
        low, high = scored.gain.interval
        is_corrected = scored.name != "none"
        rows.append(
            CorrectionRow(
                scored.title,
                scored.name == compared.recommended,
                f"{scored.log_loss:.5f}",
                f"{scored.gain.difference:+.5f}" if is_corrected else "",
                f"{low:+.5f} to {high:+.5f}" if is_corrected else "",
            )
        )
    return rendered(__file__, "corrections", rows=rows, left_out=list(compared.left_out))


def shifted_sentence(points: float, shifted: ShiftedCurve, chosen: tuple[float, float]) -> Markup:
    """Compare suggested and current bounds for the assumed drop in accuracy and without it."""
    bound, expected = shifted.symmetric
    loss, known = shifted.loss, shifted.loss.known
    change = known.at(bound, 1 - bound) - known.at(0, 1)
    return rendered(
        __file__, "shifted", points=f"{points:g}", expected=f"{expected:.5f}",
        suggested="without clipping" if bound == 0 else f"at the suggested {short(bound):g}",
        current=f"{loss.at(*chosen):.5f}", unclipped=f"{loss.at(0, 1):.5f}",
        change=f"{change:+.5f}",
    )  # fmt: skip
