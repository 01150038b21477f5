"""A fitted correction, as it is applied to probabilities and stored with a submission."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from scipy.special import expit

from engine.analysis.calibration_posterior import logs_of
from engine.analysis.clipping import clip_probabilities, positive_column, row_blocks
from engine.analysis.metrics import EPSILON
from engine.analysis.parallel import over_parts
from engine.errors import UserError

SATURATED = 4 * EPSILON  # nearer to 0 or 1 is as good as 0 or 1


@dataclass(frozen=True)
class FittedCorrection:
    """A correction of probabilities with its fitted parameters.

    Attributes
    ----------
    name : none, clip, temperature, platt or isotonic
    temperature : the logarithms of the probabilities are divided by it
    shift : for two classes, added to the log odds of the positive one
    lower, upper : bounds that are applied last, to P(positive) or, for more classes, to each
        probability
    safe : bound in place of a probability that is exactly 0 or 1
    positive : which of two columns is the positive class, None for the second
    odds, curve : for isotonic regression, log odds and P(positive) at them, both ascending
    """

    name: str
    temperature: float = 1.0
    shift: float = 0.0
    lower: float = 0.0
    upper: float = 1.0
    safe: float = 1e-6
    positive: int | None = None
    odds: tuple[float, ...] = ()
    curve: tuple[float, ...] = ()

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Return corrected probabilities, float64 of shape (n, n_classes); rows sum to 1.

        A probability that is exactly 0 or 1 is always changed: one error there would have an
        infinite loss.
        """
        p = self.before_bounds(probabilities)
        lower, upper = self.bounds_of(p)
        return clip_probabilities(p, lower, upper, self.positive)

    def before_bounds(self, probabilities: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the corrected probabilities before the bounds are applied, in the same shape.

        Parameters
        ----------
        probabilities : float64 array of shape (n, n_classes)
        out : where to write what changes, ``probabilities`` itself if they are not used again
        """
        p = np.asarray(probabilities, dtype=np.float64)
        two = p.shape[1] == 2
        if self.temperature == 1 and not (two and (self.curve or self.shift)):
            return p
        out = np.empty_like(p) if out is None else out
        correct = self._of_two if two else self._of_many

        def part(rows: slice) -> None:
            correct(p[rows], out[rows])

        over_parts(part, row_blocks(*p.shape), p.size)
        return out

    def bounds_of(self, p: np.ndarray) -> tuple[float, float]:
        """Return the bounds for these probabilities, ``safe`` ones if one is exactly 0 or 1."""
        if (self.lower, self.upper) != (0.0, 1.0):
            return self.lower, self.upper
        least, most = p.min(axis=1), p.max(axis=1)
        finite = np.isfinite(least) & np.isfinite(most)
        if (least[finite] <= SATURATED).any() or (most[finite] >= 1 - SATURATED).any():
            return self.safe, 1 - self.safe
        return 0.0, 1.0

    @property
    def values(self) -> dict[str, float]:
        """Return the fitted parameters by name."""
        named = {
            "temperature": {"temperature": self.temperature},
            "platt": {"slope": 1 / self.temperature, "intercept": self.shift},
            "isotonic": {"steps": float(len(set(self.curve)))},
        }.get(self.name, {})
        bounded = (self.lower, self.upper) != (0.0, 1.0)
        return named | ({"lower": self.lower, "upper": self.upper} if bounded else {})

    def summary(self) -> dict[str, Any]:
        """Return the correction as plain values, which `from_summary` reads."""
        return asdict(self)

    @classmethod
    def from_summary(cls, value: Any) -> FittedCorrection:
        """Return the correction that a record stores.

        Raises
        ------
        UserError
            When the record holds something else.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(value, dict) or not set(value) <= known or "name" not in value:
            raise UserError(
                "the record of the submission has no readable correction; write the submission "
                "again."
            )
        lists = {key: tuple(value[key]) for key in ("odds", "curve") if key in value}
        return cls(**{**value, **lists})

    def _of_many(self, p: np.ndarray, out: np.ndarray) -> None:
        np.log(np.maximum(p, EPSILON, out=out), out=out)
        out /= self.temperature
        out -= out.max(axis=1, keepdims=True)
        np.exp(out, out=out)
        out /= out.sum(axis=1, keepdims=True)

    def _of_two(self, p: np.ndarray, out: np.ndarray) -> None:
        column = positive_column(self.positive)
        logs = logs_of(p)
        odds = logs[:, column] - logs[:, 1 - column]
        if self.curve:
            out[:, column] = np.interp(odds, self.odds, self.curve)
            out[:, 1 - column] = 1 - out[:, column]
        else:
            odds = odds / self.temperature + self.shift
            out[:, column], out[:, 1 - column] = expit(odds), expit(-odds)
