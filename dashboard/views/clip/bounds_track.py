"""Two clip bounds on one track, over the predictions they touch; it reports while dragged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboard.shared.component import registered

HEIGHT = 184  # kept free before the script has drawn, so that nothing jumps
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
    """Show the bounds on a scale of log odds, with a histogram on the same scale behind them.

    Parameters
    ----------
    linked : whether the bounds move as [b, 1 - b]
    bars : images in bins of equal width between -reach and reach, in powers of ten of the odds
    note : what the bars count
    key : name of the widget; ``moved`` reads [lower, upper, whether it was let go] under ``move``
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
