"""Clip bounds: what they do to the probabilities, what they cost, and where they are best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.analysis.metrics import (
    EPSILON,
    checked_class,
    per_sample_log_loss,
    true_class_probability,
)
from engine.errors import Refused

_CURVE_POINTS = 200
_COARSE_POINTS = 50
_BAND_POINTS = 100
_SAMPLED_ROWS = 50_000
_DRAWN_ROWS = 20_000
_SAMPLED_VALUES = 8_000_000
_BLOCK_VALUES = 500_000
_DRAWS_AT_ONCE = 50
_ENDS = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class TwoClassClipLoss:
    """The log loss of two classes as an exact function of the bounds; built by :func:`clip_loss`.

    Attributes
    ----------
    n, n_classes : pictures and classes
    sampled_rows : None, as nothing is estimated
    positives, negatives : the pictures by true class, sorted by P(positive)
    """

    n: int
    n_classes: int
    sampled_rows: None
    positives: _Sorted
    negatives: _Sorted

    def at(self, lower: float, upper: float) -> float:
        """Return the exact log loss at these bounds."""
        check_bounds(lower, upper)
        return float(self.estimate(np.asarray(lower), np.asarray(upper)))

    def estimate(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the log loss at many bounds, arrays of one shape; here exact as well."""
        positives = self.positives.total(lower, upper, _cost(lower), _cost(upper))
        negatives = self.negatives.total(lower, upper, _cost(1 - lower), _cost(1 - upper))
        return np.asarray((positives + negatives) / self.n)


