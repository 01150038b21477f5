"""Shows what `fit` would read and `submit` would write, before anything is computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.competition.sample import match_images, read_sample, sample_form
from engine.data.dataset import Dataset
from engine.data.listing import GroupSource, LabelSource
from engine.data.sealing import SEALED
from engine.errors import UserError

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class SampleMatch:
    """A sample file: its rows, how many have a test image, and what a value means.

    Attributes
    ----------
    form : "probability", "name" or "index" (of the likeliest class); "unknown" where the columns
        do not fit the classes
    """

    file: str
    rows: int
    matched: int
    form: str


@dataclass(frozen=True)
class Inspection:
    """The content of a data folder, as `inspect` shows it.

    Attributes
    ----------
    n : number of images by split, and of quarantined ones
    classes : number of images by split, by class
    valid_given : whether the data give the validation images, so that the seed has no effect
    test_folder : the folder of the test images, None if there are none
    test_labelled : whether every test image has a label
    ignored, ignored_lines : number of ignored files by reason, and a text for each reason
    """

    data: str
    root: str
    class_names: tuple[str, ...]
    n: dict[str, int]
    classes: dict[str, dict[str, int]]
    labels: LabelSource
    split: str
    valid_given: bool
    group: GroupSource | None
    test_folder: str | None
    test_labelled: bool
    sample: SampleMatch | None
    ignored: dict[str, int]
    ignored_lines: tuple[str, ...]
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return the keys of ``inspect --json``."""
        return {
            "data": self.data,
            "root": self.root,
            "class_names": list(self.class_names),
            "n": self.n,
            "classes": self.classes,
            "labels": asdict(self.labels),
            "split": {"source": self.split},
            "group": None if self.group is None else asdict(self.group),
            "test": {"folder": self.test_folder, "labelled": self.test_labelled},
            "sample": None if self.sample is None else asdict(self.sample),
            "ignored": self.ignored,
            "warnings": list(self.warnings),
        }

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return what was found as (subject, text) pairs, one per line."""
        labels, group, sample = self.labels, self.group, self.sample
        named = (
            f", columns {labels.id_column} and {labels.label_column}" if labels.id_column else ""
        )
        lines = [("labels", f"{labels.source}{named}")]
        held_out = "validation images are drawn from train, the same ones for a seed"
        parts = [] if self.split == "none" else [self.split]
        lines.append(("split", "; ".join(parts if self.valid_given else [*parts, held_out])))
        if self.n["test"]:
            labelled = "labelled" if self.test_labelled else "not labelled"
            lines.append(("test", f"{self.test_folder or 'rows without label'}, {labelled}"))
        if group is not None and not group.suggested:
            lines.append(("group", f"{group.column}, {group.n:,} values"))
        if sample is not None:
            matched = f"{sample.matched:,} of {sample.rows:,} rows matched"
            lines.append(("sample", f"{sample.file}, {matched}"))
        return tuple(lines)


def inspection(dataset: Dataset, data: Path) -> Inspection:
    """Return the summary of a data set and its sample file."""
    images, origin = dataset.images, dataset.origin
    counts = images["split"].value_counts()
    table = pd.crosstab(images["label"], images["split"])
    table = table.reindex(index=list(dataset.class_names), columns=list(SPLITS), fill_value=0)
    test = images[images["split"] == "test"]
    sample, warnings = _sample(dataset)
    return Inspection(
        data=str(data.absolute()),
        root=str(dataset.root),
        class_names=dataset.class_names,
        n={**{split: int(counts.get(split, 0)) for split in SPLITS},
           "quarantined": len(dataset.quarantine),
           **({SEALED: len(dataset.sealed)} if len(dataset.sealed) else {})},
        classes={
            name: dict(zip(SPLITS, map(int, row), strict=True))
            for name, row in zip(table.index, table.to_numpy(), strict=True)
        },
        labels=origin.labels,
        split=origin.split,
        valid_given=dataset.split_given,
        group=origin.group,
        test_folder=", ".join(origin.test_folders) or None,
        test_labelled=bool(len(test)) and bool(test["label"].notna().all()),
        sample=sample,
        ignored=dict(origin.ignored),
        ignored_lines=origin.ignored_lines,
        warnings=(*dataset.warnings, *warnings),
    )  # fmt: skip


def matching_sample(dataset: Dataset) -> Path | None:
    """Return the sample file that most test images have a row in."""
    found, _ = _sample(dataset)
    return None if found is None else Path(found.file)


def _sample(dataset: Dataset) -> tuple[SampleMatch | None, list[str]]:
    lost = dataset.quarantine[dataset.quarantine["split"] == "test"]
    test = dataset.of("test")
    ids = pa.array([*test["id"], *lost["id"]], pa.string())
    paths = pa.array([*test["path"], *lost["path"]], pa.string())
    found: list[SampleMatch] = []
    warnings: list[str] = []
    for file in dataset.origin.samples:
        try:
            header, columns = read_sample(file)
        except UserError as error:
            warnings.append(str(error))
            continue
        rows = match_images(columns[0], ids, paths)
        positive = len(dataset.class_names) - 1
        form = sample_form(str(file), header, columns, dataset.class_names, positive)
        matched = int(np.count_nonzero(rows >= 0))
        kind = form.kind if form.fits else "unknown"
        found.append(SampleMatch(str(file), len(rows), matched, kind))
        if not form.fits:
            warnings.append(form.message)
    best = max(found, key=lambda match: (match.matched, -match.rows), default=None)
    if best is not None:
        more = len(ids) - best.matched
        if best.matched < best.rows and len(ids):
            warnings.append(
                f"{best.rows - best.matched:,} of {best.rows:,} rows of {Path(best.file).name} "
                "have no test image."
            )
        elif more > 0:
            warnings.append(f"{more:,} test images have no row in {Path(best.file).name}.")
    return best, warnings
