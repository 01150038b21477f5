"""Makes a run's list of suspected labels from its features and out-of-fold predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from engine.analysis.near_duplicates import SIMILARITY, assign_folds, near_identical
from engine.analysis.suspect_ranking import K_NEIGHBOURS, Evidence, atypicality, repeated, suspects
from engine.errors import UserError
from engine.model.device import Device
from engine.model.extractor import open_model
from engine.model.folds import out_of_fold
from engine.model.head import HeadOptions
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import make_predictions
from engine.runs.progress import Progress
from engine.runs.run import Run
from engine.runs.triage import SPLIT, save_triage, triage_of

_FOLDS = 5
_L2 = 3e-4  # for a fully trained network, whose fit chose no penalty
_BLOCK = 512  # rows in a block that is compared with all others
_FEWEST = 2 * _FOLDS


def triage(run: Run, progress: Progress | None = None) -> pd.DataFrame:
    """Rank the labels of a run that are suspected to be wrong, and save the list in its folder.

    Missing features are computed first. If the run has no out-of-fold predictions, heads are
    trained for them, and the predictions are saved beside the list.

    Raises
    ------
    UserError
        If the run has no model, or too few labelled images.
    """
    with triage_of(run).making():
        extractor, _ = open_model(run)
        images = run.images
        features = extractor.features(run.data_root, images, progress)
        images = images[images["sha256"].isin(features.row_of.keys())].reset_index(drop=True)
        values = features.of(images["sha256"].tolist())
        first = features.of_first_view(images["sha256"].tolist()).float().numpy()

        def compared(done: int, total: int) -> None:
            if progress:
                progress("compare", done, total)

        groups = near_identical(first, images["sha256"].tolist(), progress=compared)
        twice = repeated(images, groups, first, SIMILARITY)

        labelled = images["label"].notna().to_numpy() & (images["split"] != "test").to_numpy()
        if labelled.sum() < _FEWEST:
            raise UserError(f"run {run.name} has fewer than {_FEWEST} labelled images to compare.")
        images, values = images[labelled].reset_index(drop=True), values[labelled]
        evidence = _evidence(run, images, values, groups[labelled], extractor.device)
        found = pd.concat([suspects(images, evidence), twice], ignore_index=True)
        found = found.sort_values("score", ascending=False, kind="stable", ignore_index=True)
        save_triage(run, found)
    return found


def _evidence(
    run: Run, images: pd.DataFrame, values: torch.Tensor, groups: np.ndarray, device: Device
) -> Evidence:
    names = run.class_names
    labels = np.searchsorted(names, images["label"].to_numpy(str))
    p = _kept(run, images)
    if p is None:
        config, options = run.config, replace(run.fit_options, epochs=None)
        fold = assign_folds(labels, np.unique(groups, return_inverse=True)[1], _FOLDS)
        l2 = _L2 if config.l2 is None else config.l2
        p = out_of_fold(
            values, torch.from_numpy(labels), len(names), fold, HeadOptions.of(options), l2,
            config.n.train,
        )  # fmt: skip
        ids, paths = images["id"].tolist(), images["path"].tolist()
        save_predictions(
            run.predictions_path(SPLIT), make_predictions(ids, paths, labels, p, names)
        )
    rows, distances = _nearest(values, K_NEIGHBOURS, device)
    return Evidence(labels, p, rows, distances, atypicality(values.numpy()), names)


def _kept(run: Run, images: pd.DataFrame) -> np.ndarray | None:
    """Return the run's out-of-fold probabilities of these images, or None if it has none."""
    if run.labelled_split != "folds":
        return None
    kept = run.predictions("folds")
    at = pd.Index(kept.ids.to_pylist()).get_indexer(images["id"])
    return None if (at < 0).any() else kept.probabilities[at]


def _nearest(values: torch.Tensor, k: int, device: Device) -> tuple[np.ndarray, np.ndarray]:
    """Return the k other rows nearest to each row, and their cosine distances, (n, k).

    The features are centred. Twice as many candidates as needed are found in the device's
    precision and compared again in float32.
    """
    x = values - values.mean(dim=0)
    x = x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)  # (n, width)
    k = min(k, len(x) - 1)
    quick = x.to(device.name, device.dtype)
    rows, distances = [], []
    for start in range(0, len(x), _BLOCK):
        alike = (quick[start : start + _BLOCK] @ quick.T).float()  # (block, n)
        own = torch.arange(start, start + len(alike))
        alike[torch.arange(len(alike)), own] = -2
        near = alike.topk(min(2 * k, len(x) - 1), dim=1).indices.cpu()  # (block, 2k)
        exact = torch.bmm(x[near], x[own].unsqueeze(2)).squeeze(2)  # (block, 2k)
        best = exact.topk(k, dim=1)
        rows.append(near.gather(1, best.indices))
        distances.append((1 - best.values).clamp_min(0))
    return torch.cat(rows).numpy(), torch.cat(distances).numpy()
