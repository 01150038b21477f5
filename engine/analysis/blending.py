"""A blend of runs: weights that cost least on labelled images, and what the blend gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.analysis.compare import Joined
from engine.analysis.metrics import EPSILON, cost_of, true_class_probability
from engine.analysis.paired import paired_difference
from engine.runs.predictions import Predictions

FOLDS = 5
_GAP = 1e-7
_STEPS = 100
_FIRST = 50_000  # images that lead close to the weights at a fraction of the cost


@dataclass(frozen=True, eq=False)
class Blend:
    """Weights of several runs, and how good their blend is.

    Attributes
    ----------
    weights : float64 array of shape (n_runs,), not negative, sum 1
    singles : float64 array of shape (n_runs,), log loss of each run on the shared images
    best : the run with the lowest of them
    in_sample : log loss of the blend on the images that its weights were chosen on
    cross_validated : log loss with weights chosen on other images
    gain : log loss of the best run minus ``cross_validated``, with 95 % interval; above 0 the
        blend is better
    folds : float64 array of shape (folds, n_runs), the weights chosen without each fold
    """

    weights: np.ndarray
    singles: np.ndarray
    best: int
    in_sample: float
    cross_validated: float
    gain: tuple[float, float, float]
    folds: np.ndarray

    @property
    def pays(self) -> bool:
        """Tell whether the gain is beyond noise."""
        return self.gain[1] > 0


def blend(joined: Joined, seed: int = 0) -> Blend:
    """Choose weights for the runs of a join, and say by cross-validation what that gains.

    The best run is chosen on all images, the weights on four fifths at a time, so that the gain
    is rather too small than too large.
    """
    y = joined.tables[0].y_true
    p = np.column_stack([true_class_probability(y, t.probabilities) for t in joined.tables])
    weights = blend_weights(p, blend_weights(p[:: max(1, len(p) // _FIRST)]))
    singles = cost_of(p).mean(axis=0)
    best = int(singles.argmin())
    fold_of = np.random.default_rng(seed).permutation(len(p)) % FOLDS
    folds, losses = [], np.empty(len(p))
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        chosen = blend_weights(p[~held_out] if not held_out.all() else p, weights)
        folds.append(chosen)
        losses[held_out] = cost_of(p[held_out] @ chosen)
    return Blend(
        weights=weights,
        singles=singles,
        best=best,
        in_sample=float(cost_of(p @ weights).mean()),
        cross_validated=float(losses.mean()),
        gain=paired_difference(cost_of(p[:, best]), losses, seed),
        folds=np.array(folds),
    )


def blend_weights(p: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Return the weights of the mixture that costs least, float64 array of shape (n_runs,).

    The log loss is convex in the weights. Newton's steps within the simplex (each a quadratic
    solved by its active set) are halved until they help; they end when the largest mean ratio of
    a run's to the mixture's probability, which bounds what is still to gain, is 1 within 1e-7.

    Parameters
    ----------
    p : float64 array of shape (n, n_runs), what each run gives to the true class
    start : weights near by, which spare steps; all the same by default

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
    single = int(cost_of(p).mean(axis=0).argmin())
    if cost_of(p[:, single]).mean() <= cost_of(p @ weights).mean():
        return np.asarray(np.eye(n_runs)[single])
    return np.asarray(weights)


def blended(tables: Sequence[Predictions], weights: np.ndarray) -> Predictions:
    """Return the weighted mean of the runs' probabilities; ids and paths are the first one's.

    Parameters
    ----------
    tables : one a run, row by row the same images and the same classes
    """
    first = tables[0]
    mean = sum(w * t.probabilities for w, t in zip(weights.tolist(), tables, strict=True))
    p = np.asarray(mean) / np.asarray(mean).sum(axis=1, keepdims=True)
    return Predictions(first.ids, first.paths, first.y_true, p, first.class_names)


def _step(
    p: np.ndarray, weights: np.ndarray, gradient: np.ndarray, hessian: np.ndarray
) -> np.ndarray:
    """Return better weights: Newton's, or between them and the old ones, or EM's."""
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
    """Minimise the quadratic model of the log loss on the simplex, by exact coordinate pairs."""
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
