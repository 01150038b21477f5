"""Which correction a submission applies, and the log loss to expect with and without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.analysis.compared_corrections import ALL_THE_SAME, Comparison, named
from engine.analysis.fitted import FittedCorrection
from engine.analysis.gain import fixed_difference
from engine.analysis.intervals import loss_interval, unseen_error_loss
from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.recommendation import compare_corrections
from engine.competition.submission_checks import Check
from engine.data.image_groups import image_groups
from engine.errors import UserError
from engine.runs.run import DEFAULT_BOUNDS, Run

CORRECTIONS = ("recommended", "none", "clip", "temperature", "platt", "isotonic")


@dataclass(frozen=True)
class Expectation:
    """The log loss to expect of a submission, from labelled images.

    Attributes
    ----------
    n : labelled images
    log_loss, log_loss_without : with the correction (cross-validated if fitted) and without
    log_loss_interval : 95 % interval with the correction
    difference, interval : with minus without, below 0 is better, and its 95 % interval
    """

    n: int
    log_loss: float
    log_loss_interval: tuple[float, float]
    log_loss_without: float
    difference: float
    interval: tuple[float, float]

    @property
    def costs(self) -> bool:
        """Return whether the correction raises the log loss beyond noise."""
        return self.interval[0] > 0

    def summary(self) -> dict[str, Any]:
        """Return the expectation as plain values."""
        ends = {key: list(getattr(self, key)) for key in ("log_loss_interval", "interval")}
        return {**vars(self), **ends}


@dataclass(frozen=True)
class ChosenCorrection:
    """The correction of a submission, who chose it, and its expected log loss.

    Attributes
    ----------
    fitted : the correction
    source : "recommended", "asked for" or "set on the Clip page"
    expected : None if there are too few labelled images
    """

    fitted: FittedCorrection
    source: str
    expected: Expectation | None

    @property
    def sentence(self) -> str:
        """Return one sentence: the correction, and the log loss with and without it."""
        what = named(self.fitted)
        told = f"{what[0].upper()}{what[1:]} ({self.source})"
        if self.expected is None:
            return f"{told}; too few labelled images to say what it does to the log loss."
        e, (least, most) = self.expected, self.expected.log_loss_interval
        told += (
            f": expected log loss {e.log_loss:.5f} (95 % interval {least:.5f} to {most:.5f}, "
            f"{e.n:,} labelled images)"
        )
        if self.fitted.name == "none":
            return f"{told}."
        low, high = e.interval
        is_noise = low <= 0 <= high
        told += (
            f", {e.log_loss_without:.5f} without it. The difference of {e.difference:+.5f} is "
            f"{'within' if is_noise else 'beyond'} noise (95 % interval {low:+.5f} to {high:+.5f})."
        )
        if self.source == "recommended" and is_noise:
            told += f" {ALL_THE_SAME}"
        return told

    def summary(self) -> dict[str, Any]:
        """Return the choice as plain values, so that the submission can be repeated."""
        return {
            "source": self.source,
            "fitted": self.fitted.summary(),
            "expected": None if self.expected is None else self.expected.summary(),
        }

    def check(self, accepted: bool = False) -> Check:
        """Return the check that the correction does not raise the log loss beyond noise.

        Parameters
        ----------
        accepted : whether the user accepts a higher log loss
        """
        e = self.expected
        if e is None:
            return Check("correction", True, self.sentence)
        if not e.costs:
            what = named(self.fitted)
            said = f"{what[0].upper()}{what[1:]} does not raise the log loss beyond noise."
            if self.fitted.name == "none":
                said = "The probabilities are submitted as they are."
            return Check("correction", True, said)
        message = (
            f"{self.sentence} Apply the recommended correction, or accept the cost (--accept-cost)."
        )
        return Check("correction", accepted, message)


def given_bounds(lower: float, upper: float, positive: int | None = None) -> FittedCorrection:
    """Return the correction that only clips to these bounds."""
    name = "none" if (lower, upper) == (0, 1) else "clip"
    return FittedCorrection(name, lower=lower, upper=upper, positive=positive)


def compared(run: Run) -> Comparison | None:
    """Return the comparison of the run's corrections, None if it has too few labelled images."""
    split = run.labelled_split
    try:
        table = run.predictions(split)
    except UserError:
        return None
    if not len(table) or not table.labelled:
        return None
    try:
        return compare_corrections(
            table.y_true, table.probabilities, positive_index(run),
            groups=image_groups(run, split, table),
        )  # fmt: skip
    except ValueError:
        return None


