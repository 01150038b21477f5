"""Reads the inputs of a fit: initial weights, images with their labels, and verdicts."""

from __future__ import annotations

from collections.abc import Callable

from engine.data.dataset import Dataset, load_dataset
from engine.data.label_edits import apply_label_edits
from engine.data.layouts import DataSource, find_images
from engine.model.ranks import Ranks
from engine.model.weights import Weights, find_weights
from engine.runs.fit_options import FitOptions
from engine.runs.progress import Progress
from engine.runs.run_results import LabelEdits

OnData = Callable[[Dataset], None]


def read_inputs(
    options: FitOptions,
    ranks: Ranks,
    progress: Progress | None = None,
    on_data: OnData | None = None,
) -> tuple[list[Weights], Dataset]:
    """Find each backbone's weights, and list the images; data are checked before a download."""
    source = DataSource.chosen(options)
    listed = ranks.on_rank_zero(lambda: find_images(source))
    weights = ranks.on_rank_zero(
        lambda: [find_weights(name, each, options.seed) for name, each in options.networks]
    )
    dataset = ranks.on_rank_zero(
        lambda: load_dataset(
            source,
            valid=options.valid,
            sample=options.sample,
            sealed=options.sealed,
            seed=options.seed,
            listing=listed,
            progress=progress,
        )
    )
    if on_data and ranks.first:
        on_data(dataset)
    return weights, dataset


def with_verdicts(
    options: FitOptions, dataset: Dataset, ranks: Ranks
) -> tuple[Dataset, LabelEdits | None]:
    """Return the data set with the labels of the verdicts, if the options ask for them."""
    if not options.verdicts:
        return dataset, None
    return ranks.on_rank_zero(lambda: apply_label_edits(dataset))
