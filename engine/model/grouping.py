"""Sets of images that a split must not divide, near-identical ones included."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.analysis.near_duplicates import near_identical
from engine.data.dataset import Dataset, Progress
from engine.data.splits import components, divided_components, kept_together
from engine.model.features import Features


@dataclass(frozen=True)
class Grouped:
    """A data set whose split divides no set of images, and the sets.

    Attributes
    ----------
    dataset : with the split of the fit; if some labelled images are nearly identical, the column
        ``near_duplicate`` numbers their sets, null for all other images
    component : the set that each labelled image must stay with, by path
    divided : number of sets that the data's own split divides, and of their images
    """

    dataset: Dataset
    component: dict[str, int]
    divided: tuple[int, int]


def grouped(
    dataset: Dataset, features: Features, seed: int, progress: Progress | None = None
) -> Grouped:
    """Find near-identical labelled images, and move those that a seeded split divides.

    A split that the data give is not changed; the sets that it divides are counted. Only the first
    view is compared, so that fits with more views have the same split and folds.

    Parameters
    ----------
    progress
        Called with ("compare", done, total) while many images are compared.
    """

    def report(done: int, total: int) -> None:
        if progress:
            progress("compare", done, total)

    images = dataset.images
    learnt = (images["split"] != "test").to_numpy()
    labelled = images[learnt]
    sha256 = labelled["sha256"].tolist()
    near = near_identical(features.of_first_view(sha256).numpy(), sha256, progress=report)
    component = components(labelled, also=near)
    alike = np.bincount(near, minlength=1)[near] > 1
    if alike.any():
        images = images.assign(near_duplicate=None)
        images.loc[labelled.index[alike], "near_duplicate"] = near[alike].astype(str)
    known = dict(zip(labelled["path"], component.tolist(), strict=True))
    cut = divided_components(labelled["split"], component)
    if dataset.split_given or not len(cut):
        n = int(np.isin(component, cut).sum())
        warnings = dataset.warnings
        if len(cut):
            warnings = (
                *warnings,
                f"The split that the data give divides {len(cut):,} sets of near-identical images "
                f"or groups ({n:,} images) between train and valid, which makes the scores too "
                "optimistic.",
            )
        origin = replace(dataset.origin, warnings=warnings)
        return Grouped(replace(dataset, images=images, origin=origin), known, (len(cut), n))
    whole = images.copy()
    whole.loc[learnt, "split"] = kept_together(labelled, component, seed)["split"]
    return Grouped(replace(dataset, images=whole), known, (0, 0))
