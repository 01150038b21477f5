"""The expected log loss of three or more classes at any sharpness and bound, fast to repeat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.analysis.sorted_sums import count_smaller

_NO_BOUND = 1e-17


@dataclass(frozen=True, eq=False)
class SharpenedLoss:
    """Rows of log probabilities, each sorted, with running sums of the expected losses.

    A sharpness multiplies the log probabilities, which keeps their order. So the rows are sorted
    once, and clipping changes the two ends of each row.
    """

    logs: np.ndarray  # (m, n_classes), ascending in each row
    target: np.ndarray  # (m, n_classes + 1), running sums of the expected chances
    weighted: np.ndarray  # (m, n_classes + 1), running sums of expected chance times log
    weight: np.ndarray  # (m,), sums to 1

    @classmethod
    def of(cls, logs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> SharpenedLoss:
        """Return the loss of some rows, which are sorted.

        Parameters
        ----------
        logs : float64 array of shape (m, n_classes), log probabilities
        target : float64 array of shape (m, n_classes), the expected chance of each class
        weight : float64 array of shape (m,), sums to 1
        """
        order = np.argsort(logs, axis=1)
        logs, target = (np.take_along_axis(array, order, axis=1) for array in (logs, target))
        return cls(logs, _running(target), _running(target * logs), weight)

    def at(self, log_a: np.ndarray, shift: np.ndarray, limit: np.ndarray) -> np.ndarray:
        """Return the expected loss of each sharpness and bound, arrays of shape (points,).

        Parameters
        ----------
        log_a : logarithm of the sharpness
        shift : not used; only two classes have a shift
        limit : log odds at the bound
        """
        bounds = 1 / (1 + np.exp(limit))
        losses = np.empty(len(log_a))
        for a in np.unique(log_a):
            losses[log_a == a] = self._of_sharpness(float(np.exp(a)), bounds[log_a == a])
        return losses

    def _of_sharpness(self, a: float, bounds: np.ndarray) -> np.ndarray:
        m, k = self.logs.shape
        shares = self.logs - self.logs[:, -1:]  # (m, k)
        shares *= a
        np.exp(shares, out=shares)  # not yet divided by their sum
        running = _running(shares)
        total = running[:, -1]
        log_total = a * self.logs[:, -1] + np.log(total)
        lower = bounds[:, None]  # (bounds, 1), against rows of shape (m,)
        below = count_smaller(shares, lower * total)  # (bounds, m)
        upto = k - (shares[:, -1] > (1 - lower) * total)
        row = np.arange(m) * (k + 1)
        target, weighted, sums = (
            [array.take(row + at) for at in (below, upto)]
            for array in (self.target, self.weighted, running)
        )
        all_targets = self.target[:, -1]
        expected = (
            np.log(lower) * target[0]
            + a * (weighted[1] - weighted[0])
            - log_total * (target[1] - target[0])
            + np.log1p(-lower) * (all_targets - target[1])
        )
        clipped = below * lower + (sums[1] - sums[0]) / total + (k - upto) * (1 - lower)
        free = a * self.weighted[:, -1] - log_total * all_targets
        bounded = expected - all_targets * np.log(clipped)
        return np.asarray(-np.where(lower > _NO_BOUND, bounded, free) @ self.weight)


def _running(values: np.ndarray) -> np.ndarray:
    sums = np.empty((len(values), values.shape[1] + 1))
    sums[:, 0] = 0
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums
