"""Measures the effect of a refit with edited labels, on one fixed set of labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.analysis.gain import REFITTING
from engine.analysis.intervals import group_values
from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.paired import paired_difference
from engine.runs.predictions import UNKNOWN, Predictions


@dataclass(frozen=True)
class Change:
    """Log loss before and after on the same n images and labels.

    Attributes
    ----------
    n : number of images that both runs predicted and that have a fixed label
    excluded : number of the earlier run's images without a fixed label
    log_loss_before, log_loss_after : the log losses with the fixed labels
    difference, low, high : before minus after, above 0 is better, and its 95 % interval, which
        includes the noise of fitting again
    """

    n: int
    excluded: int
    log_loss_before: float
    log_loss_after: float
    difference: float
    low: float
    high: float

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain values, the interval as a pair."""
        values = asdict(self)
        values["interval"] = [values.pop("low"), values.pop("high")]
        return values


def change_on_fixed_labels(
    before: Predictions,
    after: Predictions,
    labels: np.ndarray,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> Change | None:
    """Score two runs with the same labels of the same images, and compare the losses per image.

    The labels of the runs are ignored, and an image that only one run predicted is left out. So
    removing images or changing labels cannot improve the result by itself. The paired bootstrap
    interval is widened by the square root of 9/4, as two fits differ by more than their labels
    (Nadeau and Bengio 2003, for five parts).

    Parameters
    ----------
    labels : int array, the class of each row of ``before``, ``UNKNOWN`` for none
    groups : int array, equal where images of ``before`` belong together; they count as one

    Returns
    -------
    None if no image remains or the runs have different classes
    """
    if before.class_names != after.class_names:
        return None
    found = pc.index_in(before.ids, after.ids.cast(pa.string()))
    at = np.asarray(pc.fill_null(found, -1), dtype=np.int64)
    counted = (labels != UNKNOWN) & (at >= 0)
    if not counted.any():
        return None
    y = labels[counted]
    a = per_sample_log_loss(y, before.probabilities[counted])
    b = per_sample_log_loss(y, after.probabilities[at[counted]])
    of = None if groups is None else groups[counted]
    first, second = (v if of is None else group_values(v, of) for v in (a, b))
    difference, low, high = paired_difference(first, second, seed)
    below, above = (REFITTING**0.5 * (end - difference) for end in (low, high))
    return Change(
        int(counted.sum()), int((~counted).sum()), float(a.mean()), float(b.mean()),
        difference, difference + below, difference + above,
    )  # fmt: skip
