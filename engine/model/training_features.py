"""The training images of a run that have features, and the nearest of them to an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.analysis.neighbours import nearest
from engine.model.features import Features
from engine.runs.explanations import Neighbour
from engine.runs.maps import making_progress
from engine.runs.run import Run

NEIGHBOURS = 8
_COLUMNS = ["split", "id", "path", "label", "sha256"]


@dataclass(frozen=True, eq=False)
class TrainingFeatures:
    """Images that the last layer was trained on and whose features are cached.

    Attributes
    ----------
    run : the run's name
    images : split, id, path, label and sha256, a row for each image
    values : float16 array of shape (n, width)
    """

    run: str
    images: pd.DataFrame
    values: np.ndarray

    @classmethod
    def of(cls, run: Run, images: pd.DataFrame, kept: Features) -> TrainingFeatures:
        """Return the training features of a run, from its images and the cached features."""
        learnt = images["split"] == "train"
        if run.labelled_split == "folds":  # then the last layer was trained on both splits
            learnt |= images["split"] == "valid"
        learnt &= images["sha256"].isin(kept.row_of.keys())
        if making_progress(run, "pca").state == "running":  # its features are not all there yet
            learnt &= False
        chosen = images.loc[learnt, _COLUMNS].reset_index(drop=True)
        rows = [kept.row_of[name] for name in chosen["sha256"]]
        return cls(run.name, chosen, kept.values.numpy()[rows])

    def nearest(self, query: np.ndarray, itself: int = -1) -> list[Neighbour]:
        """Return the nearest images, the nearest first.

        Parameters
        ----------
        query : features of shape (1, width)
        itself : the row that is left out, -1 for none
        """
        if not len(self.images):
            return []
        rows, distances = nearest(query, self.values, NEIGHBOURS, itself=np.array([itself]))
        chosen = self.images.iloc[rows[0][rows[0] >= 0]]
        return [
            Neighbour(
                split=one.split, id=one.id, path=one.path, label=one.label, sha256=one.sha256,
                distance=round(float(far), 4),
            )
            for one, far in zip(chosen.itertuples(), distances[0], strict=False)
        ]  # fmt: skip

    @property
    def note(self) -> str:
        """Return why there are no neighbours, '' if there are some."""
        if len(self.images):
            return ""
        return (
            "The features of the training images are not available; compute them with "
            f"`second-look embed {self.run}`."
        )
