"""Fits corrections of probabilities to labelled predictions.

Clip, temperature and Platt have the lowest loss that the posterior of the labelled images expects,
which includes errors that have not been seen yet; see `calibration_posterior`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.optimize import isotonic_regression

from engine.analysis.calibration_posterior import (
    CalibrationPosterior,
    calibration_posterior,
    logs_of,
    make_rows,
)
from engine.analysis.clipping import positive_column
from engine.analysis.fitted import SATURATED, FittedCorrection
from engine.analysis.sharpened_loss import SharpenedLoss

TITLES = {
    "none": "No correction",
    "clip": "Clip bounds",
    "temperature": "Temperature",
    "platt": "Platt scaling",
    "isotonic": "Isotonic regression",
}
_LOG_SHARPNESS = np.linspace(-2.4, 2.4, 25)
_SHIFT = np.linspace(-8, 8, 33)
_UNBOUNDED = 40.0  # log odds beyond those of any float64 probability
_LIMIT = np.append(np.linspace(1.1, 14, 20), _UNBOUNDED)  # log odds at the bound
_ZOOMS = 4
_ROUNDING = 1e-9  # of an expected loss
_MANY_CLASS_ROWS = 1500
_SAFE = 1e-6


@dataclass(frozen=True)
class Expected:
    """A correction and its expected log loss on other images."""

    fitted: FittedCorrection
    log_loss: float


def fit_corrections(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    positive: int | None = None,
    *,
    independent: int | None = None,
) -> dict[str, Expected]:
    """Fit each correction: none, clip, temperature and, for two classes, Platt; by name.

    Parameters
    ----------
    y_true : int array of shape (n,)
    probabilities : float64 array of shape (n, n_classes)
    positive : which of two columns is the positive class, None for the second
    independent : number of independent images or groups; n by default
    """
    rows = make_rows(y_true, probabilities, independent or len(y_true))
    loss = _expected_loss(calibration_posterior(rows))
    low, high = float(probabilities.min()), float(probabilities.max())
    saturated = low <= SATURATED or high >= 1 - SATURATED
    safe = _SAFE if saturated else max(_SAFE, min(low, 1 - high))
    limits = _LIMIT[:-1] if saturated else _LIMIT
    found = {"none": Expected(FittedCorrection("none", safe=safe), _at(loss, 0, 0, 40))}
    one, nothing = np.zeros(1), (0.0, 0.0, _UNBOUNDED)
    clip = _lowest(loss, nothing, [one, one, limits])
    scaled = _lowest(loss, clip, [_LOG_SHARPNESS, one, limits])
    best = {"clip": clip, "temperature": scaled}
    if probabilities.shape[1] == 2:
        moved = _lowest(loss, scaled, [_LOG_SHARPNESS, _SHIFT, one + scaled[2]])
        moved = _lowest(loss, moved, [_LOG_SHARPNESS, one + moved[1], limits])
        best["platt"] = _lowest(loss, moved, [_LOG_SHARPNESS, _SHIFT, one + moved[2]])
    sign = 1 if positive_column(positive) == 1 or probabilities.shape[1] > 2 else -1
    for name, (log_a, shift, limit) in best.items():
        fitted = FittedCorrection(
            name, float(np.exp(-log_a)), sign * shift, safe=safe, positive=positive
        )
        if limit < _UNBOUNDED:
            bound = float(1 / (1 + np.exp(limit)))
            fitted = replace(fitted, lower=bound, upper=1 - bound, safe=bound)
        found[name] = Expected(fitted, _at(loss, log_a, shift, limit))
    if saturated:  # 0 and 1 are always moved; here by a quarter of one image in all
        safe = max(_SAFE, 1 / (4 * rows.weight.sum() * probabilities.shape[1]))
        safe = min(float(safe), found["clip"].fitted.safe)
        found["none"] = replace(found["none"], fitted=FittedCorrection("none", safe=safe))
    return found


def fit_isotonic(
    y_true: np.ndarray, probabilities: np.ndarray, positive: int | None = None
) -> FittedCorrection:
    """Fit the increasing curve that is nearest to the labels of two classes.

    It stays ``1 / (n + 2)`` away from 0 and 1: n images cannot show that a share is exactly 0,
    and one error there would have an unlimited loss.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, 2)
    positive : which of the two columns is the positive class, None for the second

    References
    ----------
    Zadrozny and Elkan (2002), Transforming classifier scores into accurate multiclass probability
    estimates.
    """
    column = positive_column(positive)
    logs = logs_of(probabilities)
    odds, at = np.unique(logs[:, column] - logs[:, 1 - column], return_inverse=True)
    count = np.bincount(at)
    share = np.bincount(at, weights=y_true == column) / count
    margin = 1 / (len(y_true) + 2)
    curve = np.clip(isotonic_regression(share, weights=count).x, margin, 1 - margin)
    turns = np.ones(len(curve), dtype=bool)  # of a level stretch, its ends say all
    turns[1:-1] = (curve[1:-1] != curve[:-2]) | (curve[1:-1] != curve[2:])
    return FittedCorrection(
        "isotonic",
        safe=margin,
        positive=positive,
        odds=tuple(odds[turns].tolist()),
        curve=tuple(curve[turns].tolist()),
    )


def refitting(positive: int | None) -> Callable[..., dict[str, FittedCorrection]]:
    """Return a function that fits all corrections to a part of the images."""

    def fit(y: np.ndarray, p: np.ndarray, independent: int) -> dict[str, FittedCorrection]:
        found = fit_corrections(y, p, positive, independent=independent)
        fitted = {name: one.fitted for name, one in found.items()}
        if p.shape[1] == 2:
            fitted["isotonic"] = fit_isotonic(y, p, positive)
        return fitted

    return fit


Loss = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Point = tuple[float, float, float]  # log of the sharpness, shift, log odds at the bound


def _lowest(loss: Loss, start: Point, axes: list[np.ndarray]) -> Point:
    """Return the point of lowest expected loss: of a grid, then of finer grids around it.

    Of points that are equally good but for rounding, the first counts.
    """
    best, lowest = start, _at(loss, *start)
    for _ in range(_ZOOMS):
        mesh = [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]
        losses = loss(*mesh)
        least = int(np.argmax(losses <= losses.min() * (1 + _ROUNDING)))
        if losses[least] < lowest * (1 - _ROUNDING):
            lowest = float(losses[least])
            best = (float(mesh[0][least]), float(mesh[1][least]), float(mesh[2][least]))
        axes = [_closer(axis, at) for axis, at in zip(axes, best, strict=True)]
    return best


def _closer(axis: np.ndarray, at: float) -> np.ndarray:
    if len(axis) == 1:
        return np.array([at])
    i = int(np.abs(axis - at).argmin())
    low, high = axis[max(i - 1, 0)], axis[min(i + 1, len(axis) - 1)]
    below, above = np.linspace(low, at, 4), np.linspace(at, high, 4)
    return np.unique(np.append(below, above))  # `at` exactly once, or no next grid would be finer


def _at(loss: Loss, log_a: float, shift: float, limit: float) -> float:
    return float(loss(np.array([log_a]), np.array([shift]), np.array([limit]))[0])


def _expected_loss(posterior: CalibrationPosterior) -> Loss:
    if posterior.target.shape[1] == 2:
        return partial(_loss_of_two, posterior)
    every = max(1, len(posterior.target) // _MANY_CLASS_ROWS)
    rows = posterior.rows
    weight = rows.weight[::every] / rows.weight[::every].sum()
    return SharpenedLoss.of(rows.logs[::every], posterior.target[::every], weight).at


def _loss_of_two(
    posterior: CalibrationPosterior, log_a: np.ndarray, shift: np.ndarray, limit: np.ndarray
) -> np.ndarray:
    """Return the expected loss of each (sharpness, shift, bound), arrays of shape (points,)."""
    weight = posterior.rows.weight / posterior.rows.weight.sum()
    odds = np.exp(log_a)[:, None] * posterior.rows.odds + shift[:, None]
    odds = np.clip(odds, -limit[:, None], limit[:, None])
    return np.asarray(np.logaddexp(0, odds) @ weight - odds @ (weight * posterior.target[:, 1]))
