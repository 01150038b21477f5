"""Scores and corrections of probabilities from any framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.analysis import metrics as of_arrays
from engine.analysis.compared_corrections import Comparison
from engine.analysis.fitted import FittedCorrection
from engine.analysis.recommendation import compare_corrections
from engine.analysis.scores import Metrics, score
from engine.errors import UserError
from engine.library.arrays import as_array, checked, checked_probabilities


def log_loss(y_true: Any, probabilities: Any) -> float:
    """Return the mean log loss, with the natural logarithm; lower is better.

    Computed in float64; probabilities are clipped at its epsilon, so the loss of an image is at
    most 36.04.

    Parameters
    ----------
    y_true : array-like of int, shape (n,)
        Class indices, or class names where each class occurs; sorted names are the columns.
        Lists, NumPy arrays, pandas objects and tensors will do.
    probabilities : array-like of float, shape (n, n_classes) or (n,)
        One row an image, which sums to 1; column = class index. Of shape (n,): the probability of
        the second of two classes.

    Returns
    -------
    float

    Raises
    ------
    UserError
        When an array has another shape or holds other values; the sentence names it.

    Examples
    --------
    >>> import engine
    >>> round(engine.log_loss([0, 1], [[0.9, 0.1], [0.2, 0.8]]), 6)
    0.164252
    """
    y, p, _ = checked(y_true, probabilities)
    return of_arrays.log_loss(y, p)


def metrics(y_true: Any, probabilities: Any, groups: Any = None) -> Metrics:
    """Return accuracy, log loss and calibration error, with 95 % intervals.

    The intervals cover 95 % even if the images show few errors or none. That of the accuracy is the
    Clopper–Pearson interval; that of the log loss counts one error more, with the mean loss of the
    correct images if they had another label.

    Parameters
    ----------
    y_true : array-like of int, shape (n,)
        Class indices, or class names where each class occurs; sorted names are the columns.
        Lists, NumPy arrays, pandas objects and tensors will do.
    probabilities : array-like of float, shape (n, n_classes) or (n,)
        One row an image, which sums to 1; column = class index. Of shape (n,): the probability of
        the second of two classes.
    groups : array-like, shape (n,), optional
        Name or number of the group of each image: images that belong together, such as those of
        one patient. A group then counts as one observation.

    Returns
    -------
    Metrics
        n, accuracy, accuracy_interval, log_loss, log_loss_interval, calibration_error,
        calibration_error_expected (``mean`` and ``percentile_95`` for a perfectly calibrated model
        with these probabilities), confusion_matrix.

    Raises
    ------
    UserError
        When an array has another shape or holds other values; the sentence names it.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks.

    Examples
    --------
    >>> import engine
    >>> found = engine.metrics([0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    >>> found.n, found.accuracy, round(found.log_loss, 4)
    (4, 0.75, 0.4004)
    >>> found.confusion_matrix
    array([[2, 0],
           [1, 1]])
    """
    return score(*checked(y_true, probabilities, groups))


@dataclass(frozen=True, eq=False)
class Recommendation:
    """A correction of probabilities, fitted and ready to apply.

    The cross-validated figures are computed when they are first used.

    Attributes
    ----------
    name : str
        none, clip, temperature, platt or isotonic.
    values : dict of float
        The fitted parameters, such as ``temperature``, or ``lower`` and ``upper``.
    n_classes : int
        Number of classes.
    """

    name: str
    values: dict[str, float]
    n_classes: int
    _compared: Comparison = field(repr=False)

    @property
    def log_loss(self) -> float:
        """Return the cross-validated log loss with the correction."""
        return self._compared.choice.log_loss

    @property
    def log_loss_without(self) -> float:
        """Return the log loss without a correction."""
        return self._compared.raw

    @property
    def difference(self) -> float:
        """Return ``log_loss`` minus that without a correction; below 0 is better."""
        return self._compared.choice.gain.difference

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of ``difference``, including the noise of fitting."""
        return self._compared.choice.gain.interval

    @property
    def sentence(self) -> str:
        """Return the recommendation in words."""
        return self._compared.sentence

    def apply(self, probabilities: Any) -> np.ndarray:
        """Return corrected probabilities.

        Parameters
        ----------
        probabilities : array-like of float, shape (n, n_classes) or (n,)
            Probabilities of the same classes in the same order.

        Returns
        -------
        ndarray of float64, of the same shape
            Rows sum to 1; no value is exactly 0 or 1.

        Raises
        ------
        UserError
            If the values are not probabilities of these classes.
        """
        fitted: FittedCorrection = self._compared.chosen
        corrected = fitted.apply(checked_probabilities(probabilities, self.n_classes))
        return (
            corrected[:, 1] if np.ndim(as_array("probabilities", probabilities)) == 1 else corrected
        )


def recommend(y_true: Any, probabilities: Any, groups: Any = None) -> Recommendation:
    """Recommend a correction of probabilities, fitted to labelled images.

    Clipping, temperature, Platt scaling and, from 1,000 images on, isotonic regression are compared
    by their expected log loss on other images, which includes errors not seen yet. With few images,
    or if no correction has a gain, none is recommended.

    Parameters
    ----------
    y_true : array-like of int, shape (n,)
        Class indices or names, of at least 10 images.
    probabilities : array-like of float, shape (n, n_classes) or (n,)
        Predicted by a model that has not seen these images; rows sum to 1.
    groups : array-like, shape (n,), optional
        Name or number of the group of each image, at least 10 of them. A group counts as one
        observation, and is never divided between fitting and scoring.

    Returns
    -------
    Recommendation
        name, log_loss, difference, interval, sentence, and ``apply(probabilities)``.

    Raises
    ------
    UserError
        When an array cannot be used, or there are too few images or groups.

    Examples
    --------
    >>> import engine
    >>> import numpy as np
    >>> y_true = np.arange(200) % 2
    >>> wrong = np.arange(200) % 20 < 2  # one in ten, at full confidence
    >>> p = np.where((y_true == 1) != wrong, 0.999, 0.001)
    >>> found = engine.recommend(y_true, np.column_stack([1 - p, p]))
    >>> found.name
    'clip'
    >>> found.apply([[0.999, 0.001]]).round(1)
    array([[0.9, 0.1]])
    """
    y, p, numbers = checked(y_true, probabilities, groups)
    try:
        compared = compare_corrections(y, p, groups=numbers)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    return Recommendation(compared.recommended, compared.chosen.values, p.shape[1], compared)
