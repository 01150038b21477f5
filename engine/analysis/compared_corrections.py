"""Corrections compared on the same images: each with its score, and the recommendation in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from engine.analysis.corrections import TITLES, refitting
from engine.analysis.fitted import FittedCorrection
from engine.analysis.gain import Gain, cross_validated_gain, cross_validated_losses
from engine.analysis.intervals import image_count_text
from engine.analysis.metrics import log_loss, per_sample_log_loss

FEW = 200  # independent images below which the prior decides
RARE = 2  # images of one of two classes, below which all images together must gain more
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
            if is_rare(self._y, self._p, self.independent):
                return (
                    f"Apply no correction: of {images}, fewer than {RARE} belong to one of the "
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


def is_rare(y: np.ndarray, p: np.ndarray, independent: int) -> bool:
    """Tell whether there are hardly any images of one of two classes."""
    each = np.bincount(y, minlength=2)
    return p.shape[1] == 2 and int(each.min()) * independent / len(y) < RARE
