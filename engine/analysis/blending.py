"""Blends runs: chooses weights that minimise the log loss, and measures the blend's gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.analysis.gain import difference_interval
from engine.analysis.grouped import folds_of_groups
from engine.analysis.intervals import unseen_error_loss
from engine.analysis.joined import Joined
from engine.analysis.metrics import EPSILON, loss_of, true_class_probability
from engine.analysis.pools import LOG_ODDS, MEAN, Pool, log_odds_pool
from engine.analysis.weight_range import weight_ranges
from engine.runs.predictions import Predictions

FOLDS = 5
_GAP = 1e-7
_STEPS = 100
_VALUES = 20_000_000  # probabilities from which the weights of log odds are found
_FIRST = 50_000  # images of a first, faster optimisation that gives starting weights


@dataclass(frozen=True, eq=False)
class Blend:
    """The weights of several runs and the quality of their blend.

    Attributes
    ----------
    pool : the blend itself: of probabilities or of log odds, whichever is better
    weight_ranges : float64 array of shape (n_runs, 2), smallest and largest weight of each run that
        is as good within noise
    singles : float64 array of shape (n_runs,), log loss of each run on the shared images
    best : index of the run with the lowest log loss
    in_sample : log loss of the blend on the images that its weights were chosen on
    baseline : cross-validated log loss of the best single run, chosen on the other folds
    cross_validated : log loss of the blend, its kind and weights chosen on the other folds
    kinds : cross-validated log loss of each kind of pool, by kind
    gain : ``baseline`` minus ``cross_validated``, with 95 % interval, which includes the noise of
        choosing and one unseen error; above 0 the blend is better
    """

    pool: Pool
    weight_ranges: np.ndarray
    singles: np.ndarray
    best: int
    in_sample: float
    baseline: float
    cross_validated: float
    kinds: dict[str, float]
    gain: tuple[float, float, float]

    @property
    def weights(self) -> np.ndarray:
        """Return the weights of the runs: not negative, sum 1."""
        return self.pool.weights

    @property
    def pays(self) -> bool:
        """Return whether the gain's 95 % interval lies above 0."""
        return self.gain[1] > 0


def blend(joined: Joined, seed: int = 0, groups: np.ndarray | None = None) -> Blend:
    """Choose kind and weights for joined runs, and cross-validate the gain of the blend.

    For each fold, the other folds choose the weights, the kind (probabilities or log odds), and the
    single run that the blend is compared with.

    Parameters
    ----------
    groups : int array of shape (n,), numbered from 0, equal where images belong together; no fold
        divides a group, and the interval counts it as one
    """
    tables = joined.tables
    n = len(tables[0])
    fold_of = _folds(n, FOLDS, seed, groups)
    pools = _pools(tables)
    losses = {kind: np.empty(n) for kind in (*pools, "chosen", "single")}
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        used = np.flatnonzero(~held_out if not held_out.all() else held_out)
        rest = [table.take(used) for table in tables]
        shown = [table.take(np.flatnonzero(held_out)) for table in tables]
        found = _pools(rest, pools)
        for kind, pool in found.items():
            losses[kind][held_out] = _losses(pool, shown)
        lowest = min(found, key=lambda kind: float(_losses(found[kind], rest).mean()))
        losses["chosen"][held_out] = losses[lowest][held_out]
        single = int(loss_of(_true(rest)).mean(axis=0).argmin())
        losses["single"][held_out] = loss_of(_true(shown[single : single + 1])[:, 0])
    singles = loss_of(_true(tables)).mean(axis=0)
    kinds = {kind: float(losses[kind].mean()) for kind in pools}
    pool = pools[min(kinds, key=lambda kind: kinds[kind])]
    best = int(singles.argmin())
    return Blend(
        pool=pool,
        weight_ranges=weight_ranges(tables, pool, groups),
        singles=singles,
        best=best,
        in_sample=float(_losses(pool, tables).mean()),
        baseline=float(losses["single"].mean()),
        cross_validated=float(losses["chosen"].mean()),
        kinds=kinds,
        gain=_gain(losses["single"] - losses["chosen"], tables, best, pool, groups),
    )


def _gain(
    differences: np.ndarray,
    tables: Sequence[Predictions],
    best: int,
    pool: Pool,
    groups: np.ndarray | None,
) -> tuple[float, float, float]:
    """Return the mean difference between the best single run and the blend, with its interval."""
    if not differences.any():
        return 0.0, 0.0, 0.0
    y = tables[0].y_true
    single, pooled = tables[best].probabilities, pool.probabilities(tables)
    unseen = unseen_error_loss(y, single) - unseen_error_loss(y, pooled)
    return float(differences.mean()), *difference_interval(differences, unseen, groups)


