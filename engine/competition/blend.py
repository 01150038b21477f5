"""Blends several runs into one new run: their weighted mean, or their weighted log odds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from engine.analysis.blending import Blend, blend, blended
from engine.analysis.joined import Joined, join, positions_in
from engine.analysis.metrics import accuracy, log_loss
from engine.data.image_groups import image_groups
from engine.errors import UserError, first_ten
from engine.runs.contents import contents
from engine.runs.opening import is_file
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import Predictions
from engine.runs.run import Run
from engine.runs.run_about import MOST_NAME
from engine.runs.run_config import RunConfig
from engine.runs.run_list import create_run
from engine.runs.run_results import ImageCounts, Scores


@dataclass(frozen=True, eq=False)
class PreparedBlend:
    """Several runs and the weights of their blend, before the blend is saved.

    Attributes
    ----------
    runs : the runs in the blend
    split : the split on whose predictions the weights were chosen, folds or valid
    joined : those predictions, for the images that all runs predicted
    found : weights and gain
    """

    runs: tuple[Run, ...]
    split: str
    joined: Joined
    found: Blend

    def summary(self) -> dict[str, Any]:
        """Return the runs, weights, log losses and the gain as plain values."""
        found = self.found
        return {
            "members": [
                {"run": run.name, "weight": weight, "weight_range": ends, "log_loss": single}
                for run, weight, ends, single in zip(
                    self.runs,
                    found.weights.tolist(),
                    found.weight_ranges.tolist(),
                    found.singles.tolist(),
                    strict=True,
                )
            ],
            "split": self.split,
            "n": len(self.joined.tables[0]),
            "left_out": self.joined.left_out,
            "best": self.runs[found.best].name,
            "kind": found.pool.kind,
            "temperature": found.pool.temperature,
            "log_loss_by_kind": found.kinds,
            "log_loss": found.in_sample,
            "cross_validated_log_loss": found.cross_validated,
            "best_single_log_loss": found.baseline,
            "gain": found.gain[0],
            "gain_interval": list(found.gain[1:]),
            "pays": found.pays,
        }


def prepare_blend(
    runs: Sequence[Run],
    seed: int = 0,
    load: Callable[[Run, str], Predictions] = Run.predictions,
) -> PreparedBlend:
    """Choose the weights of a blend and measure its gain; nothing is written.

    The weights are chosen on out-of-fold predictions where all runs have them, else on the
    validation set. Images that belong together in the first run count as one.

    Parameters
    ----------
    load : function that returns the predictions of a run for the named split

    Raises
    ------
    UserError
        If there are fewer than two runs, a run is given twice, or classes or images differ.
    """
    names = [run.name for run in runs]
    if len(names) < 2:
        raise UserError("a blend needs two or more runs; `second-look runs` lists them.")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"a blend needs different runs; name {first_ten(repeated)} only once.")
    split = "folds" if all(run.labelled_split == "folds" for run in runs) else "valid"
    tables = [load(run, split) for run in runs]
    joined = _joined(runs, tables)
    groups = image_groups(runs[0], split, tables[0])
    if groups is not None:
        kept = positions_in(joined.tables[0].ids, tables[0].ids)
        groups = np.unique(groups[kept], return_inverse=True)[1]
    return PreparedBlend(tuple(runs), split, joined, blend(joined, seed, groups))


def keep_blend(prepared: PreparedBlend, name: str | None = None) -> Run:
    """Save a blend as a run, with blended predictions for each split that all its runs predicted.

    Images, quarantine and class shares come from the first run. The new run has no model.

    Raises
    ------
    UserError
        If only some of the runs have test predictions, or their test images differ.
    """
    runs, pool = prepared.runs, prepared.found.pool
    first = runs[0]
    tables = {prepared.split: blended(prepared.joined.tables, pool)}
    if prepared.split == "folds":
        held_out = _joined(runs, [run.predictions("valid") for run in runs])
        tables["valid"] = blended(held_out.tables, pool)
    if test := _test_tables(runs):
        tables["test"] = blended(test, pool)
    judged = tables["valid"]
    scores = Scores(
        accuracy(judged.y_true, judged.probabilities),
        log_loss(judged.y_true, judged.probabilities),
    )
    config = first.config
    images, quarantine = first.images, first.quarantine
    run = create_run(
        RunConfig(
            "blend",
            name=name or _name_of(runs),
            data=config.data,
            root=config.root,
            class_names=config.class_names,
            positive=config.positive,
            n=ImageCounts(
                train=int((images["split"] == "train").sum()),
                valid=len(judged),
                test=len(tables["test"]) if "test" in tables else 0,
                quarantined=len(quarantine),
            ),
            scores=scores,
            train_counts=config.train_counts,
            blend=prepared.summary(),
        )
    )
    run.save_tables(images, quarantine)
    for split, table in tables.items():
        save_predictions(run.predictions_path(split), table)
    run.set_status("done", **asdict(scores))
    return run


def _joined(runs: Sequence[Run], tables: Sequence[Predictions]) -> Joined:
    return join(tables, [contents(*each) for each in zip(runs, tables, strict=True)])


def _name_of(runs: Sequence[Run]) -> str:
    first, *others = (run.title for run in runs)
    name = f"blend of {', '.join([first, *others[:-1]])} and {others[-1]}"
    return name if len(name) <= MOST_NAME else f"blend of {len(runs)} runs"


def _test_tables(runs: Sequence[Run]) -> list[Predictions]:
    """Return the test predictions of all runs with equal rows, or an empty list without any.

    Raises
    ------
    UserError
        If the test sets differ in ids or in the images' content.
    """
    having = [run for run in runs if is_file(run.predictions_path("test"))]
    if not having:
        return []
    if len(having) < len(runs):
        lacking = [run.name for run in runs if run not in having]
        raise UserError(
            f"test predictions are missing for {first_ten(lacking)}, but not for {having[0].name}; "
            "make them with `second-look predict`, or blend without those runs."
        )
    tables = [run.predictions("test") for run in runs]
    first, before = tables[0], _test_contents(runs[0])
    for run, table in zip(runs[1:], tables[1:], strict=True):
        if table.class_names != first.class_names:
            raise UserError(
                f"the test predictions of {run.name} and {runs[0].name} have different classes; "
                "blend runs of the same data set."
            )
        if not table.ids.equals(first.ids):
            ids = sorted(set(table.ids.to_pylist()) ^ set(first.ids.to_pylist()))
            raise UserError(
                f"the test sets of {runs[0].name} and {run.name} differ in ids {first_ten(ids)}; "
                "blend runs that predicted the same test images."
            )
        here = _test_contents(run)
        other = [id for id, sha256 in before.items() if here.get(id, sha256) != sha256]
        if other:
            raise UserError(
                f"the test images of {runs[0].name} and {run.name} are not the same for ids "
                f"{first_ten(other)}; blend runs that predicted the same test images."
            )
    return tables


def _test_contents(run: Run) -> dict[str, str]:
    images = run.images
    test = images[images["split"] == "test"]
    return dict(zip(test["id"], test["sha256"], strict=True))
