"""The optimism of the best of several runs that were scored on the same images."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from engine.errors import UserError
from engine.runs.run import Run
from engine.runs.run_list import list_runs


def runs_on_same_images(run: Run) -> int:
    """Return the number of finished runs with the same images and labels, this one included."""
    fingerprint = run.config.fingerprint
    if fingerprint is None:
        return 1
    every = [*list_runs(), *list_runs("bin")]  # a deleted run has been looked at too
    return max(1, sum(_has_scores(other, fingerprint) for other in every))


def optimism(n_runs: int, losses: np.ndarray, other_losses: np.ndarray) -> float:
    """Return by how much the lowest log loss of equally good runs is too low, on average.

    The expected largest of ``n_runs`` normal values (Blom's approximation), times the noise of a
    run that two runs do not share: the standard error of their difference over the root of 2.

    Parameters
    ----------
    losses, other_losses : float64 arrays of shape (n,), of two runs on the same images

    References
    ----------
    Blom (1958), Statistical Estimates and Transformed Beta-Variables.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> round(optimism(20, rng.exponential(0.1, 400), rng.exponential(0.1, 400)), 3)
    0.009
    """
    if n_runs < 2 or len(losses) < 2:
        return 0.0
    largest = NormalDist().inv_cdf((n_runs - 0.375) / (n_runs + 0.25))
    error = float((losses - other_losses).std(ddof=1)) / len(losses) ** 0.5
    return float(largest * error / 2**0.5)


def reuse_sentence(n_runs: int, losses: np.ndarray, other_losses: np.ndarray) -> str:
    """Return a sentence on how far the best log loss is too low; '' for two runs or fewer.

    Parameters
    ----------
    n_runs : number of runs scored on the same images
    losses, other_losses : float64 arrays of shape (n,), of two of the runs
    """
    if n_runs < 3:
        return ""
    size = optimism(n_runs, losses, other_losses)
    return (
        f"{n_runs:,} runs were scored on these images; the lowest log loss of {n_runs:,} equally "
        f"good runs is too low by about {size:.4f}."
    )


def _has_scores(run: Run, fingerprint: str) -> bool:
    try:
        return run.config.fingerprint == fingerprint and run.status.state == "done"
    except UserError:
        return False
