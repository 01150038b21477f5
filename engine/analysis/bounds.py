"""The best clip bounds: the curve of the log loss, its minimum, and bounds that are as good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.analysis.clip_loss import ClipLoss, ManyClassClipLoss
from engine.analysis.clipping import check_bounds, positive_column, validation_losses
from engine.analysis.metrics import EPSILON, loss_of
from engine.runs.predictions import likeliest

_CURVE_POINTS = 200
_COARSE_POINTS = 50
_BAND_POINTS = 100
_DRAWN_ROWS = 20_000
_DRAWS_AT_ONCE = 50
_ENDS = (0.025, 0.975)
_TURNED_ROWS = 2000


@dataclass(frozen=True, eq=False)
class BootstrapBand:
    """The noise of the curve and of its minimum, by the bootstrap.

    Attributes
    ----------
    bounds : float64 array of shape (m,), symmetric bounds, ascending
    lower, upper : float64 arrays of shape (m,), 95 % band of the log loss
    interval : smallest and largest symmetric bound as good as the best within noise; 0 means no
        clipping
    gain_interval : 95 % interval of the loss without clipping minus that at the bound which is
        best on these images; below 0 where the bound harms
    sampled_rows : number of rows used, None for all; fewer rows make a wider band
    """

    bounds: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    interval: tuple[float, float]
    gain_interval: tuple[float, float]
    sampled_rows: int | None


def default_bounds(n_classes: int, n_points: int = _CURVE_POINTS) -> np.ndarray:
    """Return the grid of symmetric bounds, ascending, with 0.025 where it lies inside.

    From 1e-6 to just under 0.5 for two classes, and from 2e-6 / k to just under 1 / k for k
    classes: a larger bound would raise unlikely classes above chance.
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
    """Return the bound b for which [b, 1 - b] has the lowest log loss, and that log loss.

    It is at least as good as every point of the default curve (as estimated, where ``loss`` is
    sampled) and as no clipping, which is bound 0.0.
    """
    bound = _lowest(lambda b: loss.estimate(b, 1 - b), default_bounds(loss.n_classes))
    unclipped, clipped = loss.at(0, 1), loss.at(bound, 1 - bound)
    return (bound, clipped) if clipped < unclipped else (0.0, unclipped)


def best_independent(loss: ClipLoss) -> tuple[float, float, float]:
    """Return the pair of bounds with the lowest log loss, and that log loss.

    Lower bounds below 1 / n_classes and upper bounds above it are tried, so that the predicted
    one of two classes stays the same. It is at least as good as :func:`best_symmetric`; no
    clipping is (0.0, 1.0).
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
    groups: np.ndarray | None = None,
    n_resamples: int = 400,
    seed: int = 0,
) -> BootstrapBand:
    """Return the noise of the curve and the bounds as good as the best within it.

    A bound is as good within noise if the 95 % interval of its loss minus that of the best bound
    contains 0, or would contain it with one more image: an error as confident as the correct
    predictions.

    Two classes: images are first counted in the cells between neighbouring bounds, correct and
    incorrect ones separately, and the counts are resampled. A bound changes all images of a cell
    or none, so only the spread of the unchanged losses within a cell is lost: at most 0.07, as
    neighbouring bounds differ by 7 % (0.23 below the smallest bound, where losses exceed 13.8).
    More classes, or groups: rows or whole groups are resampled, in a large table from a sample of
    at most 20,000 rows and 8,000,000 probabilities.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)
    positive : index of the positive class, by default the second of two
    n_resamples : number of bootstrap samples
    groups : int array of shape (n,), equal where images belong together; they count as one

    Raises
    ------
    ValueError
        When there are no images, or a label is unknown.
    """
    rng = np.random.default_rng(seed)
    if probabilities.shape[1] == 2 and groups is None:
        bounds, sampled_rows = default_bounds(2), None
        counts, costs = _cells(y_true, probabilities, positive_column(positive), bounds)
        n = int(counts.sum())
        mean = counts @ costs / n
        curves = rng.multinomial(n, counts / n, size=n_resamples) @ costs / n
    else:
        loss = ManyClassClipLoss.of(y_true, probabilities, seed, _DRAWN_ROWS)
        bounds, sampled_rows = default_bounds(loss.n_classes, _BAND_POINTS), loss.sampled_rows
        rows = np.column_stack([loss.per_row(b, 1 - b) for b in (0.0, *bounds)]) + loss.shift
        costs, sizes = _sums(rows, None if groups is None else groups[loss.used])
        n = len(costs)
        mean = costs.sum(axis=0) / sizes.sum()
        draws = _row_draws(rng, n, n_resamples)
        curves = np.concatenate([draw @ costs / (draw @ sizes)[:, None] for draw in draws])
    # curves: (n_resamples, 1 + m), the first column without clipping; n: images or groups
    band = np.quantile(curves[:, 1:], _ENDS, axis=0)
    tried = np.concatenate([[0.0], bounds])
    chosen = int(mean.argmin())
    gain = np.quantile(curves[:, 0] - curves[:, chosen], _ENDS)
    unseen = _unseen_losses(y_true, probabilities, tried)
    good = _as_good(curves - curves[:, [chosen]], unseen - unseen[chosen], n)
    return BootstrapBand(
        bounds, band[0], band[1], _around(chosen, good, tried), _pair(gain), sampled_rows
    )


def _sums(rows: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of the rows of each group, (n_groups, m), and their number."""
    if groups is None:
        return rows, np.ones(len(rows))
    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = group_of.argsort(kind="stable")
    starts = np.append(0, sizes.cumsum()[:-1])
    return np.add.reduceat(rows[order], starts), sizes.astype(np.float64)


def _unseen_losses(y_true: np.ndarray, probabilities: np.ndarray, tried: np.ndarray) -> np.ndarray:
    """Return the mean loss of correct images with another label, at each lower bound."""
    correct = np.flatnonzero(likeliest(probabilities) == y_true)
    if not len(correct):
        return np.zeros(len(tried))
    rows = correct[:: -(-len(correct) // _TURNED_ROWS)]
    p = probabilities[rows].copy()
    p[np.arange(len(rows)), y_true[rows]] = -1
    second = p.max(axis=1)
    return np.array([float(loss_of(np.maximum(second, bound)).mean()) for bound in tried.tolist()])


def _as_good(differences: np.ndarray, unseen: np.ndarray, n: int) -> np.ndarray:
    """Return which bounds are as good as the best within noise, bool (1 + m,)."""
    seen = np.quantile(differences, _ENDS[0], axis=0) <= 0
    more = np.quantile((n * differences + unseen) / (n + 1), _ENDS[0], axis=0) <= 0
    return np.asarray(seen | more)


def _around(chosen: int, good: np.ndarray, tried: np.ndarray) -> tuple[float, float]:
    """Return the ends of the bounds next to the chosen one that are all good."""
    bad = np.flatnonzero(~good)
    below, above = bad[bad < chosen], bad[bad > chosen]
    low = int(below[-1]) + 1 if len(below) else 0
    high = int(above[0]) - 1 if len(above) else len(tried) - 1
    return float(tried[low]), float(tried[high])


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