def choose_correction(
    run: Run,
    correction: str = "recommended",
    bounds: tuple[float | None, float | None] = (None, None),
    found: Comparison | None = None,
) -> ChosenCorrection:
    """Return the correction that a submission of the run applies.

    The first of these that exists: given bounds; a named correction; bounds set on the Clip page;
    the recommendation. A run without labelled images is clipped to 0.025 and 0.975, because no
    correction can be fitted.

    Parameters
    ----------
    correction : one of ``CORRECTIONS``
    bounds : lower and upper, None for the run's own
    found : the comparison of the run's corrections, if it exists already

    Raises
    ------
    UserError
        When the correction is unknown, is not defined here, or does not go with bounds.
    """
    if correction not in CORRECTIONS:
        raise UserError(f"must be one of {', '.join(CORRECTIONS)}.", option="correction")
    found = found or compared(run)
    positive = positive_index(run)
    if bounds != (None, None):
        if correction not in ("recommended", "clip"):
            raise UserError(
                f"is {correction}, which takes no bounds; leave the bounds out.",
                option="correction",
            )
        lower, upper = (
            own if given is None else given for given, own in zip(bounds, run.bounds, strict=True)
        )
        fitted = given_bounds(lower, upper, positive)
        return ChosenCorrection(fitted, "asked for", expectation(found, fitted))
    kept = run.kept_bounds if correction == "recommended" else None
    if kept is not None:
        fitted = given_bounds(*kept, positive)
        return ChosenCorrection(fitted, "set on the Clip page", expectation(found, fitted))
    if correction == "none":
        fitted = found.fitted["none"] if found else given_bounds(0, 1, positive)
        return ChosenCorrection(fitted, "asked for", expectation(found, fitted))
    if found is None:
        if correction != "recommended":
            raise UserError(
                f"is {correction}, which is fitted to labelled images, but run {run.name} has too "
                "few; choose another.",
                option="correction",
            )
        fitted = given_bounds(*DEFAULT_BOUNDS, positive)
        return ChosenCorrection(fitted, "there are no labelled images to choose by", None)
    name = found.recommended if correction == "recommended" else correction
    if name not in found.fitted:
        raise UserError(
            f"is {name}, which needs exactly two classes; choose another.", option="correction"
        )
    fitted = found.fitted[name]
    source = "recommended" if name == found.recommended else "asked for"
    return ChosenCorrection(fitted, source, expectation(found, fitted))


def expectation(found: Comparison | None, fitted: FittedCorrection) -> Expectation | None:
    """Return the log loss to expect with a correction, None without labelled images."""
    if found is None:
        return None
    y, p, groups = found.images
    after = fitted.apply(p)
    losses = per_sample_log_loss(y, after)
    interval = loss_interval(losses, unseen_error_loss(y, after), groups)
    own = next((one for one in found.scored if one.fitted == fitted), None)
    gain = own.gain if own else fixed_difference(y, p, fitted, groups)
    level = own.log_loss if own else float(losses.mean())
    return Expectation(found.n, level, interval, found.raw, gain.difference, gain.interval)


def positive_index(run: Run) -> int | None:
    """Return the column of the positive class, None for the default (the second of two)."""
    positive = run.config.positive
    return None if positive is None else run.class_names.index(positive)


def corrected(
    probabilities: np.ndarray, fitted: FittedCorrection, *, in_place: bool = False
) -> np.ndarray:
    """Return the corrected probabilities before the bounds are applied; invalid rows do not change.

    Parameters
    ----------
    probabilities : float64 array of shape (n, n_classes); NaN and values outside 0 to 1 may occur
    in_place : whether they may be overwritten, which needs no second table
    """
    with np.errstate(invalid="ignore"):
        usable = (probabilities.min(axis=1) >= 0) & (probabilities.max(axis=1) <= 1)
    if usable.all():
        return fitted.before_bounds(probabilities, probabilities if in_place else None)
    out = np.array(probabilities, dtype=np.float64)
    out[usable] = fitted.before_bounds(out[usable])
    return out
