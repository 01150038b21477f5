"""The confusion matrix; every cell can be reached by keyboard and opens its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dashboard.selection.filters import PREDICTED, TRUE
from dashboard.shared.component import registered

TABLE_UP_TO = 12  # classes; more are drawn on a canvas
_matrix = registered(
    __file__, '<div class="matrix"></div>', TABLE_UP_TO=TABLE_UP_TO, TRUE=TRUE, PREDICTED=PREDICTED
)


def matrix(
    counts: np.ndarray, class_names: Sequence[str], *, key: str, address: Mapping[str, str]
) -> None:
    """Show counts and row percentages; rows true, columns predicted.

    Parameters
    ----------
    counts : int array of shape (n_classes, n_classes)
    key : name of the widget
    address : parameters of Errors, to which a cell adds its two classes
    """
    true, predicted = np.nonzero(counts)
    cells = np.stack([true, predicted, counts[true, predicted]], axis=1)
    _matrix(
        key=key,
        data={
            "names": list(class_names),
            "totals": counts.sum(axis=1).tolist(),
            "cells": cells.tolist(),
            "address": dict(address),
        },
    )
