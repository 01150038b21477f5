"""Compares a refit with verdicts to the newest earlier run without them, on fixed labels."""

from __future__ import annotations

import numpy as np

from engine.analysis.label_edit_effect import change_on_fixed_labels
from engine.data.image_groups import image_groups
from engine.errors import UserError
from engine.runs.predictions import UNKNOWN
from engine.runs.run import Run
from engine.runs.run_list import list_runs
from engine.runs.run_results import LabelEditEffect
from engine.runs.verdict_effects import applied
from engine.runs.verdicts import load_verdicts


def label_edit_effect(run: Run) -> LabelEditEffect | None:
    """Return the effect of the verdicts, or None without an earlier run to compare with.

    The fixed labels are those of the earlier run after applying the verdicts: wrong labels are
    corrected, and images of both or no class have no label. Both runs are scored with them, on
    out-of-fold predictions if both have them, else on the validation images.
    """
    earlier = _earlier(run)
    if earlier is None:
        return None
    folds = earlier.labelled_split == run.labelled_split == "folds"
    split = "folds" if folds else "valid"
    before, after = earlier.predictions(split), run.predictions(split)
    images = earlier.images
    labelled = images[images["split"] != "test"]
    sha256 = dict(zip(labelled["id"], labelled["sha256"], strict=True))
    names = earlier.class_names
    given = [None if y == UNKNOWN else names[y] for y in before.y_true.tolist()]
    sums = [sha256.get(id, "") for id in before.ids.to_pylist()]
    labels, single = applied(given, sums, names, load_verdicts())
    fixed = np.array(
        [
            names.index(label) if label is not None and one else UNKNOWN
            for label, one in zip(labels, single, strict=True)
        ]
    )
    groups = image_groups(earlier, split, before)
    change = change_on_fixed_labels(before, after, fixed, run.fit_options.seed, groups)
    if change is None:
        return None
    return LabelEditEffect(
        earlier.name,
        split,
        change.n,
        change.excluded,
        change.log_loss_before,
        change.log_loss_after,
        change.difference,
        (change.low, change.high),
    )


def _earlier(run: Run) -> Run | None:
    """Return the newest finished run with the same inputs and options but without verdicts."""
    config = run.config
    for other in list_runs():
        try:
            past = other.config
            if (
                past.options
                and config.options
                and past.inputs_key == config.without_verdicts
                and past.options.train == config.options.train
                and not past.options.verdicts
                and other.status.state == "done"
            ):
                return other
        except UserError:
            continue
    return None
