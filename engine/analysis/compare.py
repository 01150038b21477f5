"""Which of two runs is better on the images that both predicted, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, erfc, sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.paired import paired_difference
from engine.errors import UserError
from engine.runs.predictions import UNKNOWN, Predictions

_EXACT_BELOW = 25  # discordant pairs


@dataclass(frozen=True, eq=False)
class Joined:
    """Several runs' predictions of the same images, row by row the same image.

    Attributes
    ----------
    tables : one table a run, all with the same ids, labels and classes
    left_out : reason to number of images that not all runs could be judged by
    """

    tables: tuple[Predictions, ...]
    left_out: dict[str, int]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A run and another one to compare it with, on the same images.

    Attributes
    ----------
    n : images that both predicted
    left_out : reason to number of images
    log_loss, accuracy : of the run and of the other
    log_loss_difference, accuracy_difference : run minus other, with 95 % interval
    both_right : rows that both get right
    fixed, broken, both_wrong : rows that only the run gets right, only the other, or neither;
        those first for which the one that errs (of both the run) pays most
    mcnemar_p : of the null that an image is as likely fixed as broken
    mcnemar_exact : whether by the binomial distribution
    agreement : share of equal predictions
    kappa : Cohen's, 0 as chance would have it, 1 the same; None where only one class is predicted
    losses : float64 arrays of shape (n,), of the run and of the other
    tables : the rows compared, of the run and of the other
    """

    n: int
    left_out: dict[str, int]
    log_loss: tuple[float, float]
    accuracy: tuple[float, float]
    log_loss_difference: tuple[float, float, float]
    accuracy_difference: tuple[float, float, float]
    both_right: np.ndarray
    fixed: np.ndarray
    broken: np.ndarray
    both_wrong: np.ndarray
    mcnemar_p: float
    mcnemar_exact: bool
    agreement: float
    kappa: float | None
    losses: tuple[np.ndarray, np.ndarray]
    tables: tuple[Predictions, Predictions]

    @property
    def better(self) -> int | None:
        """Return 0 for the run, 1 for the other, None where the interval holds zero."""
        _, low, high = self.log_loss_difference
        return 0 if high < 0 else 1 if low > 0 else None


def join(tables: Sequence[Predictions]) -> Joined:
    """Keep the images that every run predicted, by id, with the same label.

    Raises
    ------
    UserError
        When the runs differ in their classes, or no image is left.
    """
    first, *others = tables
    for other in others:
        if other.class_names != first.class_names:
            raise UserError(
                f"the runs know different classes ({_few(first.class_names)} and "
                f"{_few(other.class_names)}); choose runs of the same data set."
            )
    shared = np.ones(len(first), dtype=bool)
    places = []
    for other in others:
        at = places_in(first.ids, other.ids)
        places.append(at)
        shared &= at >= 0
    same = shared.copy()
    for other, at in zip(others, places, strict=True):
        same &= np.where(at >= 0, other.y_true[at] if len(other) else UNKNOWN, -2) == first.y_true
    kept = same & (first.y_true != UNKNOWN)
    n_shared = int(shared.sum())
    left_out = {
        "not predicted by all of them": sum(len(table) - n_shared for table in tables),
        "labelled differently": int((shared & ~same).sum()),
        "without a label": int((same & ~kept).sum()),
    }
    if not kept.any():
        raise UserError(
            "no labelled image was predicted by all of these runs; choose runs of the same data "
            "set that hold out the same images (the same --seed and --valid, or --folds)."
        )
    rows = [np.flatnonzero(kept), *(at[kept] for at in places)]  # ascending, as ids are sorted
    parts = tuple(
        table if len(at) == len(table) else table.take(at)
        for table, at in zip(tables, rows, strict=True)
    )
    return Joined(parts, {reason: count for reason, count in left_out.items() if count})


