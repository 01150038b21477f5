"""Stores explanations of images, by run, weights and image."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from engine.errors import UserError
from engine.runs.caches import decoded_cache
from engine.runs.files import read_json, write_json
from engine.runs.opening import is_file
from engine.runs.run import Run

FORMAT_VERSION = 3


HeatMapFile = TypedDict(
    "HeatMapFile",
    {"class": str, "roles": list[str], "file": str, "blank": bool, "over": NotRequired[str]},
)
"""The heat map of a class: its roles (predicted, true), its file, and whether it is empty.

``over`` is a file with the map on top of the image, which the command line adds.
"""


class Neighbour(TypedDict):
    """A training image, and its cosine distance to an image."""

    split: str
    id: str
    path: str
    label: str
    sha256: str
    distance: float


class Explanation(TypedDict):
    """Heat maps for the predicted and the true class of an image, and similar training images.

    Attributes
    ----------
    run, split, id, sha256, path : the image
    predicted, true : names of classes, None if unknown
    maps : one for each class, the predicted one first
    box : left, top, right, bottom of the network's input, as fractions of the image
    neighbours : the nearest training images, the nearest first
    note : why there are no neighbours, '' if there are some
    model_note : that the model of the heat maps predicts another class than the one shown, or ''
    """

    run: str
    split: str
    id: str
    sha256: str
    path: str
    predicted: str | None
    true: str | None
    maps: list[HeatMapFile]
    box: list[float]
    neighbours: list[Neighbour]
    note: str
    model_note: str


def explanations_folder(run: Run) -> Path:
    """Return the folder with a run's explanations, which depends on the weights.

    Raises
    ------
    UserError
        If the run has no model, because it is imported or its fit did not finish.
    """
    checksum = run.config.head_sha256
    if checksum is None:
        raise UserError(
            f"run {run.name} has no model, because it is imported or its fit did not finish."
        )
    key = hashlib.sha256(checksum.encode()).hexdigest()[:12]
    return decoded_cache("explanations") / f"{run.name}-{key}"


def load_explanation(run: Run, split: str, image: str, sha256: str) -> Explanation | None:
    """Return the stored explanation of an image, or None if it or one of its files is missing.

    Raises
    ------
    UserError
        If the run has no model.
    """
    path = _path(run, split, image, sha256)
    try:
        found = read_json(path)
    except UserError:
        return None
    try:
        whole = found.pop("format_version") == FORMAT_VERSION
        there = all(_is_ours(run, Path(each["file"])) for each in found["maps"])
    except (KeyError, TypeError):
        return None
    return cast(Explanation, found) if whole and there else None


def _is_ours(run: Run, file: Path) -> bool:
    return file.parent == explanations_folder(run) and is_file(file)


def save_explanation(run: Run, found: Explanation) -> None:
    """Save the explanation of an image."""
    path = _path(run, found["split"], found["id"], found["sha256"])
    write_json(path, {"format_version": FORMAT_VERSION, **found})


def _path(run: Run, split: str, image: str, sha256: str) -> Path:
    # Ids and checksums from a table are untrusted text and must not become part of a path.
    name = hashlib.sha256(json.dumps([split, image, sha256]).encode()).hexdigest()
    return explanations_folder(run) / f"{name}.json"
