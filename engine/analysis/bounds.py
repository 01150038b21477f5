"""The best clip bounds: the curve of the log loss, its minimum, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.analysis.clipping import (
    ClipLoss,
    ManyClassClipLoss,
    check_bounds,
    positive_column,
    validation_losses,
)
from engine.analysis.metrics import EPSILON, loss_of

_CURVE_POINTS = 200
_COARSE_POINTS = 50
_BAND_POINTS = 100
_DRAWN_ROWS = 20_000
_DRAWS_AT_ONCE = 50
_ENDS = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class BootstrapBand:
    """How far the curve and its minimum move when the validation set is drawn again.

    Attributes
    ----------
    bounds : float64 array of shape (m,), symmetric bounds, ascending
    lower, upper : float64 arrays of shape (m,), 95 % band of the log loss
    interval : 95 % interval of the best symmetric bound; 0 means no clipping
    gain_interval : 95 % interval of the loss without clipping minus that at the bound which is
        best on the set as it is; below 0 where the bound harms
    sampled_rows : how many rows were looked at, None when all; fewer rows make a wider band
    """

    bounds: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    interval: tuple[float, float]
    gain_interval: tuple[float, float]
    sampled_rows: int | None


def default_bounds(n_classes: int, n_points: int = _CURVE_POINTS) -> np.ndarray:
    """Return the grid of symmetric bounds, ascending, with 0.025 where it fits.

    From 1e-6 to just under 0.5 for two classes; with k classes from 2e-6 / k to just under 1 / k,
    beyond which the bound would lift a class above chance that the model holds unlikely.
    """
    grid = np.geomspace(2e-6 / n_classes, 0.998 / n_classes, n_points)
    return np.union1d(grid, [0.025]) if grid[-1] > 0.025 else grid


def symmetric_curve(
    loss: ClipLoss, bounds: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log loss at the bounds [b, 1 - b] (estimated where ``loss`` is sampled).

    Returns
    -------
    bounds, losses : float64 arrays of shape (m,)

    Raises
    ------
    UserError
        When a bound given is not within 0 <= b < 0.5.
    """
    grid = default_bounds(loss.n_classes) if bounds is None else np.asarray(bounds, np.float64)
    for bound in grid.tolist():
        check_bounds(bound, 1 - bound)
    return grid, loss.estimate(grid, 1 - grid)


def best_symmetric(loss: ClipLoss) -> tuple[float, float]:
    """Return the bound b for which [b, 1 - b] costs least, and the exact log loss there.

    Never worse than a point of the default curve (as estimated, where ``loss`` is sampled) nor
    than no clipping, which is said as bound 0.0.
    """
    bound = _lowest(lambda b: loss.estimate(b, 1 - b), default_bounds(loss.n_classes))
    unclipped, clipped = loss.at(0, 1), loss.at(bound, 1 - bound)
    return (bound, clipped) if clipped < unclipped else (0.0, unclipped)


def best_independent(loss: ClipLoss) -> tuple[float, float, float]:
    """Return the pair of bounds that costs least, and the exact log loss there.

    Lower bounds below 1 / n_classes and upper bounds above it are tried, so that the likeliest of
    two classes stays the likeliest. Never worse than :func:`best_symmetric`; no clipping is said
    as (0.0, 1.0).
    """
    start, best = best_symmetric(loss)
    lower, gap = start, start  # gap = 1 - upper
    for _ in range(1 if loss.n_classes == 2 else 2):  # no image of two meets both bounds
        lower, gap = _lowest_by_turns(loss, lower, gap)
    clipped = loss.at(lower, 1 - gap)
    return (lower, 1 - gap, clipped) if clipped < best else (start, 1 - start, best)


