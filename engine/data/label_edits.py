"""Applies the verdicts to a data set: corrects labels and leaves out images without one class."""

from __future__ import annotations

from dataclasses import replace

from engine.data.dataset import Dataset
from engine.runs.run_results import LabelEdits
from engine.runs.verdict_effects import applied
from engine.runs.verdicts import load_verdicts


def apply_label_edits(dataset: Dataset) -> tuple[Dataset, LabelEdits]:
    """Apply the current verdicts to the labelled images; the split is unchanged.

    Wrong labels become the class named in the verdict; "both" and "neither" are left out of train
    and valid; "hard" and "fine" change nothing. Test images are unchanged. The column "given"
    keeps the labels of the data, to which verdicts belong.
    """
    images = dataset.images
    labelled = (images["split"] != "test").to_numpy()
    labels, single = applied(
        images["label"].tolist(), images["sha256"].tolist(), dataset.class_names, load_verdicts()
    )
    new = images["label"].where(~labelled, labels)
    relabelled = labelled & (new != images["label"]).to_numpy() & single
    dropped = labelled & [not one for one in single]
    edited = images.assign(label=new, given=images["label"])
    made = replace(dataset, images=edited[~dropped].reset_index(drop=True))
    return made, LabelEdits(int(relabelled.sum()), int(dropped.sum()))
