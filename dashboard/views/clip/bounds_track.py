"""Two clip bounds on one track, over the predictions they touch; it speaks while dragged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboard.shared.component import registered

HEIGHT = 184  # kept free before the script has drawn, so that nothing jumps
_bounds = registered(__file__, '<div class="bounds"></div>')


def bounds(
    lower: float,
    upper: float,
    *,
    linked: bool,
    bars: Sequence[int],
    reach: float,
    word: str,
    key: str,
    moved: Callable[[], None],
) -> None:
    """Show the bounds on a scale of log odds, with a histogram on the same scale behind them.

    Parameters
    ----------
    linked : whether the bounds move as [b, 1 - b]
    bars : images in bins of equal width between -reach and reach, in powers of ten of the odds
    word : what the bars count
    key : name of the widget; ``moved`` reads [lower, upper, whether it was let go] under ``move``
    """
    _bounds(
        key=key,
        data={
            "lower": lower,
            "upper": upper,
            "linked": linked,
            "bars": list(bars),
            "reach": reach,
            "word": word,
        },
        height=HEIGHT,
        on_move_change=moved,
    )
