"""Posterior of the miscalibration of probabilities, given labelled images.

The model has three parts: the log probabilities are multiplied by a sharpness; for two classes the
log odds are shifted; and a share of the labels does not depend on the probabilities (a lapse). Each
part is absent with a prior probability, so that few images change little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from engine.analysis.metrics import EPSILON

LOG_SHARPNESS = np.array(
    [-2.4, -1.9, -1.5, -1.2, -1, -0.8, -0.6, -0.45, -0.3, -0.15, 0,
     0.15, 0.3, 0.45, 0.6, 0.8, 1, 1.2, 1.5, 1.9, 2.4]
)  # fmt: skip
SHIFT = np.array(
    [-8, -5.6, -4, -2.8, -2, -1.4, -1, -0.7, -0.5, -0.25, 0,
     0.25, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8]
)  # fmt: skip
LOG_LAPSE = np.log(np.geomspace(1e-5, 0.1, 9))
_NO_SHARPENING, _NO_SHIFT, _NO_LAPSE = 0.5, 0.8, 0.6  # prior probabilities
_SHARPNESS_SCALE, _SHIFT_SCALE = 0.4, 1.0
_NEGLIGIBLE = 1e-9  # posterior weight of a node that is left out
_REFINEMENTS = 3
_SINGLE, _BLOCKS = 40, 60


@dataclass(frozen=True, eq=False)
class Rows:
    """Images, or blocks of images with nearly the same probabilities.

    Attributes
    ----------
    weight : float64 array of shape (m,), number of independent images in a row
    logs : float64 array of shape (m, n_classes), log probabilities
    labels : int array of shape (m,)
    """

    weight: np.ndarray
    logs: np.ndarray
    labels: np.ndarray

    @property
    def odds(self) -> np.ndarray:
        """Return the log odds of the second of two classes, (m,)."""
        return np.asarray(self.logs[:, 1] - self.logs[:, 0])


@dataclass(frozen=True, eq=False)
class CalibrationPosterior:
    """The posterior mean of the true probabilities.

    Attributes
    ----------
    rows : the images
    target : float64 array of shape (m, n_classes), the posterior mean of each class's chance
    """

    rows: Rows
    target: np.ndarray

    def expected_loss(self, logs: np.ndarray) -> np.ndarray:
        """Return the expected log loss of log probabilities of shape (..., m, n_classes)."""
        weight = self.rows.weight / self.rows.weight.sum()
        return np.asarray(-np.einsum("...mk,mk,m->...", logs, self.target, weight))


def logs_of(probabilities: np.ndarray) -> np.ndarray:
    """Return the natural logarithms of probabilities, at least that of float64's epsilon."""
    return np.asarray(np.log(np.maximum(probabilities, EPSILON)))


def make_rows(y_true: np.ndarray, probabilities: np.ndarray, independent: int) -> Rows:
    """Return the images as rows; for two classes, as blocks of each label with close log odds.

    The least and the most confident images are single rows; the others share a few hundred blocks.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)
    independent : number of independent images or groups
    """
    n, k = probabilities.shape
    each = independent / n
    logs = logs_of(probabilities)
    if k > 2:
        return Rows(np.full(n, each), logs, np.asarray(y_true))
    odds, labels, counts = [], [], []
    for label in (0, 1):
        values = np.sort((logs[:, 1] - logs[:, 0])[y_true == label])
        if len(values):
            starts = _starts(len(values))
            count = np.diff(np.append(starts, len(values)))
            odds.append(np.add.reduceat(values, starts) / count)
            counts.append(count)
            labels.append(np.full(len(starts), label))
    z = np.concatenate(odds)
    rows = np.stack([-np.logaddexp(0, z), -np.logaddexp(0, -z)], axis=1)
    return Rows(np.concatenate(counts) * each, rows, np.concatenate(labels))


def calibration_posterior(rows: Rows) -> CalibrationPosterior:
    """Return the posterior of the rows by quadrature, on a grid that is finer where it is large.

    The prior of the logarithm of the sharpness is Student's t with 3 degrees of freedom and scale
    0.4, that of the shift Cauchy's, that of the lapse uniform in its logarithm from 1e-5 to 0.1.
    """
    two = rows.logs.shape[1] == 2
    axes = [LOG_SHARPNESS, SHIFT if two else np.empty(0), LOG_LAPSE]
    known: dict[float, np.ndarray] = {}
    weights = _posterior_weights(rows, axes, known)
    for _ in range(_REFINEMENTS):
        axes, narrow = _finer(axes, weights)
        weights = _posterior_weights(rows, axes, known)
        if not narrow:
            break
    return CalibrationPosterior(rows, _target(rows, axes, weights))


def _starts(n: int) -> np.ndarray:
    """Return where the blocks of n sorted values start."""
    ends = np.unique(np.geomspace(_SINGLE, max(n, _SINGLE), _BLOCKS).astype(np.int64))
    at = np.concatenate([np.arange(_SINGLE), ends, n - ends, n - np.arange(1, _SINGLE)])
    at = np.concatenate([at, np.linspace(0, n, _BLOCKS).astype(np.int64)])
    return np.unique(at[(at >= 0) & (at < n)])


