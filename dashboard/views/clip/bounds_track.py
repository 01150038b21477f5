"""A slider with two clip bounds over a histogram of the predictions; it sends every movement."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboard.shared.component import registered

HEIGHT = 184  # reserved before the script has drawn, to avoid layout shifts
_bounds_track = registered(__file__, '<div class="bounds"></div>')


def bounds_track(
    lower: float,
    upper: float,
    *,
    linked: bool,
    bars: Sequence[int],
    reach: float,
    note: str,
    key: str,
    moved: Callable[[], None],
) -> None:
    """Show the bounds on a logit scale, with a histogram on the same scale behind them.

    Parameters
    ----------
    linked : whether the bounds move as [b, 1 - b]
    bars : images in bins of equal width between -reach and reach, in powers of ten of the odds
    note : description of the bars
    key : name of the widget; ``moved`` reads [lower, upper, released] there under ``move``
    """
    _bounds_track(
        key=key,
        data={
            "lower": lower,
            "upper": upper,
            "linked": linked,
            "bars": list(bars),
            "reach": reach,
            "note": note,
        },
        height=HEIGHT,
        on_move_change=moved,
    )
