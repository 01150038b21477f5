"""What the Clip page says: figures in words and small tables."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.shared.escape import one_line
from dashboard.views.clip.data import ClipLossCurve


def short(value: float) -> float:
    """Round to three digits of the distance to the nearer end, 0 or 1."""
    if value <= 0.5:
        return float(f"{value:.3g}")
    return round(1 - float(f"{1 - value:.3g}"), 12)


def before_after(before: float, after: float, images: str) -> str:
    """Say what the bounds do to the log loss."""
    change = after - before
    share = f" ({abs(change) / before:.1%})" if before > 0 else ""
    if abs(change) < 5e-7:
        gain = "no change"
    else:
        gain = f"{abs(change):.5f} {'lower' if change < 0 else 'higher'}{share}"
    return (
        f'<div class="sl-dim">Log loss on {images}, without clipping → within the '
        f'bounds</div><div class="sl-figures" role="status"><span class="was" '
        f'data-testid="loss-before">{before:.5f}</span><span class="arrow">→</span><span '
        f'class="big" data-testid="loss-after">{after:.5f}</span>'
        f'<span class="gain">{gain}</span></div>'
    )


def histogram_note(score_name: str, images: str) -> str:
    """Say what the bars behind the track are."""
    return (
        f"{one_line(score_name)[:60]} of {images}, on a scale of odds; "
        "those beyond a bound are moved onto it."
    )


def trust(costs: ClipLossCurve) -> str:
    """Say where the best symmetric bound lies, what it gains and how sure that is."""
    bound, after = costs.symmetric
    low, high = costs.band.interval
    least, most = costs.band.gain_interval
    if bound == 0:
        first = "On these images no symmetric bound is better than leaving them unclipped."
    else:
        first = (
            f"On these images the best symmetric bound is <b>{short(bound):g}</b>, which takes "
            f"{costs.before - after:.5f} off the log loss."
        )
    rows = costs.band.sampled_rows
    drawn = f" (from a sample of {rows:,} images, which widens it)" if rows else ""
    second = (
        f"Were the images drawn again, the best bound would lie between {short(low):g} and "
        f"{short(high):g} in 95 % of the cases{drawn}, and the gain between {least:.5f} and "
        f"{most:.5f}."
    )
    if high == 0:
        second = f"Were the images drawn again{drawn}, 95 % of the cases would say the same."
    elif least <= 0 <= most:
        second += (
            " <b>That includes zero: these images cannot tell whether clipping helps at all.</b>"
        )
    drawing = (
        "The grey band holds 95 % of the curves of such draws, the bar below it 95 % of their best "
        "bounds; the dotted line is the log loss without clipping."
    )
    return f'<div class="sl-text sl-dim"><p>{first} {second}</p><p>{drawing}</p></div>'


def touch_table(rows: Sequence[tuple[str, int, int, int]], lower: float, upper: float) -> str:
    """Tabulate (split, n, below, above): how many images each bound moves."""
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
    """Tabulate what confidently wrong images add to the mean log loss over ``n``."""
    rows = ((1, "One image"), (10, "The first ten"))
    body = "".join(
        f"<tr><td>{what}</td><td>+{k * one:.5f}</td>"
        f"<td>{k * one / loss if loss else 0:.1%}</td></tr>"
        for k, what in rows
        if k <= n
    )
    return (
        '<table class="sl-table"><tr><th></th><th>adds to the log loss</th>'
        f"<th>of the present one</th></tr>{body}</table>"
        f'<p class="sl-dim sl-text">{images}; each confidently wrong one costs '
        f"{one * n:.2f} at these bounds.</p>"
    )
