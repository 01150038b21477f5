"""Blends runs: chooses weights that minimise the log loss, and measures the blend's gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.analysis.joined import Joined
from engine.analysis.metrics import EPSILON, loss_of, true_class_probability
from engine.analysis.paired import paired_difference
from engine.runs.predictions import Predictions

FOLDS = 5
_GAP = 1e-7
_STEPS = 100
_FIRST = 50_000  # images of a first, faster optimisation that gives starting weights


@dataclass(frozen=True, eq=False)
class Blend:
    """The weights of several runs and the quality of their blend.

    Attributes
    ----------
    weights : float64 array of shape (n_runs,), not negative, sum 1
    singles : float64 array of shape (n_runs,), log loss of each run on the shared images
    best : index of the run with the lowest log loss
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
        """Return whether the gain's 95 % interval lies above 0."""
        return self.gain[1] > 0


def blend(joined: Joined, seed: int = 0) -> Blend:
    """Choose weights for joined runs, and cross-validate the gain of the blend.

    The best run is chosen on all images but the weights on four fifths at a time, so that the gain
    is underestimated rather than overestimated.
    """
    y = joined.tables[0].y_true
    p = np.column_stack([true_class_probability(y, t.probabilities) for t in joined.tables])
    weights = blend_weights(p, blend_weights(p[:: max(1, len(p) // _FIRST)]))
    singles = loss_of(p).mean(axis=0)
    best = int(singles.argmin())
    fold_of = np.random.default_rng(seed).permutation(len(p)) % FOLDS
    folds, losses = [], np.empty(len(p))
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        chosen = blend_weights(p[~held_out] if not held_out.all() else p, weights)
        folds.append(chosen)
        losses[held_out] = loss_of(p[held_out] @ chosen)
    return Blend(
        weights=weights,
        singles=singles,
        best=best,
        in_sample=float(loss_of(p @ weights).mean()),
        cross_validated=float(losses.mean()),
        gain=paired_difference(loss_of(p[:, best]), losses, seed),
        folds=np.array(folds),
    )


def blend_weights(p: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Return the mixture weights with the lowest log loss, float64 array of shape (n_runs,).

    The log loss is convex in the weights. Each Newton step within the simplex (a quadratic problem
    solved by its active set) is halved until the log loss falls. The steps end when the largest
    mean ratio of a run's probability to the mixture's, which bounds the remaining gain, is 1
    within 1e-7.

    Parameters
    ----------
    p : float64 array of shape (n, n_runs), probability of the true class in each run
    start : weights to start from, close ones save steps; equal weights by default

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


def blended(tables: Sequence[Predictions], weights: np.ndarray) -> Predictions:
    """Return the weighted mean of the runs' probabilities, with the ids and paths of the first run.

    Parameters
    ----------
    tables : one table per run, with the same images in the same rows and the same classes
    """
    first = tables[0]
    mean = sum(w * t.probabilities for w, t in zip(weights.tolist(), tables, strict=True))
    p = np.asarray(mean) / np.asarray(mean).sum(axis=1, keepdims=True)
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
