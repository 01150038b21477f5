"""Explains a prediction: heat maps, and the most similar training images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.formats import Unreadable
from engine.data.images import Reduced, decode_reduced
from engine.data.overlays import overlay
from engine.errors import UserError
from engine.model.device import choose_device
from engine.model.extractor import open_model
from engine.model.heat_maps import Heat, HeatMaps, open_networks
from engine.model.training_features import TrainingFeatures
from engine.runs.explanations import (
    Explanation,
    HeatMapFile,
    Neighbour,
    explanations_folder,
    load_explanation,
    save_explanation,
)
from engine.runs.files import write_atomic
from engine.runs.opening import is_file, read_file
from engine.runs.run import Run

_SPLITS = ("valid", "train", "test")  # splits that are searched for an id


@dataclass(frozen=True)
class Image:
    """An image of a run with its predicted and true class (None if unknown)."""

    split: str
    id: str
    path: str
    sha256: str
    true: int | None
    predicted: int | None


class Explainer:
    """A run's network, kept open, so that every request after the first is fast.

    Raises
    ------
    UserError
        If the run has no model, or one that does not allow heat maps.
    """

    def __init__(self, run: Run) -> None:
        explanations_folder(run)  # raises a specific error for a run without a model
        self.run, self.class_names = run, run.class_names
        self._extractor, self._head = open_model(run)
        networks = open_networks(self._extractor, choose_device(precision="float32").name)
        self._heat_maps = HeatMaps(self._extractor, self._head, networks)
        self._images = run.images
        kept = self._extractor.kept_features(self._images)
        self._values, self._row_of = kept.values.numpy(), kept.row_of
        self._learnt = TrainingFeatures.of(run, self._images, kept)

    def explain(self, id: str, split: str | None = None) -> Explanation:
        """Return heat maps for the predicted and the true class of an image, and similar images.

        Raises
        ------
        UserError
            If the run has no such image, or its file is missing, changed or damaged.
        """
        image = find_image(self.run, self._images, id, split)
        kept = load_explanation(self.run, image.split, image.id, image.sha256)
        if kept is not None:
            return kept
        decoded = self._decoded(image)
        height, width = decoded.pixels.shape[-2:]
        wanted = _classes(image)
        seen = self._heat_maps.of(decoded, wanted)
        if image.predicted is None:
            image = replace(image, predicted=int(seen.probabilities.argmax()))
            wanted = _classes(image)
            seen = self._heat_maps.of(decoded, wanted)
        maps: list[HeatMapFile] = []
        for index, heat in zip(wanted, seen.maps, strict=True):
            file = explanations_folder(self.run) / f"{image.sha256}-{index}.png"
            write_atomic(file, overlay(heat, (width, height), seen.box))
            asked = {"predicted": image.predicted, "true": image.true}
            maps.append(
                {
                    "class": self.class_names[index],
                    "roles": [role for role, known in asked.items() if known == index],
                    "file": str(file),
                    "blank": not float(heat.max()) > 0,
                }
            )
        near = self._neighbours(image, seen)
        found: Explanation = {
            "run": self.run.name, "split": image.split, "id": image.id,
            "sha256": image.sha256, "path": image.path,
            "predicted": self._name(image.predicted), "true": self._name(image.true),
            "maps": maps, "box": list(seen.box), "neighbours": near, "note": self._learnt.note,
            "model_note": self._model_note(image, seen),
        }  # fmt: skip
        if not found["note"]:  # do not store an incomplete explanation
            save_explanation(self.run, found)
        return found

    def _decoded(self, image: Image) -> Reduced:
        file = self.run.data_root / image.path
        try:
            content = read_file(file)
            if hashlib.sha256(content).hexdigest() != image.sha256:
                raise UserError(
                    f"{file} has changed since the run read it; restore the original, or fit again."
                )
            return decode_reduced(content, self._extractor.decoded_short)
        except OSError as error:
            raise UserError(
                f"{file} cannot be read ({error.strerror}); if the images were moved, name their "
                f"folder with `second-look relocate {self.run.name} DIR`."
            ) from error
        except Unreadable as error:
            raise UserError(f"{file} cannot be decoded: {error}.") from error

    def _model_note(self, image: Image, seen: Heat) -> str:
        """Return what to know where an out-of-fold prediction and the run's model disagree."""
        own = int(seen.probabilities.argmax())
        if own == image.predicted:
            return ""
        folds = image.split != "test" and is_file(self.run.predictions_path("folds"))
        other = "a model that had not seen it" if folds else "all of its views together"
        shown = f"{self.class_names[own]} {float(seen.probabilities[own]):.3f}"
        if own == image.true:
            return (
                f"The model shown here gets this image right ({shown}); the error came from "
                f"{other}."
            )
        return (
            f"The model shown here predicts another class ({shown}); {self._name(image.predicted)} "
            f"came from {other}."
        )

    def _neighbours(self, image: Image, seen: Heat) -> list[Neighbour]:
        row, learnt = self._row_of.get(image.sha256), self._learnt.images
        query = seen.features if row is None else self._values[row : row + 1]
        own = np.flatnonzero((learnt["id"] == image.id) & (learnt["split"] == image.split))
        return self._learnt.nearest(query, int(own[0]) if len(own) else -1)

    def _name(self, index: int | None) -> str | None:
        return None if index is None else self.class_names[index]


def find_image(run: Run, images: pd.DataFrame, id: str, split: str | None = None) -> Image:
    """Find an image by its id, in the given split or in the first split that contains it.

    Parameters
    ----------
    images : the run's images table

    Raises
    ------
    UserError
        If the run has no such image.
    """
    found = images[images["id"] == id]
    for name in (split,) if split else _SPLITS:
        for row in found[found["split"] == name].itertuples():
            label = run.class_names.index(row.label) if isinstance(row.label, str) else None
            return Image(
                name, id, str(row.path), str(row.sha256), label, _known_prediction(run, name, id)
            )
    where = f" in {split}" if split else ""
    raise UserError(f"run {run.name} has no image with the id {id!r}{where}.")


def _classes(image: Image) -> list[int]:
    """Return the classes to explain, the predicted one first; class 0 if none is known."""
    wanted = [index for index in (image.predicted, image.true) if index is not None]
    return list(dict.fromkeys(wanted)) or [0]


def _known_prediction(run: Run, split: str, id: str) -> int | None:
    """Return the predicted class of an image from the run's tables, or None."""
    tables = {"train": ("folds",), "valid": ("folds", "valid")}.get(split, (split,))
    for table in tables:
        if not is_file(run.predictions_path(table)):
            continue
        predictions = run.predictions(table)
        at = pc.index(predictions.ids, pa.scalar(id, pa.string())).as_py()
        if at >= 0:
            return int(predictions.y_pred[at])
    return None
