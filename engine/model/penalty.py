"""Chooses the strength of a head's penalty by cross-validation, along a warm-started path."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from engine.analysis.near_duplicates import assign_folds
from engine.model.solver import Rows, solve

STRENGTHS = tuple(10 ** (2 - step / 2) for step in range(15))  # times n, from strong to weak
UNKNOWN = 0.03  # where no class has two images
_FOLDS = 5
_WORK = 2e10  # multiplications in a pass from which one fold is enough
_ROWS = 200_000  # from which the strength is chosen; more hardly change it
_HALF, _RISE = 0.5, 2.0  # nats, summed over the rows
_TOLERANCE, _PASSES = 1e-4, 100


def choose_strength(
    rows: Rows, variances: torch.Tensor, groups: np.ndarray, width: int, seed: int
) -> float:
    """Return the strength of the penalty with the lowest cross-validated log loss.

    The penalty of a head is ``strength * width / 2 * |W|^2`` beside the *sum* of the losses of its
    rows, so that a strength that suits four fifths of the rows suits all of them. Strengths are
    tried from the strongest, which predicts the class shares, until the loss has risen by two nats;
    a parabola through the best and its neighbours gives the loss between them. Of these, the
    strongest is taken whose loss, summed over the rows, is at most half a nat above the lowest:
    a few rows are not enough to prefer a weaker one. Images of one group share a fold. A class
    with one group is in the training rows of every fold and is not scored. Of more than 200,000
    rows, as many drawn at random decide.

    Parameters
    ----------
    rows : rows with the weights of one head, (1, n)
    groups : int array of shape (n,); images of one group stay in one fold
    """
    if len(groups) > _ROWS:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(groups))[:_ROWS])
        rows, groups = _some(rows, torch.from_numpy(drawn).to(rows.x.device)), groups[drawn]
    fold = _folds(rows.labels.cpu().numpy(), groups, seed)
    if fold is None:
        return UNKNOWN
    n_rows, rows = len(fold), _divided(rows, fold)
    n = rows.used.count_nonzero(dim=1)
    rows = rows.completed()
    weight = rows.start()
    losses: list[float] = []
    for strength in STRENGTHS:
        penalty = head_penalty(strength, n, width, rows.columns)
        point = solve(rows, penalty, variances, weight, tolerance=_TOLERANCE, passes=_PASSES)
        weight = point.weight
        losses.append(float(point.scored_loss.sum()) * n_rows)
        if losses[-1] < _HALF or losses[-1] > min(losses) + _RISE:
            break
    return _between(losses)


def head_penalty(strength: float, n: torch.Tensor, width: int, columns: int) -> torch.Tensor:
    """Return the factor of ``|W|^2 / 2`` beside the mean loss of heads with n rows: (H,).

    With two classes one column holds the difference of both classes' weights, which are opposite:
    its square is twice the sum of theirs.

    Parameters
    ----------
    strength : float tensor of shape (H,)
    n : number of rows of each head
    width : number of features
    columns : score columns of a head
    """
    return (strength * width / (2 if columns == 1 else 1) / n.double()).float()


def _some(rows: Rows, drawn: torch.Tensor) -> Rows:
    """Return these rows alone; the weights of those that are used sum to 1 again."""
    used = rows.used[:, drawn]
    return replace(
        rows, x=rows.x[drawn], labels=rows.labels[drawn], scored=rows.scored[:, drawn],
        used=used / used.sum(dim=1, keepdim=True),
    )  # fmt: skip


def _folds(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray | None:
    """Return the fold of each row, -1 for a class with one group; None without two folds."""
    pairs = np.unique(np.column_stack([labels, groups]), axis=0)
    divisible = (np.bincount(pairs[:, 0], minlength=labels.max() + 1) > 1)[labels]
    own = np.unique(groups[divisible], return_inverse=True)[1]
    if not divisible.any() or own.max() < 1:
        return None
    fold = np.full(len(labels), -1)
    k = min(_FOLDS, int(own.max()) + 1)
    fold[divisible] = assign_folds(labels[divisible], own, k, seed)
    return fold


def _divided(rows: Rows, fold: np.ndarray) -> Rows:
    """Return the rows with one head for each fold; one fold only where a pass is long."""
    work = rows.x.numel() * rows.columns
    folds = np.arange(fold.max() + 1 if work <= _WORK else 1)
    held_out = torch.from_numpy(fold[None, :] == folds[:, None]).to(rows.x.device)
    used = rows.used * ~held_out
    divided = replace(rows, used=used / used.sum(dim=1, keepdim=True), scored=rows.used * held_out)
    known = (divided.shares() > 0)[:, rows.labels]  # a class that a head has not seen costs alike
    return replace(divided, scored=divided.scored * known)


def _between(losses: list[float]) -> float:
    """Return the strongest within half a nat of the lowest point of a parabola through the best."""
    best = int(np.argmin(losses))
    if not 0 < best < len(losses) - 1:
        return STRENGTHS[best]
    before, at, after = losses[best - 1 : best + 2]
    bend = before - 2 * at + after
    if bend <= 0:
        return STRENGTHS[best]
    move = 0.5 * (before - after) / bend - math.sqrt(2 * _HALF / bend)
    return float(STRENGTHS[best] * 10 ** (-max(move, -1.0) / 2))
