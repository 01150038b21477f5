"""Recommends the correction with the lowest expected log loss."""

from __future__ import annotations

import numpy as np

from engine.analysis.compared_corrections import Comparison, is_rare
from engine.analysis.corrections import fit_corrections, fit_isotonic, refitting
from engine.analysis.fitted import FittedCorrection
from engine.analysis.gain import cross_validated_gain, cross_validated_losses
from engine.analysis.metrics import checked_labels, log_loss

FEWEST = 10  # independent images
NEGLIGIBLE = 0.003  # of the log loss without correction
_FEW_IMAGES = ((170.0, 1.5), (4.8e5, 3.0))  # over n to a power: what few images must gain more
_RARE_NATS = 5.0  # what all images together must gain where one of two classes is rare
_SHIFT_FROM = 100  # images from which on Platt scaling may be recommended
_MOST, _MANY_CLASS_VALUES = 60_000, 60_000  # images of two classes; probabilities of more
_CURVE_FROM, _CURVE_GAIN = 1000, 0.01  # images, and share of the log loss, for isotonic regression


def compare_corrections(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    positive: int | None = None,
    *,
    groups: np.ndarray | None = None,
) -> Comparison:
    """Fit every correction, and recommend the one with the least expected log loss.

    The expectation is over a posterior of how far the probabilities are off (see
    `calibration_posterior`), so that few images change little and errors that have not been
    seen count. None is recommended where nothing gains 0.3 % of the log loss (48 % with 50
    images, as the fit is then least sure), else the simplest that comes within 0.3 % of the
    best. With fewer than two images of one of two classes, the summed gain of all images must be 5.
    Platt scaling needs 100 images. From 1,000 on, isotonic regression takes its place where
    cross-validation shows, beyond noise, that it scores lower. Of more than 60,000 images, or
    60,000 probabilities of more than two classes, a seeded sample is taken; nothing else is random.

    Parameters
    ----------
    y_true : int array of shape (n,)
    probabilities : float64 array of shape (n, n_classes)
    positive : which of two columns is the positive class, None for the second
    groups : int array of shape (n,), equal where images belong together; they count as one

    Raises
    ------
    ValueError
        When there are fewer than 10 images, fewer than 10 groups, or a label is unknown.
    """
    y_true = checked_labels(y_true, probabilities.shape[1])
    rows = _taken(len(y_true), probabilities.shape[1])
    y, p, sampled = y_true[rows], probabilities[rows], len(rows) < len(y_true)
    if groups is not None:
        groups = np.unique(groups[rows], return_inverse=True)[1]
    independent = len(y) if groups is None else int(groups.max(initial=-1)) + 1
    if independent < FEWEST:
        what = "images" if groups is None else "groups of images"
        raise ValueError(f"{independent} {what} are too few to compare corrections; 10 are needed")
    expected = fit_corrections(y, p, positive, independent=independent)
    fitted = {name: one.fitted for name, one in expected.items()}
    losses = {name: one.log_loss for name, one in expected.items()}
    required = required_gain(independent)
    if rare := is_rare(y, p, independent):
        required = max(required, _RARE_NATS / independent / losses["none"])
    recommended = _least(losses, independent, required)
    if p.shape[1] == 2:
        fitted["isotonic"] = fit_isotonic(y, p, positive)
        if not rare and _curve_is_better(y, p, fitted, recommended, groups, positive, independent):
            recommended = "isotonic"
    return Comparison(
        len(y), independent, fitted, recommended, required, sampled, y, p, groups, positive
    )


def _least(expected: dict[str, float], independent: int, required: float) -> str:
    """Return the simplest correction that is as good as the best within a negligible amount."""
    if independent < _SHIFT_FROM:
        expected = {name: loss for name, loss in expected.items() if name != "platt"}
    least, raw = min(expected.values()), expected["none"]
    if least >= raw * (1 - required):
        return "none"
    limit = least + NEGLIGIBLE * raw
    return next(name for name, loss in expected.items() if name != "none" and loss <= limit)


def required_gain(independent: int) -> float:
    """Return the share of the log loss that a correction must gain to be recommended."""
    return NEGLIGIBLE + min(float(each / independent**power) for each, power in _FEW_IMAGES)


def _taken(n: int, n_classes: int) -> np.ndarray:
    """Return the rows to use, ascending: all, or a sample of a large table."""
    size = min(n, _MOST if n_classes == 2 else max(_MANY_CLASS_VALUES // n_classes, 500))
    if size == n:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, size, replace=False))


def _curve_is_better(
    y: np.ndarray,
    p: np.ndarray,
    fitted: dict[str, FittedCorrection],
    recommended: str,
    groups: np.ndarray | None,
    positive: int | None,
    independent: int,
) -> bool:
    """Tell whether isotonic regression scores lower than the recommended one, beyond noise."""
    if independent < _CURVE_FROM:
        return False
    curve, other = fitted["isotonic"], fitted[recommended]
    own = log_loss(y, curve.apply(p)) + len(set(curve.curve)) / 2 / independent
    if own > log_loss(y, other.apply(p)) - _CURVE_GAIN * log_loss(y, p):
        return False  # as it must score higher on other images
    losses = cross_validated_losses(y, p, refitting(positive), groups)
    gain = cross_validated_gain(y, p, curve, losses["isotonic"] - losses[recommended], groups)
    return gain.interval[1] < 0
