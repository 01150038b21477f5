"""The scores of one epoch: a line of ``log.jsonl``, and what a progress display shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NotRequired, TypedDict


class EpochScores(TypedDict):
    """The scores of one epoch, or of one pass of the solver.

    Attributes
    ----------
    epoch : its number; 0 is before the first
    loss, accuracy : log loss and accuracy on the training images, during the epoch
    valid_loss, valid_accuracy : the same on the validation images, after it
    seconds : duration
    share : weight of the trained network in the scored average, if the whole network is trained
    epochs : number of epochs, 0 for a solver; only in what a progress callback gets
    """

    epoch: int
    loss: float
    accuracy: float
    valid_loss: float
    valid_accuracy: float
    seconds: float
    share: NotRequired[float]
    epochs: NotRequired[int]


OnEpoch = Callable[[EpochScores], None]
