"""The gain of a correction on images that it was not fitted to, with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.analysis.fitted import FittedCorrection
from engine.analysis.grouped import folds_of_groups
from engine.analysis.intervals import group_values, unseen_error_loss
from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.parallel import over_parts
from engine.analysis.stats import Z

FOLDS = 5
REFITTING = (1 / FOLDS + 1 / (FOLDS - 1)) * FOLDS  # of the variance, Nadeau and Bengio's
Refit = Callable[[np.ndarray, np.ndarray, int], dict[str, FittedCorrection]]


@dataclass(frozen=True)
class Gain:
    """A cross-validated difference in log loss; below 0 is better.

    Attributes
    ----------
    difference : mean over the images
    interval : 95 %, including the noise of fitting
    """

    difference: float
    interval: tuple[float, float]


def cross_validated_losses(
    y: np.ndarray, p: np.ndarray, refit: Refit, groups: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return the loss of each image with corrections fitted to the other four fifths, (n,) each.

    The parts are the same in any order of the images and with any names of the groups. A group is
    never divided.

    Parameters
    ----------
    refit : function of labels, probabilities and their number of independent images that returns
        fitted corrections by name
    groups : int array of shape (n,), numbered from 0
    """
    rng = np.random.default_rng(0)
    order = np.lexsort((*p.T, y))
    if groups is None:
        parts = [order[part] for part in np.array_split(rng.permutation(len(y)), FOLDS)]
    else:
        parts = folds_of_groups(_in_order_of_first(groups, order), FOLDS, rng)

    def of_part(held_out: np.ndarray) -> dict[str, np.ndarray]:
        known = np.ones(len(y), dtype=bool)
        known[held_out] = False
        independent = int(known.sum()) if groups is None else len(np.unique(groups[known]))
        return {
            name: per_sample_log_loss(y[held_out], fitted.apply(p[held_out]))
            for name, fitted in refit(y[known], p[known], independent).items()
        }

    losses: dict[str, np.ndarray] = {}
    for held_out, found in zip(parts, over_parts(of_part, parts, p.size), strict=True):
        for name, own in found.items():
            losses.setdefault(name, np.empty(len(y)))[held_out] = own
    return losses


def _in_order_of_first(groups: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the groups numbered as they first occur in this order of the images."""
    _, first, group_of = np.unique(groups[order], return_index=True, return_inverse=True)
    numbers = np.empty(len(groups), dtype=np.int64)
    numbers[order] = first.argsort().argsort()[group_of]
    return numbers


def cross_validated_gain(
    y: np.ndarray,
    p: np.ndarray,
    fitted: FittedCorrection,
    differences: np.ndarray,
    groups: np.ndarray | None = None,
) -> Gain:
    """Return the mean difference with an interval that includes the noise of fitting.

    The variance of the mean is multiplied by 1 + 5/4 (Nadeau and Bengio's corrected resampled
    t-test), because any two fits share images. The interval also contains that of the images with
    one unseen error added.

    Parameters
    ----------
    y : int array of shape (n,), class indices
    p : float64 array of shape (n, n_classes)
    fitted : the correction, fitted to all images
    differences : float64 array of shape (n,), cross-validated losses of each image
    groups : array of shape (n,), equal where images belong together

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error.
    """
    return _gain(y, p, fitted, differences, groups, REFITTING)


def fixed_difference(
    y: np.ndarray, p: np.ndarray, fitted: FittedCorrection, groups: np.ndarray | None = None
) -> Gain:
    """Return the effect of a correction that was not fitted, such as given bounds.

    Parameters
    ----------
    y : int array of shape (n,), class indices
    p : float64 array of shape (n, n_classes)
    fitted : the correction
    groups : int array of shape (n,), equal where images belong together
    """
    after = per_sample_log_loss(y, fitted.apply(p))
    return _gain(y, p, fitted, after - per_sample_log_loss(y, p), groups, 1.0)


def _gain(
    y: np.ndarray,
    p: np.ndarray,
    fitted: FittedCorrection,
    differences: np.ndarray,
    groups: np.ndarray | None,
    inflation: float,
) -> Gain:
    if not differences.any():
        return Gain(0.0, (0.0, 0.0))
    unseen = unseen_error_loss(y, fitted.apply(p)) - unseen_error_loss(y, p)
    interval = difference_interval(differences, unseen, groups, inflation)
    return Gain(float(differences.mean()), interval)


def difference_interval(
    differences: np.ndarray,
    unseen: float,
    groups: np.ndarray | None = None,
    inflation: float = REFITTING,
) -> tuple[float, float]:
    """Return the 95 % interval of a mean difference in log loss, one unseen error included.

    Parameters
    ----------
    differences : float64 array of shape (n,), of each image's losses
    unseen : difference in loss on a correct image with another label, see `unseen_error_loss`
    groups : array of shape (n,), equal where images belong together
    inflation : of the variance, for the noise of fitting
    """
    values = differences if groups is None else group_values(differences, groups)
    further = _ends(np.append(values, unseen), inflation)
    if len(values) == 1:  # which has no spread of its own
        return min(float(values[0]), further[0]), max(float(values[0]), further[1])
    low, high = _ends(values, inflation)
    if unseen < differences.mean():
        return min(low, further[0]), high
    return low, max(high, further[1])


def _ends(values: np.ndarray, inflation: float) -> tuple[float, float]:
    mean, n = float(values.mean()), len(values)
    error = Z * float(values.std(ddof=1)) * (inflation / n) ** 0.5
    return mean - error, mean + error
