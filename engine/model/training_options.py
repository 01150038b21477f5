"""The options of a training loop: how long, how fast and in what order it trains."""

from __future__ import annotations

from dataclasses import dataclass

from engine.runs.fit_options import FitOptions


@dataclass(frozen=True)
class TrainingOptions:
    """The options of a training loop.

    Attributes
    ----------
    epochs : passes over the training images
    lr : peak learning rate
    batch_size : images per step
    seed : random seed of the order of images and of all other random numbers
    """

    epochs: int
    lr: float
    batch_size: int
    seed: int


def training_options(options: FitOptions) -> TrainingOptions:
    """Return the training options of a fit whose defaults are filled in."""
    assert options.epochs and options.lr
    return TrainingOptions(options.epochs, options.lr, options.batch_size, options.seed)