def compare(run: Predictions, other: Predictions, seed: int = 0) -> Comparison:
    """Compare two runs on the images that both predicted; differences are run minus other.

    Raises
    ------
    UserError
        When the runs differ in their classes, or share no labelled image.
    """
    joined = join([run, other])
    a, b = joined.tables
    y = a.y_true
    losses = per_sample_log_loss(y, a.probabilities), per_sample_log_loss(y, b.probabilities)
    y_pred = a.y_pred, b.y_pred
    hits = y_pred[0] == y, y_pred[1] == y

    def rows(chosen: np.ndarray, payer: int) -> np.ndarray:
        found = np.flatnonzero(chosen)
        return found[np.argsort(-losses[payer][found], kind="stable")]

    fixed, broken = rows(hits[0] & ~hits[1], 1), rows(~hits[0] & hits[1], 0)
    p, exact = mcnemar(len(fixed), len(broken))
    return Comparison(
        n=len(y),
        left_out=joined.left_out,
        log_loss=(float(losses[0].mean()), float(losses[1].mean())),
        accuracy=(float(hits[0].mean()), float(hits[1].mean())),
        log_loss_difference=paired_difference(losses[0], losses[1], seed),
        accuracy_difference=paired_difference(hits[0], hits[1], seed),
        both_right=rows(hits[0] & hits[1], 0),
        fixed=fixed,
        broken=broken,
        both_wrong=rows(~hits[0] & ~hits[1], 0),
        mcnemar_p=p,
        mcnemar_exact=exact,
        agreement=float((y_pred[0] == y_pred[1]).mean()),
        kappa=cohen_kappa(*y_pred, len(a.class_names)),
        losses=losses,
        tables=(a, b),
    )


def places_in(ids: pa.StringArray, others: pa.StringArray) -> np.ndarray:
    """Return where each id stands among the others, -1 for nowhere, int64 array of shape (n,)."""
    if ids.equals(others):  # as it is in runs that hold out the same; looking up takes far longer
        return np.arange(len(ids))
    return np.asarray(pc.fill_null(pc.index_in(ids, others), -1), dtype=np.int64)


def mcnemar(fixed: int, broken: int) -> tuple[float, bool]:
    """Return the two-sided p-value that fixed and broken images are equally likely.

    Below 25 such images by the binomial distribution, from there on by chi-square with
    Edwards' continuity correction (McNemar 1947, Edwards 1948).

    Returns
    -------
    (p, whether it is exact)

    Examples
    --------
    >>> mcnemar(1, 8)
    (0.0390625, True)
    """
    n = fixed + broken
    if n < _EXACT_BELOW:
        tail = sum(comb(n, k) for k in range(min(fixed, broken) + 1))
        return min(1.0, 2 * tail / 2**n), True
    chi_square = max(abs(fixed - broken) - 1, 0) ** 2 / n
    return erfc(sqrt(chi_square / 2)), False  # survival of chi-square with 1 degree of freedom


def cohen_kappa(a: np.ndarray, b: np.ndarray, n_classes: int) -> float | None:
    """Return how much more often two predictions agree than their class shares alone would.

    None where both predict one and the same class throughout. Cohen (1960), A coefficient of
    agreement for nominal scales.
    """
    shares = (np.bincount(y, minlength=n_classes) / len(y) for y in (a, b))
    chance = float(np.multiply(*shares).sum())
    return None if chance == 1 else (float((a == b).mean()) - chance) / (1 - chance)


def verdict(found: Comparison, run: str, other: str) -> str:
    """Say in one sentence which of the two is better, or that it is a toss-up."""
    difference, low, high = found.log_loss_difference
    within = f"95 % interval {low:+.4f} to {high:+.4f}, {found.n:,} images"
    if found.better is None:
        if difference == 0:
            return f"A toss-up: both have the same log loss on {found.n:,} images."
        ahead = run if difference < 0 else other
        return (
            f"A toss-up: {ahead} is ahead by {abs(difference):.4f} in log loss, but zero lies "
            f"within the noise ({within})."
        )
    winner, loser = (run, other) if found.better == 0 else (other, run)
    return f"{winner} is better than {loser} by {abs(difference):.4f} in log loss ({within})."


def summary(found: Comparison, run: str, other: str) -> dict[str, Any]:
    """Return the comparison as plain values, with the ids of fixed and broken images."""
    ids = found.tables[0].ids
    return {
        "run": run,
        "other": other,
        "n": found.n,
        "left_out": found.left_out,
        "log_loss": list(found.log_loss),
        "accuracy": list(found.accuracy),
        "log_loss_difference": found.log_loss_difference[0],
        "log_loss_interval": list(found.log_loss_difference[1:]),
        "accuracy_difference": found.accuracy_difference[0],
        "accuracy_interval": list(found.accuracy_difference[1:]),
        "both_right": len(found.both_right),
        "both_wrong": len(found.both_wrong),
        "fixed": ids.take(found.fixed).to_pylist(),
        "broken": ids.take(found.broken).to_pylist(),
        "mcnemar": {"p": found.mcnemar_p, "exact": found.mcnemar_exact},
        "agreement": found.agreement,
        "kappa": found.kappa,
        "better": None if found.better is None else (run, other)[found.better],
        "verdict": verdict(found, run, other),
    }


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more"