def _posterior_weights(
    rows: Rows, axes: list[np.ndarray], known: dict[float, np.ndarray]
) -> np.ndarray:
    """Return the posterior of each node, the last of each axis being nothing at all."""
    log_a, shift, log_lapse = axes
    prior = _prior(axes)
    right = _true_chances(rows, np.append(log_a, 0.0), np.append(shift, 0.0), known)
    k = rows.logs.shape[1]
    lapses = np.append(np.exp(log_lapse), 0.0)
    fit = np.stack(
        [np.log(lapse / k + (1 - lapse) * right) @ rows.weight for lapse in lapses], axis=-1
    )
    found = np.exp(fit - fit.max()) * prior
    return np.asarray(found / found.sum())


def _prior(axes: list[np.ndarray]) -> np.ndarray:
    """Return the prior probability of each node, its density times the width of its cell."""
    log_a, shift, log_lapse = axes
    student = (1 + (log_a / _SHARPNESS_SCALE) ** 2 / 3) ** -2
    cauchy = 1 / (1 + (shift / _SHIFT_SCALE) ** 2)
    a = _with_nothing(student * 0.3675526 / _SHARPNESS_SCALE, log_a, _NO_SHARPENING)
    b = _with_nothing(cauchy / np.pi / _SHIFT_SCALE, shift, _NO_SHIFT)
    uniform = np.full(len(log_lapse), 1 / (LOG_LAPSE[-1] - LOG_LAPSE[0]))
    lapse = _with_nothing(uniform, log_lapse, _NO_LAPSE)
    return np.asarray(a[:, None, None] * b[:, None] * lapse)


def _with_nothing(density: np.ndarray, at: np.ndarray, nothing: float) -> np.ndarray:
    if not len(at):
        return np.ones(1)
    half = np.diff(at) / 2
    width = np.append(half, 0) + np.append(0, half)
    return np.append(density * width * (1 - nothing), nothing)


def _finer(axes: list[np.ndarray], weights: np.ndarray) -> tuple[list[np.ndarray], bool]:
    """Return axes without the nodes that weigh nothing, and with more where one weighs most."""
    finer, changed = [], False
    for i, axis in enumerate(axes):
        marginal = weights.sum(axis=tuple({0, 1, 2} - {i}))[:-1]
        if not len(axis) or marginal.sum() <= 0:
            finer.append(axis)
            continue
        marginal = marginal / marginal.sum()
        heaviest = int(marginal.argmax())
        around = axis[max(heaviest - 1, 0) : heaviest + 2]
        heavy = np.flatnonzero(marginal > _NEGLIGIBLE)
        kept = axis[max(heavy[0] - 1, 0) : heavy[-1] + 2]
        if marginal[heaviest] > 0.3:
            kept, changed = np.union1d(kept, np.linspace(around[0], around[-1], 9)), True
        finer.append(kept)
    return finer, changed


def _true_chances(
    rows: Rows, log_a: np.ndarray, shift: np.ndarray, known: dict[float, np.ndarray]
) -> np.ndarray:
    """Return the chance of each row's label without lapse, (sharpnesses, shifts, m).

    With more than two classes, ``known`` keeps those of each sharpness for the next call.
    """
    if rows.logs.shape[1] == 2:
        sharpness = np.exp(log_a)[:, None, None]
        sign = np.where(rows.labels == 1, 1.0, -1.0)
        return np.asarray(expit(sign * (sharpness * rows.odds + shift[:, None])) + 1e-300)
    at = np.arange(len(rows.labels))
    new = [log for log in log_a.tolist() if log not in known]
    known |= zip(new, (shares[at, rows.labels] for shares in _softmax(rows, new)), strict=True)
    return np.stack([known[log] for log in log_a.tolist()])[:, None] + 1e-300


def _softmax(rows: Rows, log_a: list[float]) -> Iterator[np.ndarray]:
    """Yield the chances of the classes at each sharpness, (m, n_classes), always in one array."""
    logs = rows.logs - rows.logs.max(axis=1, keepdims=True)
    shares = np.empty_like(logs)
    for log in log_a:
        np.multiply(logs, np.exp(log), out=shares)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=1, keepdims=True)
        yield shares


def _target(rows: Rows, axes: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Return the posterior mean of the chance of each class, (m, n_classes)."""
    log_a, shift, log_lapse = (np.append(axis, 0.0) for axis in axes)
    lapses = np.append(np.exp(log_lapse[:-1]), 0.0)
    kept = weights @ (1 - lapses)  # (sharpnesses, shifts), what the probabilities decide
    k = rows.logs.shape[1]
    if k == 2:
        odds = np.exp(log_a)[:, None, None] * rows.odds + shift[:, None]
        second = np.einsum("ab,abm->m", kept, expit(odds))
        chances = np.stack([kept.sum() - second, second], axis=1)
    else:
        chances = np.zeros_like(rows.logs)
        used = kept[:, 0] > _NEGLIGIBLE
        each = zip(kept[used, 0].tolist(), _softmax(rows, log_a[used].tolist()), strict=True)
        for share, shares in each:
            chances += np.multiply(shares, share, out=shares)
    return np.asarray(chances + float((weights @ lapses).sum()) / k)