def bootstrap_best_symmetric(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    positive: int | None = None,
    *,
    n_resamples: int = 400,
    seed: int = 0,
) -> BootstrapBand:
    """Draw the validation set again and again, and see where its best symmetric bound goes.

    Two classes: images are first counted into the cells between neighbouring bounds, right and
    wrong apart, and the counts are drawn. A bound touches all images of a cell or none, so only
    the spread of the untouched losses within a cell is lost. It is tiny: cells end at bounds that
    differ by 7 %, so the losses of a cell differ by 0.07 at most (0.23 below the smallest bound,
    where they are above 13.8). More classes: rows are drawn, in a large table
    from a sample of at most 20,000 rows and 8,000,000 probabilities.

    Raises
    ------
    ValueError
        When there are no images, or a label is unknown.
    """
    rng = np.random.default_rng(seed)
    if probabilities.shape[1] == 2:
        bounds, sampled_rows = default_bounds(2), None
        counts, costs = _cells(y_true, probabilities, positive_column(positive), bounds)
        n = int(counts.sum())
        sums = rng.multinomial(n, counts / n, size=n_resamples) @ costs
    else:
        loss = ManyClassClipLoss.of(y_true, probabilities, seed, _DRAWN_ROWS)
        bounds, sampled_rows = default_bounds(loss.n_classes, _BAND_POINTS), loss.sampled_rows
        costs = np.column_stack([loss.per_row(b, 1 - b) for b in (0.0, *bounds)]) + loss.shift
        n = len(costs)
        counts = np.ones(n)
        sums = np.concatenate([draw @ costs for draw in _row_draws(rng, n, n_resamples)])
    curves = sums / n  # (n_resamples, 1 + m), the first column without clipping
    band = np.quantile(curves[:, 1:], _ENDS, axis=0)
    tried = np.concatenate([[0.0], bounds])
    best = np.quantile(tried[curves.argmin(axis=1)], _ENDS, method="inverted_cdf")
    chosen = int((counts @ costs).argmin())
    gain = np.quantile(curves[:, 0] - curves[:, chosen], _ENDS)
    return BootstrapBand(bounds, band[0], band[1], _pair(best), _pair(gain), sampled_rows)


def _cells(
    y_true: np.ndarray, probabilities: np.ndarray, column: int, bounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return counts (cells,) and what an image of the cell costs (cells, 1 + len(bounds))."""
    losses = validation_losses(y_true, probabilities)
    p = probabilities[:, column]
    tiny = np.geomspace(EPSILON, bounds[0], 100)[:-1]  # cells below the smallest bound
    cell_of = np.concatenate([tiny, bounds]).searchsorted(np.minimum(p, 1 - p), side="right")
    wrong = (p < 0.5) == (y_true == column)
    key = 2 * cell_of + wrong
    counts = np.bincount(key)
    filled = np.flatnonzero(counts)
    mean = np.bincount(key, weights=losses)[filled] / counts[filled]
    at_bound = np.where((filled % 2 == 1)[:, None], loss_of(bounds), loss_of(1 - bounds))
    is_touched = (filled // 2)[:, None] <= len(tiny) + np.arange(len(bounds))
    costs = np.where(is_touched, at_bound, mean[:, None])
    return counts[filled], np.column_stack([mean, costs])


def _row_draws(rng: np.random.Generator, n: int, n_resamples: int) -> Iterator[np.ndarray]:
    """Yield how often each row is drawn, (block, n), in blocks that stay small."""
    for start in range(0, n_resamples, _DRAWS_AT_ONCE):
        draws = range(start, min(start + _DRAWS_AT_ONCE, n_resamples))
        yield np.stack(
            [np.bincount(rng.integers(n, size=n), minlength=n) for _ in draws], dtype=np.float64
        )


def _lowest_by_turns(loss: ClipLoss, lower: float, gap: float) -> tuple[float, float]:
    """Return the best lower bound for the gap between upper bound and 1, then the best gap."""
    k = loss.n_classes
    points = _CURVE_POINTS if k == 2 else _COARSE_POINTS
    lowers = np.union1d(default_bounds(k, points), [0, lower])
    gaps = np.union1d(np.geomspace(2e-6 / k, 0.998 * (1 - 1 / k), points), [0, gap])
    best = _lowest(lambda b: loss.estimate(b, np.full_like(b, 1 - gap)), lowers)
    return best, _lowest(lambda b: loss.estimate(np.full_like(b, best), 1 - b), gaps)


def _lowest(loss_of: Callable[[np.ndarray], np.ndarray], grid: np.ndarray) -> float:
    """Return where ``loss_of`` is lowest: the best of the grid, then finer grids around it."""
    losses = loss_of(grid)
    for _ in range(4):
        best = int(losses.argmin())
        low = grid[best - 1] if best else 0.0
        high = grid[min(best + 1, len(grid) - 1)]
        grid = np.union1d(np.linspace(low, high, 15), grid[best])
        losses = loss_of(grid)
    return float(grid[losses.argmin()])


def _pair(ends: np.ndarray) -> tuple[float, float]:
    return float(ends[0]), float(ends[1])
