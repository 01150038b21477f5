"""Recommends the correction with the lowest expected loss, and reports its gain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from engine.analysis.corrections import TITLES, fit_corrections, fit_isotonic
from engine.analysis.fitted import FittedCorrection
from engine.analysis.gain import Gain, cross_validated_gain, cross_validated_losses
from engine.analysis.intervals import image_count_text
from engine.analysis.metrics import checked_labels, log_loss, per_sample_log_loss

FEWEST, FEW = 10, 200  # independent images: needed, and below which the prior decides
NEGLIGIBLE = 0.003  # of the log loss without correction
_FEW_IMAGES = ((170.0, 1.5), (4.8e5, 3.0))  # over n to a power: what few images must gain more
_RARE, _RARE_NATS = 2, 5.0  # images of one of two classes, below which all must gain so much more
_SHIFT_FROM = 100  # images from which on Platt scaling may be recommended
_MOST, _MANY_CLASS_VALUES = 60_000, 60_000  # images of two classes; probabilities of more
_CURVE_FROM, _CURVE_GAIN = 1000, 0.01  # images, and share of the log loss, for isotonic regression
ALL_THE_SAME = (
    "It is recommended all the same: it has the lowest expected log loss on new images, where "
    "errors may occur that these images do not show."
)


@dataclass(frozen=True)
class Scored:
    """A correction and its score on images that it was not fitted to.

    Attributes
    ----------
    fitted : to all images
    log_loss : cross-validated
    gain : log loss minus that without correction; below 0 is better
    """

    fitted: FittedCorrection
    log_loss: float
    gain: Gain

    @property
    def name(self) -> str:
        """Return the name of the correction."""
        return self.fitted.name

    @property
    def title(self) -> str:
        """Return the name as a person knows it."""
        return TITLES[self.name]

    def summary(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.name,
            "title": self.title,
            "log_loss": self.log_loss,
            "difference": self.gain.difference,
            "interval": list(self.gain.interval),
            "fitted": self.fitted.values,
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """The recommended correction; the cross-validated scores are computed when first used.

    Attributes
    ----------
    n : number of images used
    independent : number of independent images or groups
    fitted : each correction with its best parameters, by name
    recommended : name of the one to apply
    required : share of the expected log loss that a correction must gain to be recommended
    sampled : whether ``n`` is a sample of a larger table
    """

    n: int
    independent: int
    fitted: dict[str, FittedCorrection]
    recommended: str
    required: float
    sampled: bool
    _y: np.ndarray = field(repr=False)
    _p: np.ndarray = field(repr=False)
    _groups: np.ndarray | None = field(repr=False)
    _positive: int | None

    @property
    def images(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return labels, probabilities and groups of the images that were used."""
        return self._y, self._p, self._groups

    @property
    def chosen(self) -> FittedCorrection:
        """Return the recommended correction."""
        return self.fitted[self.recommended]

    @cached_property
    def scored(self) -> list[Scored]:
        """Return every correction with its cross-validated log loss, the simplest first."""
        fit = refitting(self._positive)
        losses = cross_validated_losses(self._y, self._p, fit, self._groups)
        raw = per_sample_log_loss(self._y, self._p)
        return [
            Scored(
                fitted,
                float(losses[name].mean()),
                cross_validated_gain(self._y, self._p, fitted, losses[name] - raw, self._groups),
            )
            for name, fitted in self.fitted.items()
        ]

    @property
    def choice(self) -> Scored:
        """Return the recommended correction with its score."""
        return next(one for one in self.scored if one.name == self.recommended)

    @property
    def raw(self) -> float:
        """Return the log loss without correction."""
        return log_loss(self._y, self._p)

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Return title and reason of each correction that is not defined for these classes."""
        return [
            (title, "it is defined for two classes")
            for name, title in TITLES.items()
            if name not in self.fitted
        ]

    @property
    def clear(self) -> bool:
        """Tell whether the gain is beyond noise, including that of fitting."""
        return self.choice.gain.interval[1] < 0

    @property
    def sentence(self) -> str:
        """Return the recommendation in words."""
        images = image_count_text(self.n, self.independent)
        if self.recommended == "none":
            needed = self.required
            if _is_rare(self._y, self._p, self.independent):
                return (
                    f"Apply no correction: of {images}, fewer than {_RARE} belong to one of the "
                    "two classes, which is too few to choose one. Label more images of that class."
                )
            if needed >= 1:
                return (
                    f"Apply no correction: {images} are too few to choose one. Label {FEW} or more."
                )
            told = (
                f"Apply no correction: none is expected to lower the log loss ({self.raw:.5f}) by "
                f"{100 * needed:.1f} % or more, and with {images} a smaller gain may be chance."
            )
        else:
            told = f"Apply {named(self.chosen)}: cross-validated on {images}, {self._change}"
        if self.independent < FEW:
            told += (
                f" {self.independent:,} {'images' if self.independent == self.n else 'groups'} are "
                f"few: with {FEW} or more the recommendation is more reliable."
            )
        return told

    @property
    def _change(self) -> str:
        """Return the change of the log loss by the recommended correction, in words."""
        gain, (low, high) = self.choice.gain.difference, self.choice.gain.interval
        ends = f"from {self.raw:.5f} to {self.choice.log_loss:.5f}"
        if self.clear:
            interval = f"95 % interval {-high:.5f} to {-low:.5f}"
            return f"it lowers the log loss {ends}, by {-gain:.5f} ({interval})."
        return (
            f"it changes the log loss {ends}. That change of {gain:+.5f} is within noise (95 % "
            f"interval {low:+.5f} to {high:+.5f}). {ALL_THE_SAME}"
        )

    def summary(self) -> dict[str, Any]:
        """Return it as plain values."""
        lower, upper = self.chosen.lower, self.chosen.upper
        return {
            "n": self.n,
            "independent": self.independent,
            "sampled": self.sampled,
            "corrections": [one.summary() for one in self.scored],
            "left_out": [{"title": title, "reason": reason} for title, reason in self.left_out],
            "recommended": self.recommended,
            "clear": self.clear,
            "log_loss": self.choice.log_loss,
            "log_loss_without": self.raw,
            "lower": lower,
            "upper": upper,
            "sentence": self.sentence,
        }


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
    if rare := _is_rare(y, p, independent):
        required = max(required, _RARE_NATS / independent / losses["none"])
    recommended = _least(losses, independent, required)
    if p.shape[1] == 2:
        fitted["isotonic"] = fit_isotonic(y, p, positive)
        if not rare and _curve_is_better(y, p, fitted, recommended, groups, positive, independent):
            recommended = "isotonic"
    return Comparison(
        len(y), independent, fitted, recommended, required, sampled, y, p, groups, positive
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


def named(fitted: FittedCorrection) -> str:
    """Return a correction with its numbers, in words."""
    values = fitted.values
    words = {
        "none": "no correction",
        "clip": "clip bounds",
        "temperature": f"temperature {fitted.temperature:.3g}",
        "platt": f"Platt scaling (slope {1 / fitted.temperature:.3g}, {fitted.shift:+.3g})",
        "isotonic": "isotonic regression",
    }[fitted.name]
    if "lower" not in values:
        return words
    bounds = f"{fitted.lower:.4g} to {fitted.upper:.6g}"
    return f"{words} {bounds}" if fitted.name == "clip" else f"{words}, then clip bounds {bounds}"


def _is_rare(y: np.ndarray, p: np.ndarray, independent: int) -> bool:
    """Tell whether there are hardly any images of one of two classes."""
    each = np.bincount(y, minlength=2)
    return p.shape[1] == 2 and int(each.min()) * independent / len(y) < _RARE


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
