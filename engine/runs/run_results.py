"""The results of a fit, as its run's config stores them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BackbonesCompared:
    """The log loss of each way to join several backbones, on images that no head was trained on.

    Attributes
    ----------
    kept : the way with the lowest log loss: "side by side", "blend", or one backbone's name
    log_loss : of each way, by the natural logarithm
    weights : of each backbone's log odds in the blend
    n : images: all labelled ones where the fit has folds, else the training images
    """

    kept: str
    log_loss: dict[str, float]
    weights: dict[str, float]
    n: int

    @property
    def sentence(self) -> str:
        """Return the log loss of each way of joining the networks, the lowest first."""
        ways = sorted(self.log_loss.items(), key=lambda way: way[1])
        said = ", ".join(f"{name} {loss:.4f}" for name, loss in ways)
        return f"Log loss out of fold, {self.n:,} images: {said}; kept: {self.kept}."


@dataclass(frozen=True)
class ImageCounts:
    """How many images of a run are in which split, or quarantined."""

    train: int = 0
    valid: int = 0
    test: int = 0
    quarantined: int = 0


@dataclass(frozen=True)
class Scores:
    """Accuracy, and log loss by the natural logarithm, on the validation images."""

    accuracy: float
    log_loss: float


@dataclass(frozen=True)
class FoldsSummary:
    """The out-of-fold scores of n images from k folds.

    Attributes
    ----------
    groups : number of groups of identical or near-identical images; a fold divides none
    """

    k: int
    n: int
    accuracy: float
    log_loss: float
    groups: int
    seconds: float


@dataclass(frozen=True)
class LabelEdits:
    """The numbers of labelled images that verdicts relabelled or left out."""

    relabelled: int
    dropped: int


@dataclass(frozen=True)
class LabelEditEffect:
    """Log loss of an earlier run and of the refit, on the same images and labels.

    Attributes
    ----------
    against : the earlier run
    split : the predictions that were compared
    n, excluded : images that were compared, and images of the earlier run that were not
    log_loss_before, log_loss_after : natural logarithm
    difference, interval : before minus after, above 0 is better, and its paired 95 % interval
    """

    against: str
    split: str
    n: int
    excluded: int
    log_loss_before: float
    log_loss_after: float
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class ImportedFrom:
    """The table that an imported run was made from."""

    file: str
    sha256: str
