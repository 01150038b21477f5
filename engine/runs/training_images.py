"""Training images of a run without folds, as a table of labels without probabilities.

Such a run predicts its training images with the network that learnt them, which says nothing about
new images; so no prediction, loss or category of them is shown.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.runs.images_table import read_images
from engine.runs.predictions import Predictions, label_indices
from engine.runs.run import Run

TRAINING = "train"


def training_labels(run: Run) -> Predictions:
    """Return ids, paths and labels of the training images, with probabilities of nan.

    Raises
    ------
    UserError
        If the images table is missing or damaged, or has a label that is not a class.
    """
    path, names, columns = run.folder / "images.parquet", run.class_names, ["id", "path", "label"]
    found = read_images(path, columns, splits=[TRAINING]).sort_by("id")
    ids, paths, labels = (found[name].cast(pa.string()).combine_chunks() for name in columns)
    y_true = label_indices(labels, names, source=str(path))
    nothing = np.broadcast_to(np.nan, (len(ids), len(names)))  # which takes no memory
    return Predictions(ids, paths, y_true, nothing, names)
