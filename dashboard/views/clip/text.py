"""Texts and small tables of the Clip page."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.shared.escape import one_line
from dashboard.views.clip.data import ClipLossCurve


def short(value: float) -> float:
    """Round a bound to three significant digits of its distance to 0 or 1."""
    if value <= 0.5:
        return float(f"{value:.3g}")
    return round(1 - float(f"{1 - value:.3g}"), 12)


def before_after(before: float, after: float, images: str) -> str:
    """Return the log loss without and with the bounds as HTML."""
    change = after - before
    share = f" ({abs(change) / before:.1%})" if before > 0 else ""
    if abs(change) < 5e-7:
        gain = "no change"
    else:
        gain = f"{abs(change):.5f} {'lower' if change < 0 else 'higher'}{share}"
    return (
        f'<div class="sl-dim">Log loss on {images}, without clipping → with the '
        f'bounds</div><div class="sl-figures" role="status"><span class="was" '
        f'data-testid="loss-before">{before:.5f}</span><span class="arrow">→</span><span '
        f'class="big" data-testid="loss-after">{after:.5f}</span>'
        f'<span class="gain">{gain}</span></div>'
    )


def histogram_note(score_name: str, images: str) -> str:
    """Return the description of the bars behind the track."""
    return (
        f"{one_line(score_name)[:60]} of {images}, on a logit scale; values outside the bounds are "
        "moved to the nearer bound."
    )


def trust(costs: ClipLossCurve) -> str:
    """Return the best symmetric bound, its gain and their intervals as HTML."""
    bound, after = costs.symmetric
    low, high = costs.band.interval
    least, most = costs.band.gain_interval
    if bound == 0:
        first = "On these images no symmetric bound is better than no clipping."
    else:
        first = (
            f"On these images the best symmetric bound is <b>{short(bound):g}</b>, which lowers "
            f"the log loss by {costs.before - after:.5f}."
        )
    rows = costs.band.sampled_rows
    drawn = f" (from a sample of {rows:,} images, which makes it wider)" if rows else ""
    second = (
        f"95 % bootstrap interval{drawn}: best bound {short(low):g} to {short(high):g}, gain "
        f"{least:.5f} to {most:.5f}."
    )
    if high == 0:
        second = f"In 95 % of the bootstrap samples{drawn} the result is the same."
    elif least <= 0 <= most:
        second += (
            " <b>The interval includes zero: these images do not show whether clipping helps.</b>"
        )
    drawing = (
        "The grey band contains 95 % of the bootstrapped curves, the bar below it 95 % of their "
        "best bounds; the dotted line is the log loss without clipping."
    )
    return f'<div class="sl-text sl-dim"><p>{first} {second}</p><p>{drawing}</p></div>'


def touch_table(rows: Sequence[tuple[str, int, int, int]], lower: float, upper: float) -> str:
    """Tabulate (split, n, below, above): the number of images that each bound changes."""
    body = "".join(
        f"<tr><td>{split} <small>{n:,}</small></td>"
        + "".join(f"<td>{k:,} <small>{k / max(n, 1):.1%}</small></td>" for k in (below, above))
        + "</tr>"
        for split, n, below, above in rows
    )
    return (
        f'<table class="sl-table"><tr><th></th><th>below {lower:.6g}</th>'
        f"<th>above {upper:.6g}</th></tr>{body}</table>"
    )


def wrong_costs(one: float, n: int, images: str, loss: float) -> str:
    """Tabulate the increase of the mean log loss over ``n`` images by confident errors."""
    rows = ((1, "One image"), (10, "The first ten"))
    body = "".join(
        f"<tr><td>{what}</td><td>+{k * one:.5f}</td>"
        f"<td>{k * one / loss if loss else 0:.1%}</td></tr>"
        for k, what in rows
        if k <= n
    )
    return (
        '<table class="sl-table"><tr><th></th><th>adds to the log loss</th>'
        f"<th>relative to the current one</th></tr>{body}</table>"
        f'<p class="sl-dim sl-text">{images}; each confident error has a loss of '
        f"{one * n:.2f} at these bounds.</p>"
    )
