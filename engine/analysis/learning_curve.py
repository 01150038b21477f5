"""Extrapolates a learning curve: what twice as many training images are expected to gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.analysis.gain import REFITTING
from engine.analysis.intervals import group_values
from engine.analysis.stats import Z

_RATIOS = np.linspace(0.3, 1.0, 71)  # of the gain of a doubling to that of the doubling before
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class LearningCurve:
    """The log loss by number of training images, each number twice the one before.

    Attributes
    ----------
    sizes : training images, ascending
    losses : log loss on images that were not trained on, at each size
    n_train : images that the run's model is trained on
    gain, interval : by how much twice as many images are expected to lower its log loss, and the
        95 % interval
    """

    sizes: tuple[int, ...]
    losses: tuple[float, ...]
    n_train: int
    gain: float
    interval: tuple[float, float]


def learning_curve(
    sizes: tuple[int, ...], losses: np.ndarray, n_train: int, groups: np.ndarray | None = None
) -> LearningCurve:
    """Extrapolate to twice as many images.

    With the power law ``a + b * n**-c`` each doubling gains a constant ratio, 2**-c, of what the
    doubling before gained. For each ratio from 0.3 to 1 the gains are fitted by generalised least
    squares, and weighted by their likelihood. The covariance is that of the images' losses, which
    are paired, times Nadeau and Bengio's 9/4 for other training images. The gain is not bounded
    below: an interval that includes 0 means that more images may not help.

    Parameters
    ----------
    sizes : training images, each about twice the one before, three or more
    losses : float64 array of shape (n_sizes, n), of the same n images
    n_train : images from which to double
    groups : array of shape (n,), equal where images belong together

    References
    ----------
    Cortes, Jackel, Solla, Vapnik and Denker (1993), Learning curves: asymptotic values and rate of
    convergence.
    """
    steps = -np.diff(losses, axis=0)  # (doublings, n), above 0 where more images are better
    values = steps if groups is None else np.stack([group_values(s, groups) for s in steps])
    gains, n = steps.mean(axis=1), values.shape[1]
    covariance = np.cov(values) * REFITTING / n + _LEAST_VARIANCE * np.eye(len(gains))
    precision = np.linalg.inv(covariance)
    further = float(np.log2(n_train / sizes[-1]))  # doublings from the last size to the run's
    means, variances, misfits = [], [], []
    for ratio in _RATIOS:
        shape = ratio ** np.arange(len(gains))
        weight = float(shape @ precision @ shape)
        first = float(shape @ precision @ gains) / weight
        left = gains - first * shape
        to_next = ratio ** (len(gains) + further)
        means.append(first * to_next)
        variances.append(to_next**2 / weight)
        misfits.append(float(left @ precision @ left))
    chance = np.exp(-0.5 * (np.array(misfits) - min(misfits)))
    chance /= chance.sum()
    mean = float(chance @ means)
    error = Z * float(chance @ (np.array(variances) + np.square(np.array(means) - mean))) ** 0.5
    return LearningCurve(
        sizes, tuple(losses.mean(axis=1).tolist()), n_train, mean, (mean - error, mean + error)
    )
