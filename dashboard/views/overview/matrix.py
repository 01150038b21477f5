"""The confusion matrix; every cell can be reached by keyboard and opens its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dashboard.shared.component import registered

TABLE_UP_TO = 12  # classes; more are drawn on a canvas
_matrix = registered(__file__, '<div class="matrix"></div>', TABLE_UP_TO=TABLE_UP_TO)


def matrix(
    counts: np.ndarray, class_names: Sequence[str], *, key: str, opened: Callable[[], None]
) -> None:
    """Show counts and row percentages; rows true, columns predicted.

    Parameters
    ----------
    counts : int array of shape (n_classes, n_classes)
    key : name of the widget; ``opened`` reads [true, predicted] there under ``cell``
    """
    true, predicted = np.nonzero(counts)
    cells = np.stack([true, predicted, counts[true, predicted]], axis=1)
    _matrix(
        key=key,
        data={
            "names": list(class_names),
            "totals": counts.sum(axis=1).tolist(),
            "cells": cells.tolist(),
        },
        on_cell_change=opened,
    )
