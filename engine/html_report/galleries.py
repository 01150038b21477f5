"""Chooses the images that the page shows, their groups and their captions."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.analysis.report import ImageSummary, Report

CLASSES_SHOWN = 8
_CATEGORIES = {
    "most-incorrect": (
        "Most confident incorrect",
        "Incorrectly predicted {}, most confident first",
    ),
    "most-uncertain": ("Most uncertain", "Smallest margin first"),
    "random-incorrect": ("Random incorrect", "Random sample of all incorrect images"),
    "most-correct": ("Most confident correct", "Correctly predicted {}, most confident first"),
    "random-correct": ("Random correct", "Random sample of all correct images"),
}


@dataclass(frozen=True)
class Tile:
    """An image with its caption; ``source`` is empty where the image cannot be read."""

    source: str
    correct: bool
    label: str
    predicted: str
    id: str
    probability: str
    log_loss: str


@dataclass(frozen=True)
class Group:
    """Images with one caption."""

    caption: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Section:
    """A category; ``by_class`` is True if it has one group per class."""

    title: str
    by_class: bool
    groups: tuple[Group, ...]


def classes_shown(report: Report) -> list[str]:
    """Return the classes whose images are shown: all of a few, else those with the most errors."""
    names = report.class_names
    if len(names) <= CLASSES_SHOWN:
        return list(names)
    errors = report.confusion_matrix.sum(axis=1) - np.diag(report.confusion_matrix)
    order = np.argsort(-errors, kind="stable")[:CLASSES_SHOWN]
    return sorted(names[index] for index in order.tolist())


def shown_images(report: Report) -> list[ImageSummary]:
    """Return every image that the page shows; an image may occur more than once."""
    classes = {None, *classes_shown(report)}
    return [
        image for part in report.categories if part.predicted in classes for image in part.images
    ]


def section(report: Report, category: str, thumbnails: Mapping[str, bytes]) -> Section:
    """Return the images and captions of a category.

    Parameters
    ----------
    thumbnails : JPEG bytes by path; an image without a thumbnail is shown as unreadable
    """
    title, caption = _CATEGORIES[category]
    classes = classes_shown(report)
    parts = [p for p in report.of(category) if p.predicted is None or p.predicted in classes]
    groups = tuple(
        Group(
            caption.format(part.predicted),
            tuple(_tile(image, thumbnails.get(image.path, b"")) for image in part.images),
        )
        for part in parts
        if part.images
    )
    return Section(title, len(parts) > 1, groups)


def _tile(image: ImageSummary, jpeg: bytes) -> Tile:
    p = image.probabilities[image.predicted]
    return Tile(
        source=f"data:image/jpeg;base64,{b64encode(jpeg).decode('ascii')}" if jpeg else "",
        correct=image.label == image.predicted,
        label=str(image.label),
        predicted=image.predicted,
        id=image.id,
        probability=">0.999" if 0.9995 <= p < 1 else f"{p:.3f}",
        log_loss=f"{image.log_loss:.3f}",
    )
