"""The values of a row as cells: clipped probabilities without loss of digits, or a class."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.analysis.clipping import clip_probabilities
from engine.competition.cells import past_bounds, probability_cells
from engine.competition.sample import Form
from engine.competition.submission_csv import quoted


def written_values(
    form: Form, classes: Sequence[str], p: np.ndarray, lower: float, upper: float, positive: int
) -> tuple[pa.StringArray, np.ndarray]:
    """Return the cell of each image and value column, and which cells lie outside the bounds.

    Parameters
    ----------
    p : float64 array of shape (n_images, n_classes), within [0, 1]
    lower, upper : bounds on P(positive), see :mod:`engine.analysis.clipping`
    positive : index of the positive class

    Returns
    -------
    cells : string array of shape (n_images * n_columns,), image by image, each after a comma;
        empty where it is unknown
    past : bool array of shape (n_images,), True if a cell lies outside; expected to be False
    """
    n, columns = len(p), len(form.classes)
    unknown = np.array([index is None for index in form.classes])
    if form.kind == "probability":
        clipped = clip_probabilities(p, lower, upper, positive)  # (n_images, n_classes)
        chosen = [index or 0 for index in form.classes]
        turned = (np.array(chosen) == 1 - positive) & ~unknown & (len(classes) == 2)
        # (n_images, n_columns)
        values = clipped if chosen == list(range(len(classes))) else clipped[:, chosen]
        lows, highs = np.full(columns, lower), np.full(columns, upper)
        lows[turned], highs[turned] = _complement(upper), _complement(lower)
        if turned.any():
            values[:, turned] = values[:, turned].clip(lows[turned], highs[turned])
        cells = probability_cells(values, lows, highs)
        past = np.asarray(past_bounds(cells, values, lows, highs).any(axis=1))
    else:
        likeliest = p.argmax(axis=1)
        best = pa.array(1 - likeliest if form.kind == "other index" else likeliest)  # (n_images,)
        names = pa.array(classes, pa.string())
        texts = names.take(best) if form.kind == "name" else best.cast(pa.string())
        cells = pc.binary_join_element_wise("", quoted(texts), ",")
        past = np.zeros(n, dtype=bool)
    if unknown.any():
        cells = pc.if_else(pa.array(np.tile(unknown, n)), ",", cells)
    return cells, past


def _complement(bound: float) -> float:
    return float(1 - Decimal(repr(float(bound))))  # decimal arithmetic: 1 - 0.975 is 0.025