@dataclass(frozen=True, eq=False)
class ManyClassClipLoss:
    """The log loss of three or more classes as a function of the bounds.

    Each row is renormalised after clipping, so that no few sums answer for all rows. ``at`` is
    exact and passes over every probability. ``estimate`` answers from rows sorted beforehand: all
    of them, or a seeded sample in a large table, shifted so that it is exact without clipping.

    Attributes
    ----------
    n, n_classes : pictures and classes
    sampled_rows : how many rows ``estimate`` looks at, None when all
    """

    n: int
    n_classes: int
    sampled_rows: int | None
    y_true: np.ndarray  # (n,)
    probabilities: np.ndarray  # (n, n_classes)
    true: np.ndarray  # (m,), probability of the true class
    ascending: np.ndarray  # (m, n_classes), each row sorted
    running: np.ndarray  # (m, n_classes + 1), running sum of each sorted row
    shift: float

    @classmethod
    def of(
        cls, y_true: np.ndarray, probabilities: np.ndarray, seed: int, max_rows: int
    ) -> ManyClassClipLoss:
        """Sort the rows, or a sample of them; see :func:`clip_loss`."""
        losses = _losses(y_true, probabilities)
        n, k = probabilities.shape
        m = min(n, max_rows, max(_SAMPLED_VALUES // k, 1))
        rows = np.arange(n)
        if m < n:
            rows = np.sort(np.random.default_rng(seed).choice(n, m, replace=False))
        ascending = np.sort(probabilities[rows], axis=1)
        running = np.zeros((m, k + 1))
        np.cumsum(ascending, axis=1, out=running[:, 1:])
        true = true_class_probability(y_true[rows], probabilities[rows])
        shift = float(losses.mean() - losses[rows].mean())
        sampled = m if m < n else None
        return cls(n, k, sampled, y_true, probabilities, true, ascending, running, shift)

    def at(self, lower: float, upper: float) -> float:
        """Return the exact log loss at these bounds."""
        return clipped_log_loss(self.y_true, self.probabilities, lower, upper)

    def estimate(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the log loss at many bounds, arrays of shape (m,)."""
        pairs = zip(lower.tolist(), upper.tolist(), strict=True)
        return np.array([self.per_row(*pair).mean() + self.shift for pair in pairs])

    def per_row(self, lower: float, upper: float) -> np.ndarray:
        """Return the loss of each row that ``estimate`` looks at, in their order."""
        k = self.n_classes
        below = _count_smaller(self.ascending, lower)
        if upper >= 0.5:  # at most one of a row's probabilities lies above
            upto = k - (self.ascending[:, -1] > upper)
        else:
            upto = _count_smaller(self.ascending, np.nextafter(upper, 1))
        row = np.arange(len(below)) * (k + 1)
        between = self.running.take(row + upto) - self.running.take(row + below)
        return _cost(
            np.clip(self.true, lower, upper) / (below * lower + between + (k - upto) * upper)
        )


ClipLoss = TwoClassClipLoss | ManyClassClipLoss


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


def check_bounds(lower: float, upper: float) -> None:
    """Accept 0 <= lower < upper <= 1.

    Raises
    ------
    Refused
        On anything else; the sentence names the option.
    """
    for option, value in (("--lower", lower), ("--upper", upper)):
        if not 0 <= value <= 1:
            raise Refused(f"{option} {value} must lie between 0 and 1.")
    if not lower < upper:
        raise Refused(f"--lower {lower} must be smaller than --upper {upper}.")


def clip_probabilities(
    probabilities: np.ndarray, lower: float, upper: float, positive: int | None = None
) -> np.ndarray:
    """Limit the probabilities to the bounds.

    Two classes: P(positive) is limited and the other is one minus it; a row within the bounds
    stays as it is. More classes: every probability is limited, then the row is divided by its
    sum, which can carry a probability out of the bounds again.

    Parameters
    ----------
    probabilities : float64 array of shape (n, n_classes)
    lower, upper : 0 <= lower < upper <= 1
    positive : the second of two unless named; more classes have none

    Returns
    -------
    float64 array of shape (n, n_classes)

    Raises
    ------
    Refused
        Unless 0 <= lower < upper <= 1.
    ValueError
        When ``positive`` is none of two classes.
    """
    check_bounds(lower, upper)
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), lower, upper)
    if probabilities.shape[1] > 2:
        clipped /= clipped.sum(axis=1, keepdims=True)
        return clipped
    column = _positive_column(positive)
    p, q = probabilities[:, column], probabilities[:, 1 - column]
    limited = clipped[:, column]
    clipped[:, 1 - column] = np.where(limited == p, q, 1 - limited)
    return clipped


def clipped_log_loss(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    lower: float,
    upper: float,
    positive: int | None = None,
) -> float:
    """Return the log loss of :func:`clip_probabilities`, never holding a second table.

    Raises
    ------
    Refused
        Unless 0 <= lower < upper <= 1.
    ValueError
        When there are no pictures, or a label is unknown.
    """
    check_bounds(lower, upper)
    losses = [
        _losses(y_true[rows], clip_probabilities(probabilities[rows], lower, upper, positive))
        for rows in _blocks(*probabilities.shape)
    ]
    return float(np.concatenate(losses).mean())


def clip_loss(
    y_true: np.ndarray, probabilities: np.ndarray, positive: int | None = None, *, seed: int = 0
) -> ClipLoss:
    """Prepare the log loss as a function of the bounds, for live dragging and for the curve.

    Two classes: sorted once, then microseconds for any bounds. More classes: see
    :class:`ManyClassClipLoss`; the sample has at most 50,000 rows and 8,000,000 probabilities.

    Raises
    ------
    ValueError
        When there are no pictures, or a label is unknown.
    """
    if probabilities.shape[1] > 2:
        return ManyClassClipLoss.of(y_true, probabilities, seed, _SAMPLED_ROWS)
    losses = _losses(y_true, probabilities)
    column = _positive_column(positive)
    p, is_positive = probabilities[:, column], y_true == column
    sides = [_Sorted.of(p[rows], losses[rows]) for rows in (is_positive, ~is_positive)]
    return TwoClassClipLoss(len(losses), 2, None, *sides)


def touched(
    probabilities: np.ndarray, lower: float, upper: float, positive: int | None = None
) -> tuple[int, int]:
    """Count the predictions strictly below ``lower`` and strictly above ``upper``.

    Two classes: by P(positive). More: rows with any such probability.

    Raises
    ------
    Refused
        Unless 0 <= lower < upper <= 1.
    """
    check_bounds(lower, upper)
    if probabilities.shape[1] == 2:
        smallest = largest = probabilities[:, _positive_column(positive)]
    else:
        smallest, largest = probabilities.min(axis=1), probabilities.max(axis=1)
    return int(np.count_nonzero(smallest < lower)), int(np.count_nonzero(largest > upper))


def wrong_cost(lower: float, upper: float, n: int, n_classes: int = 2) -> float:
    """Return what one confidently wrong picture adds to the mean log loss over ``n`` pictures.

    Its true class lies at the bound: the worse of -log(lower) and -log(1 - upper) for two
    classes. For more, one wrong class lies at ``upper`` and all others at ``lower``, renormalised.

    Raises
    ------
    Refused
        Unless 0 <= lower < upper <= 1.
    ValueError
        When ``n`` is below 1.
    """
    check_bounds(lower, upper)
    if n < 1:
        raise ValueError(f"n {n} must be at least 1")
    p = lower / (upper + (n_classes - 1) * lower) if n_classes > 2 else min(lower, 1 - upper)
    return float(_cost(np.asarray(p))) / n


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
    Refused
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
    for _ in range(1 if loss.n_classes == 2 else 2):  # no picture of two meets both bounds
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

    Two classes: pictures are first counted into the cells between neighbouring bounds, right and
    wrong apart, and the counts are drawn. A bound touches all pictures of a cell or none, so only
    the spread of the untouched losses within a cell is lost. It is tiny: cells end at bounds that
    differ by 7 %, so the losses of a cell differ by 0.07 at most (0.23 below the smallest bound,
    where they are above 13.8). More classes: rows are drawn, in a large table
    from a sample of at most 20,000 rows and 8,000,000 probabilities.

    Raises
    ------
    ValueError
        When there are no pictures, or a label is unknown.
    """
    rng = np.random.default_rng(seed)
    if probabilities.shape[1] == 2:
        bounds, sampled_rows = default_bounds(2), None
        counts, costs = _cells(y_true, probabilities, _positive_column(positive), bounds)
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


@dataclass(frozen=True, eq=False)
class _Sorted:
    """The pictures of one true class, by P(positive), and the running sum of their losses."""

    p: np.ndarray  # (m,)
    running: np.ndarray  # (m + 1,)

    @classmethod
    def of(cls, p: np.ndarray, losses: np.ndarray) -> _Sorted:
        order = np.argsort(p)
        return cls(p[order], np.concatenate([[0.0], np.cumsum(losses[order])]))

    def total(
        self, lower: np.ndarray, upper: np.ndarray, at_lower: np.ndarray, at_upper: np.ndarray
    ) -> np.ndarray:
        below = self.p.searchsorted(lower, side="left")
        upto = self.p.searchsorted(upper, side="right")
        between = self.running[upto] - self.running[below]
        return np.asarray(below * at_lower + between + (len(self.p) - upto) * at_upper)


def _cells(
    y_true: np.ndarray, probabilities: np.ndarray, column: int, bounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return counts (cells,) and what a picture of the cell costs (cells, 1 + len(bounds))."""
    losses = _losses(y_true, probabilities)
    p = probabilities[:, column]
    tiny = np.geomspace(EPSILON, bounds[0], 100)[:-1]  # cells below the smallest bound
    cell_of = np.concatenate([tiny, bounds]).searchsorted(np.minimum(p, 1 - p), side="right")
    wrong = (p < 0.5) == (y_true == column)
    key = 2 * cell_of + wrong
    counts = np.bincount(key)
    filled = np.flatnonzero(counts)
    mean = np.bincount(key, weights=losses)[filled] / counts[filled]
    at_bound = np.where((filled % 2 == 1)[:, None], _cost(bounds), _cost(1 - bounds))
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


def _count_smaller(ascending: np.ndarray, value: float) -> np.ndarray:
    """Return how many of each sorted row (m, k) are smaller than ``value``: bisection, (m,)."""
    m, k = ascending.shape
    first = np.arange(m) * k
    count = np.zeros(m, dtype=np.int64)
    for step in (1 << bit for bit in reversed(range(k.bit_length()))):
        longer = np.minimum(count + step, k)
        smaller = ascending.take(first + longer - 1) < value
        count = np.where(smaller, longer, count)
    return count


def _blocks(n: int, n_classes: int) -> Iterator[slice]:
    rows = max(_BLOCK_VALUES // n_classes, 1)
    return (slice(start, start + rows) for start in range(0, max(n, 1), rows))


def _losses(y_true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    if len(y_true) == 0:
        raise ValueError("clip bounds need at least one labelled picture")
    return per_sample_log_loss(y_true, probabilities)


def _cost(p: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log(np.clip(p, EPSILON, 1 - EPSILON)))


def _positive_column(positive: int | None) -> int:
    return 1 if positive is None else checked_class(positive, 2)


def _pair(ends: np.ndarray) -> tuple[float, float]:
    return float(ends[0]), float(ends[1])