def _folds(n: int, k: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Return the fold of each image, int array of shape (n,)."""
    rng = np.random.default_rng(seed)
    if groups is None:
        return rng.permutation(n) % k
    fold_of = np.empty(n, dtype=np.int64)
    for fold, rows in enumerate(folds_of_groups(groups, k, rng)):
        fold_of[rows] = fold
    return fold_of


def cross_pooled(tables: Sequence[Predictions], seed: int = 0) -> np.ndarray:
    """Return the blend by log odds of each image, with weights chosen on other images.

    Returns
    -------
    float64 array of shape (n, n_classes), rows sum to 1
    """
    n = len(tables[0])
    fold_of = _folds(n, min(FOLDS, n), seed)
    pooled = np.empty_like(tables[0].probabilities)
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        used = np.flatnonzero(~held_out if not held_out.all() else held_out)
        pool = log_odds_pool(_thinned([table.take(used) for table in tables]))
        pooled[held_out] = pool.probabilities(
            [table.take(np.flatnonzero(held_out)) for table in tables]
        )
    return pooled


def _pools(tables: Sequence[Predictions], start: dict[str, Pool] | None = None) -> dict[str, Pool]:
    """Return the best pool of each kind, by kind; the prior is one row per run."""
    p = np.vstack([_true(tables), np.eye(len(tables))])
    first = start[MEAN].weights if start else blend_weights(p[:: max(1, len(p) // _FIRST)])
    odds = start[LOG_ODDS] if start else None
    some = _thinned(tables)
    return {
        MEAN: Pool(MEAN, blend_weights(p, first)),
        LOG_ODDS: log_odds_pool(some, odds.weights / odds.temperature if odds else None),
    }


def _thinned(tables: Sequence[Predictions]) -> list[Predictions]:
    """Return every k-th row, so that all tables together hold a limited number of values."""
    size = len(tables) * tables[0].probabilities.size
    step = -(-size // _VALUES)
    rows = np.arange(0, len(tables[0]), step)
    return [table.take(rows) for table in tables] if step > 1 else list(tables)


def _true(tables: Sequence[Predictions]) -> np.ndarray:
    """Return the probabilities of the true classes, (n, n_runs)."""
    return np.column_stack([true_class_probability(t.y_true, t.probabilities) for t in tables])


def _losses(pool: Pool, tables: Sequence[Predictions]) -> np.ndarray:
    if pool.kind == MEAN:
        return loss_of(_true(tables) @ pool.weights)
    return loss_of(true_class_probability(tables[0].y_true, pool.probabilities(tables)))


def blend_weights(p: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Return the mixture weights with the lowest log loss, float64 array of shape (n_runs,).

    The log loss is convex in the weights. Each Newton step within the simplex (a quadratic problem
    solved by its active set) is halved until the log loss falls. The steps end when the largest
    mean ratio of a run's probability to the mixture's, which bounds the remaining gain, is 1
    within 1e-7.

    Parameters
    ----------
    p : float64 array of shape (n, n_runs), probability of the true class in each run
    start : weights to start from, by default equal; fewer steps are needed from close ones

    References
    ----------
    Kim, Carbonetto, Stephens, Anitescu (2020), A fast algorithm for maximum likelihood estimation
    of mixture proportions using sequential quadratic programming.
    """
    p = np.maximum(np.asarray(p, dtype=np.float64), EPSILON)
    n_runs = p.shape[1]
    weights = np.full(n_runs, 1 / n_runs) if start is None else start
    for _ in range(_STEPS):
        ratio = p / (p @ weights)[:, None]  # (n, n_runs)
        gradient = ratio.mean(axis=0)  # of minus the log loss
        if gradient.max() - 1 <= _GAP:
            break
        weights = _step(p, weights, gradient, ratio.T @ ratio / len(p))
    single = int(loss_of(p).mean(axis=0).argmin())
    if loss_of(p[:, single]).mean() <= loss_of(p @ weights).mean():
        return np.asarray(np.eye(n_runs)[single])
    return np.asarray(weights)


def blended(tables: Sequence[Predictions], pool: Pool) -> Predictions:
    """Return the blend of the runs' probabilities, with the ids and paths of the first run.

    Parameters
    ----------
    tables : one table per run, with the same images in the same rows and the same classes
    """
    first = tables[0]
    p = pool.probabilities(tables)
    return Predictions(first.ids, first.paths, first.y_true, p, first.class_names)


def _step(
    p: np.ndarray, weights: np.ndarray, gradient: np.ndarray, hessian: np.ndarray
) -> np.ndarray:
    """Return better weights: a Newton step, a part of it, or an EM step."""
    before = np.log(p @ weights).mean()
    towards = _quadratic(weights, gradient, hessian) - weights
    slope = float(gradient @ towards)
    size = 1.0
    while slope > 0 and size > 1e-6:
        tried = weights + size * towards
        if np.log(p @ tried).mean() >= before + 1e-4 * size * slope:
            return np.asarray(tried)
        size /= 2
    return np.asarray(weights * gradient)


def _quadratic(weights: np.ndarray, gradient: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """Minimise the quadratic model of the log loss on the simplex, by exact pairwise steps."""
    w = weights.copy()
    slope = -gradient.copy()  # of the model at w
    for _ in range(1000):
        free = np.where(w > 0, slope, -np.inf)
        low, high = int(slope.argmin()), int(free.argmax())
        if slope[high] - slope[low] < 1e-9:
            break
        curve = hessian[low, low] + hessian[high, high] - 2 * hessian[low, high]
        move = w[high] if curve <= 0 else min(w[high], (slope[high] - slope[low]) / curve)
        w[low] += move
        w[high] = max(w[high] - move, 0.0)
        slope += move * (hessian[:, low] - hessian[:, high])
    return np.asarray(w / w.sum())
