"""Reserves labelled images before anything is chosen, for one score at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from engine.data.splits import components, stratified, whole_groups
from engine.errors import UserError

if TYPE_CHECKING:
    from engine.data.dataset import Dataset

SEALED = "sealed"


def seal(dataset: Dataset, n: int, seed: int) -> Dataset:
    """Move n labelled images, classes in proportion, from ``images`` to ``sealed``.

    They come from the training images, before valid images are held out of these. Images of one
    group or of the same bytes stay together, so the number may differ slightly.

    Raises
    ------
    UserError
        When too few images would be left.
    """
    if not n:
        return dataset
    images = dataset.images
    train = images[images["split"] == "train"]
    most = len(train) - 2 * train["label"].nunique()  # one to learn from, one to be held out
    if n > most:
        raise UserError(
            f"is too many: of {len(train):,} labelled images each class needs two others, so at "
            f"most {max(most, 0):,} can be sealed.",
            option=SEALED,
            value=n,
        )
    component = components(train)
    if len(np.unique(component)) == len(train):
        chosen = stratified(train, n, seed)
    else:
        chosen = whole_groups(train, component, n, seed)
    is_sealed = images.index.isin(chosen)
    return replace(
        dataset,
        images=images[~is_sealed].reset_index(drop=True),
        sealed=images[is_sealed].assign(split=SEALED).reset_index(drop=True),
    )
