"""Log loss by the cause that reviewers give for difficult images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.analysis.intervals import loss_interval


@dataclass(frozen=True)
class CauseLoss:
    """The mean log loss of the n images of a cause ('' for none), and its 95 % interval."""

    cause: str
    n: int
    log_loss: float
    low: float
    high: float


def loss_by_cause(losses: np.ndarray, causes: Sequence[str], unseen: float) -> list[CauseLoss]:
    """Return the mean log loss by cause, highest first; images without a cause come last.

    Parameters
    ----------
    losses : float array of shape (n,); nan, for images without a label, is left out
    causes : the cause of each image, '' for none
    unseen : what an error costs that has not been seen, see `unseen_error_loss`

    Returns
    -------
    list, empty if no labelled image has a cause
    """
    names, known = np.asarray(causes, dtype=str), ~np.isnan(losses)
    found = []
    for cause in sorted(set(names[known].tolist())):
        own = losses[known & (names == cause)]
        found.append(CauseLoss(cause, len(own), float(own.mean()), *loss_interval(own, unseen)))
    if all(each.cause == "" for each in found):
        return []
    return sorted(found, key=lambda each: (each.cause == "", -each.log_loss))
