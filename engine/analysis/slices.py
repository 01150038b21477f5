"""Finds weak slices: log loss and errors by image property, corrected for multiple testing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from engine.analysis.grouped import bin_pvalues
from engine.analysis.intervals import (
    effective_counts,
    loss_interval,
    proportion_interval,
    unseen_error_loss,
)
from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.stats import adjusted_pvalues
from engine.errors import UserError
from engine.runs.predictions import Predictions

BINS = 5
ALPHA = 0.05
_FEWEST, _FEWEST_NAMED = 20, 5  # least number of images in a slice


@dataclass(frozen=True, eq=False)
class Cut:
    """A division of the images into bins by one property.

    Attributes
    ----------
    trait : the property's name
    bin_of : int array of shape (n,), -1 where the property is unknown
    low, high : smallest and largest value in each bin; empty for a property with names
    names : name of each bin, for a property with names
    """

    trait: str
    bin_of: np.ndarray
    low: np.ndarray
    high: np.ndarray
    names: tuple[str, ...] = ()

    @property
    def n_bins(self) -> int:
        """Return the number of bins."""
        return len(self.names) or len(self.low)


@dataclass(frozen=True)
class Slice:
    """A group of images with a common property.

    Attributes
    ----------
    trait, bin, n_bins : the property, the bin, and how many there are, see :class:`Cut`
    true : the class of the images, None for all classes
    low, high : smallest and largest value in the bin; None if it has a name
    name : name of the bin, '' if it has ``low`` and ``high``
    n, errors : number of images and of incorrect images
    error_rate, error_interval : share of incorrect images, with 95 % interval
    log_loss, log_loss_interval : mean, with 95 % interval
    rest : log loss of the other images (of that class)
    excess : decrease of the log loss of all images if the slice had the log loss of the rest
    p : probability that as many random images or groups (of that class) have at least this log loss
    p_adjusted : p after the Benjamini-Hochberg adjustment for all slices
    """

    trait: str
    bin: int
    n_bins: int
    true: str | None
    low: float | None
    high: float | None
    name: str
    n: int
    errors: int
    error_rate: float
    error_interval: tuple[float, float]
    log_loss: float
    log_loss_interval: tuple[float, float]
    rest: float
    excess: float
    p: float
    p_adjusted: float

    @property
    def stands_out(self) -> bool:
        """Return whether the slice is significantly worse than the rest after the adjustment."""
        return self.p_adjusted <= ALPHA

    def as_json(self) -> dict[str, Any]:
        """Return the slice as `second-look slices --json` prints it."""
        values = vars(self).copy()
        del values["n_bins"]
        return {
            "property": values.pop("trait"),
            **values,
            "error_interval": list(self.error_interval),
            "log_loss_interval": list(self.log_loss_interval),
            "stands_out": self.stands_out,
        }


@dataclass(frozen=True, eq=False)
class _Images:
    """Labels, losses, errors and groups of n images, and the loss assumed for an unseen error."""

    y: np.ndarray
    losses: np.ndarray
    wrong: np.ndarray
    unseen: float
    groups: np.ndarray | None = None


def cuts(properties: pd.DataFrame) -> list[Cut]:
    """Divide images by each property: numbers into fifths, names by name.

    Equal values stay together, so there may be fewer than five bins; a constant property is left
    out.

    Parameters
    ----------
    properties : one row per image; numbers (nan: unknown) or names (None: unknown)
    """
    made = []
    for name in properties.columns:
        values = properties[name]
        if pd.api.types.is_numeric_dtype(values):
            cut = _by_number(str(name), values.to_numpy(dtype=np.float64))
        else:
            cut = _by_name(str(name), values)
        if cut.n_bins > 1:
            made.append(cut)
    return made


def slices(
    predictions: Predictions, cut_by: list[Cut], groups: np.ndarray | None = None
) -> list[Slice]:
    """Return all slices of at least 20 images (5 for named bins), the weakest first.

    As many other images must be left to compare them with.

    A slice is a bin of a property, or the part of a bin with one true class. The latter is compared
    with the rest of its class, so that a difficult class alone makes no slice significant.
    Significant slices come first; both parts are sorted by excess, largest first. P-values are
    adjusted by the method of Benjamini and Hochberg (1995). Images of one of the ``groups``, int
    array of shape (n,), count as one in intervals and p-values.

    Raises
    ------
    UserError
        If there are no images, or some have no label.
    """
    if not predictions.labelled:
        raise UserError(
            "slices need labelled predictions; fit on labelled images, or import a table whose "
            "label column is filled."
        )
    y, names = predictions.y_true, predictions.class_names
    losses = per_sample_log_loss(y, predictions.probabilities)
    unseen = unseen_error_loss(y, predictions.probabilities)
    return slices_of(y, losses, unseen, names, cut_by, predictions.y_pred != y, groups)


def slices_of(
    y_true: np.ndarray,
    losses: np.ndarray,
    unseen: float,
    class_names: Sequence[str],
    cut_by: list[Cut],
    wrong: np.ndarray,
    groups: np.ndarray | None = None,
) -> list[Slice]:
    """Return the slices for given labels, losses and errors, arrays of shape (n,).

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    losses : float array of shape (n,)
    wrong : bool array of shape (n,), whether an image is incorrect
    groups : int array of shape (n,), equal where images belong together
    unseen : what an error costs that has not been seen, see `unseen_error_loss`
    """
    images = _Images(y_true, losses, wrong, unseen, groups)
    found = [made for cut in cut_by for made in _of_cut(images, class_names, cut)]
    if not found:
        return []
    adjusted = adjusted_pvalues(np.array([made.p for made in found]))
    marked = [
        Slice(**{**vars(made), "p_adjusted": float(p)})
        for made, p in zip(found, adjusted, strict=True)
    ]
    return sorted(marked, key=lambda s: (not s.stands_out, -s.excess, s.trait, s.bin, s.true or ""))


def _by_number(name: str, values: np.ndarray) -> Cut:
    known = np.isfinite(values)
    if not known.any():
        return Cut(name, np.full(len(values), -1), np.empty(0), np.empty(0))
    place = pd.Series(values[known]).rank().to_numpy() - 0.5  # equal values share their mean rank
    bin_of = np.full(len(values), -1)
    bin_of[known] = (BINS * place / len(place)).astype(np.int64)
    filled, bin_of[known] = np.unique(bin_of[known], return_inverse=True)
    by_bin = [values[bin_of == b] for b in range(len(filled))]
    low, high = (np.array([end(v) for v in by_bin]) for end in (np.min, np.max))
    return Cut(name, bin_of, low, high)


def _by_name(name: str, values: pd.Series) -> Cut:
    codes, names = pd.factorize(values, sort=True)  # None becomes -1
    return Cut(name, np.asarray(codes), np.empty(0), np.empty(0), tuple(map(str, names)))


def _of_cut(images: _Images, names: Sequence[str], cut: Cut) -> Iterator[Slice]:
    """Yield the slices of a cut, first for all images, then for each class."""
    known = cut.bin_of >= 0
    yield from _of_group(cut, None, np.flatnonzero(known), images)
    for index, name in enumerate(names):
        rows = np.flatnonzero(known & (images.y == index))
        if len(rows):
            yield from _of_group(cut, name, rows, images)


def _of_group(cut: Cut, true: str | None, rows: np.ndarray, images: _Images) -> Iterator[Slice]:
    bin_of, losses, wrong = cut.bin_of[rows], images.losses[rows], images.wrong[rows]
    size, bins = len(rows), cut.n_bins
    fewest = _FEWEST_NAMED if cut.names else _FEWEST
    n = np.bincount(bin_of, minlength=bins)
    enough = (n >= fewest) & (size - n >= fewest)  # one image is no rest to compare with
    if not enough.any():
        return
    total = np.bincount(bin_of, weights=losses, minlength=bins)
    errors = np.bincount(bin_of, weights=wrong, minlength=bins).astype(np.int64)
    mean = total / np.maximum(n, 1)
    groups_here = None if images.groups is None else images.groups[rows]
    p = bin_pvalues(losses, bin_of, bins, groups_here)
    for b in np.flatnonzero(enough).tolist():
        own = bin_of == b
        groups = None if groups_here is None else groups_here[own]
        rest = float((losses.sum() - total[b]) / (size - n[b]))
        yield Slice(
            trait=cut.trait,
            bin=b,
            n_bins=cut.n_bins,
            true=true,
            low=None if cut.names else float(cut.low[b]),
            high=None if cut.names else float(cut.high[b]),
            name=cut.names[b] if cut.names else "",
            n=int(n[b]),
            errors=int(errors[b]),
            error_rate=float(errors[b] / n[b]),
            error_interval=proportion_interval(*effective_counts(wrong[own], groups)),
            log_loss=float(mean[b]),
            log_loss_interval=loss_interval(losses[own], images.unseen, groups),
            rest=rest,
            excess=float(n[b] * (mean[b] - rest) / len(images.losses)),
            p=float(p[b]),
            p_adjusted=1.0,
        )
