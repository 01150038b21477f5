"""Corrections of probabilities that are fitted to labelled predictions and applied to others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax

from engine.analysis.bounds import best_independent, best_symmetric
from engine.analysis.clipping import clip_loss, clip_probabilities, positive_column
from engine.analysis.metrics import EPSILON

_LOG_SHARPNESS = (-5.0, 5.0)  # of the temperature's inverse
_NEWTON_STEPS = 50
_MANY_CLASSES = 10


@dataclass(frozen=True)
class Fitted:
    """A correction fitted to images.

    Attributes
    ----------
    values : the numbers that were fitted, by name
    apply : probabilities of shape (n, n_classes) to corrected ones, float64, rows sum to 1
    """

    values: dict[str, float]
    apply: Callable[[np.ndarray], np.ndarray]


Fit = Callable[[np.ndarray, np.ndarray, int | None], Fitted]


@dataclass(frozen=True)
class Correction:
    """A way to correct probabilities.

    Attributes
    ----------
    name, title : as JSON and as a person knows it
    numbers : how many are fitted; many for a curve
    fit : labels (n,), probabilities (n, n_classes) and the positive one of two classes to Fitted
    most_classes : with more it is not defined, or takes too long
    reason : why
    """

    name: str
    title: str
    numbers: int
    fit: Fit
    most_classes: int | None = None
    reason: str = ""


def _raw(y_true: np.ndarray, probabilities: np.ndarray, positive: int | None) -> Fitted:
    return Fitted({}, lambda p: p)


def _symmetric(y_true: np.ndarray, probabilities: np.ndarray, positive: int | None) -> Fitted:
    bound, _ = best_symmetric(clip_loss(y_true, probabilities, positive))
    return _clip(bound, 1 - bound, positive)


def _independent(y_true: np.ndarray, probabilities: np.ndarray, positive: int | None) -> Fitted:
    lower, upper, _ = best_independent(clip_loss(y_true, probabilities, positive))
    return _clip(lower, upper, positive)


def _clip(lower: float, upper: float, positive: int | None) -> Fitted:
    return Fitted(
        {"lower": lower, "upper": upper},
        lambda p: clip_probabilities(p, lower, upper, positive),
    )


def _temperature(y_true: np.ndarray, probabilities: np.ndarray, positive: int | None) -> Fitted:
    """Divide the logarithms of the probabilities by the temperature that costs least.

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    if probabilities.shape[1] == 2:
        odds = np.where(y_true == 1, 1, -1) * _log_odds(probabilities, 1)

        def loss(log_sharpness: float) -> float:
            return -float(log_expit(np.exp(log_sharpness) * odds).mean())
    else:
        logs, rows = _logs(probabilities), np.arange(len(y_true))

        def loss(log_sharpness: float) -> float:
            return -float(log_softmax(np.exp(log_sharpness) * logs, axis=1)[rows, y_true].mean())

    best = minimize_scalar(loss, bounds=_LOG_SHARPNESS, method="bounded", options={"xatol": 1e-6})
    sharpness = float(np.exp(best.x))
    return Fitted({"temperature": 1 / sharpness}, lambda p: _sharpened(p, sharpness))


def _sharpened(probabilities: np.ndarray, sharpness: float) -> np.ndarray:
    if probabilities.shape[1] == 2:
        return _two_columns(sharpness * _log_odds(probabilities, 1), 1)
    return np.asarray(softmax(sharpness * _logs(probabilities), axis=1))


def _temperature_clip(
    y_true: np.ndarray, probabilities: np.ndarray, positive: int | None
) -> Fitted:
    cooled = _temperature(y_true, probabilities, positive)
    clipped = _symmetric(y_true, cooled.apply(probabilities), positive)
    return Fitted(cooled.values | clipped.values, lambda p: clipped.apply(cooled.apply(p)))


def _platt(y_true: np.ndarray, probabilities: np.ndarray, positive: int | None) -> Fitted:
    """Fit a straight line through the log odds; the labels are drawn a little towards each other.

    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """
    column = positive_column(positive)
    odds, is_positive = _log_odds(probabilities, column), y_true == column
    n_positive = int(is_positive.sum())
    high, low = (n_positive + 1) / (n_positive + 2), 1 / (len(y_true) - n_positive + 2)
    slope, intercept = _straight_line(odds, np.where(is_positive, high, low))
    return Fitted(
        {"slope": slope, "intercept": intercept},
        lambda p: _two_columns(slope * _log_odds(p, column) + intercept, column),
    )


def _straight_line(odds: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the logistic regression on one number, by Newton's method."""
    x = np.column_stack([odds, np.ones_like(odds)])

    def loss(theta: np.ndarray) -> float:
        score = x @ theta
        return float(-(target * log_expit(score) + (1 - target) * log_expit(-score)).mean())

    theta = np.array([1.0, 0.0])
    now = loss(theta)
    for _ in range(_NEWTON_STEPS):
        p = expit(x @ theta)
        gradient = x.T @ (p - target) / len(x)
        curvature = (x * (p * (1 - p))[:, None]).T @ x / len(x) + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > 1e-6 and loss(theta - size * step) > now:
            size /= 2
        theta, before = theta - size * step, now
        now = loss(theta)
        if before - now < 1e-14:
            break
    return float(theta[0]), float(theta[1])


def _isotonic(y_true: np.ndarray, probabilities: np.ndarray, positive: int | None) -> Fitted:
    """Fit the rising curve that is nearest to the labels.

    Its ends are held ``1 / (n + 2)`` away from 0 and 1: n images cannot tell that a share is
    nothing, and one error there would cost without end.
    """
    column = positive_column(positive)
    odds, at = np.unique(_log_odds(probabilities, column), return_inverse=True)
    count = np.bincount(at)
    share = np.bincount(at, weights=y_true == column) / count
    curve = np.asarray(isotonic_regression(share, weights=count).x)
    margin = 1 / (len(y_true) + 2)
    steps = np.clip(curve, margin, 1 - margin)

    def apply(p: np.ndarray) -> np.ndarray:
        out = np.empty_like(p, dtype=np.float64)
        out[:, column] = np.interp(_log_odds(p, column), odds, steps)
        out[:, 1 - column] = 1 - out[:, column]
        return out

    return Fitted({"steps": float(len(np.unique(steps)))}, apply)


def _log_odds(probabilities: np.ndarray, column: int) -> np.ndarray:
    logs = _logs(probabilities)
    return np.asarray(logs[:, column] - logs[:, 1 - column])


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.maximum(probabilities, EPSILON)))


def _two_columns(odds: np.ndarray, column: int) -> np.ndarray:
    out = np.empty((len(odds), 2))
    out[:, column], out[:, 1 - column] = expit(odds), expit(-odds)
    return out


_TWO = "it is defined for two classes"
CORRECTIONS = (  # the simplest first
    Correction("raw", "No correction", 0, _raw),
    Correction("symmetric", "Symmetric clip", 1, _symmetric),
    Correction("temperature", "Temperature", 1, _temperature),
    Correction(
        "independent", "Independent bounds", 2, _independent, _MANY_CLASSES,
        f"choosing it again for every fold takes too long with more than {_MANY_CLASSES} classes",
    ),
    Correction("temperature-clip", "Temperature, then clip", 2, _temperature_clip),
    Correction("platt", "Platt scaling", 2, _platt, 2, _TWO),
    Correction("isotonic", "Isotonic regression", 100, _isotonic, 2, _TWO),
)  # fmt: skip
