"""Computes a map of a run's images: two coordinates from features, by PCA or t-SNE."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from engine.errors import UserError
from engine.model.extractor import open_model
from engine.model.features import Features
from engine.runs.directions import DIRECTIONS, save_directions
from engine.runs.maps import making, map_path, save_map, write_progress
from engine.runs.run import Run

COMPONENTS = 50  # number of principal components from which t-SNE starts
ITERATIONS = 750
_EXAGGERATED = 250  # first iterations, with exaggeration, which separates clusters
_REPORT_EVERY = 10  # iterations
_INTERPOLATE_FROM = 5_000  # images: below, a tree is faster than interpolation on a grid
_EXTRA, _ROUNDS, _SAMPLE = 10, 6, 5_000  # parameters of the subspace iteration, see pca
_PERPLEXITY = 30.0
_SAY_SECONDS = 0.5

Progress = Callable[[str, int, int], None]


def pca(features: torch.Tensor, components: int, seed: int = 0) -> np.ndarray:
    """Project onto the principal components, by randomised subspace iteration.

    A component's sign is such that its largest loading is positive.

    Parameters
    ----------
    features : tensor of shape (n, width)

    Returns
    -------
    float32 array of shape (n, components); components beyond the rank are zero

    References
    ----------
    Halko, Martinsson & Tropp, Finding structure with randomness, SIAM Review 53(2), 2011.
    """
    x = features.float()
    mean = x.mean(dim=0)
    # Subtract the mean after the product, which avoids a copy of all features.
    generator = torch.Generator().manual_seed(seed)
    width = x.shape[1]
    basis = torch.randn(width, min(components + _EXTRA, width), generator=generator)
    basis, _ = torch.linalg.qr(basis)
    # A sample gives approximate axes quickly; one iteration on all rows refines them.
    some = x[:: max(1, len(x) // _SAMPLE)]
    for rows in [some] * _ROUNDS + [x]:
        scores = rows @ basis - mean @ basis  # (n, components + extra)
        basis, _ = torch.linalg.qr(rows.T @ scores - torch.outer(mean, scores.sum(dim=0)))
    scores = (x @ basis - mean @ basis).double()
    _, axes = torch.linalg.eigh(scores.T @ scores)  # ascending
    axes = axes.flip(1)[:, :components]
    loadings = basis.double() @ axes  # (width, components)
    largest = loadings.abs().argmax(dim=0)
    sign = torch.sign(loadings[largest, torch.arange(loadings.shape[1])])
    found = np.zeros((len(x), components), dtype=np.float32)
    found[:, : axes.shape[1]] = (scores @ (axes * sign)).float().numpy()
    return found


def tsne(points: np.ndarray, seed: int = 0, progress: Progress | None = None) -> np.ndarray:
    """Compute a two-dimensional layout of points that keeps neighbours together.

    Distances within a group are meaningful, distances between far groups are not.

    Parameters
    ----------
    points : float array of shape (n, components)
    progress : called with ("tsne", iterations done, in all)

    Returns
    -------
    float32 array of shape (n, 2)

    References
    ----------
    van der Maaten, Accelerating t-SNE using tree-based algorithms, JMLR 15, 2014.
    Linderman et al., Fast interpolation-based t-SNE, Nature Methods 16, 2019.
    Poličar, Stražar & Zupan, openTSNE, Journal of Statistical Software 109(3), 2024.
    """
    n = len(points)
    if n < 5:  # too few to have neighbourhoods
        return np.asarray(points[:, :2], dtype=np.float32)
    if not np.ptp(points, axis=0).any():  # identical points have no layout
        return np.zeros((n, 2), dtype=np.float32)
    try:
        from openTSNE import TSNE
    except ModuleNotFoundError as error:
        raise UserError(
            f"needs {error.name}, which has no ready-made package for this system; `pip install "
            "openTSNE` builds it with a C++ compiler.",
            option="method",
            value="tsne",
        ) from error
    done = 0

    def report(*_: object) -> None:
        nonlocal done
        done += _REPORT_EVERY
        if progress:
            progress("tsne", done, ITERATIONS)

    if progress:
        progress("tsne", 0, ITERATIONS)
    model = TSNE(
        perplexity=min(_PERPLEXITY, (n - 1) / 3), initialization="pca", random_state=seed,
        early_exaggeration_iter=_EXAGGERATED, n_iter=ITERATIONS - _EXAGGERATED,
        negative_gradient_method="bh" if n < _INTERPOLATE_FROM else "fft",
        n_jobs=-1, callbacks=report, callbacks_every_iters=_REPORT_EVERY,
    )  # fmt: skip
    return np.asarray(model.fit(points), dtype=np.float32)


def save_pca(run: Run, features: Features, seed: int = 0) -> None:
    """Save the PCA map of a run's images from available features, and their main directions."""
    known, values = _known(run, features)
    splits, ids = known["split"].tolist(), known["id"].tolist()
    save_directions(run, splits, ids, pca(values, min(DIRECTIONS, values.shape[1]), seed))
    save_map(run, "pca", splits, ids, pca(values, 2, seed))


def embed(run: Run, method: str, progress: Progress | None = None) -> Path:
    """Compute a map of all images of a run and save it in the run's folder.

    Missing features are computed first.

    Raises
    ------
    UserError
        If the run has no model, or the map is being made by another process.
    """
    path = map_path(run, method)

    said = 0.0

    def report(stage: str, done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > _SAY_SECONDS:
            said = time.monotonic()
            write_progress(run, method, stage, done, total)
        if progress:
            progress(stage, done, total)

    with making(run, method) as mine:
        if not mine:
            raise UserError(f"{path} is being made by another process; wait for it.")
        write_progress(run, method, "", 0, 0)
        extractor, _ = open_model(run)
        features = extractor.features(run.data_root, run.images, report)
        seed = run.fit_options.seed
        if not features.row_of:
            raise UserError(f"run {run.name} has no image that can be decoded.")
        if method == "pca":
            save_pca(run, features, seed)
            return path
        known, values = _known(run, features)
        points = tsne(pca(values, COMPONENTS, seed), seed, report)
        return save_map(run, method, known["split"].tolist(), known["id"].tolist(), points)


def _known(run: Run, features: Features) -> tuple[pd.DataFrame, torch.Tensor]:
    """Return the images that have features, by split and id, and the features, float16."""
    images = run.images
    known = images[images["sha256"].isin(features.row_of.keys())]
    return known, features.values[[features.row_of[name] for name in known["sha256"]]]
