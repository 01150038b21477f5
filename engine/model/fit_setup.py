"""The values that a fit passes from step to step."""

from __future__ import annotations

from dataclasses import dataclass

from engine.data.dataset import Dataset
from engine.model.extractor import Extractor
from engine.model.features import Features
from engine.model.ranks import Ranks
from engine.runs.fit_options import FitOptions
from engine.runs.precision_check import PrecisionCheck
from engine.runs.progress import Clock, Reporter
from engine.runs.run import Run


@dataclass(frozen=True)
class FitSetup:
    """The run to fill, and everything that follows from its options.

    Attributes
    ----------
    options : checked, with their defaults filled in
    dataset : with the labels to train on
    extractor : the frozen networks with their initial weights
    ranks : the processes of the fit
    report, clock : report the progress, and measure the seconds by stage
    checked : the comparison that decided the precision of the pass, None without one
    """

    run: Run
    options: FitOptions
    dataset: Dataset
    extractor: Extractor
    ranks: Ranks
    report: Reporter
    clock: Clock
    checked: PrecisionCheck | None = None


@dataclass(frozen=True)
class FitFeatures:
    """The features of a fit's images.

    Attributes
    ----------
    dataset : without the images that cannot be decoded
    extractor : the network that made the features, frozen or fine-tuned
    checked : the comparison that decided their precision, None without one
    """

    dataset: Dataset
    extractor: Extractor
    features: Features
    checked: PrecisionCheck | None = None
