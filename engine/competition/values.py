"""What a row says: probabilities clipped and written without losing digits, or a class."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa

from engine.analysis.clipping import clip_probabilities
from engine.competition.sample import Form

_MIN_DECIMALS, _SIGNIFICANT = 5, 6


def written_values(
    form: Form, classes: Sequence[str], p: np.ndarray, lower: float, upper: float, positive: int
) -> tuple[list[pa.StringArray], np.ndarray]:
    """Return one text a picture and value column, and which pictures' texts pass a bound.

    Parameters
    ----------
    p : float64 array of shape (n_pictures, n_classes), within [0, 1]
    lower, upper : bounds on P(positive), see :mod:`engine.analysis.clipping`
    positive : index of the positive class

    Returns
    -------
    texts : one string array of shape (n_pictures,) a value column; null where it has no meaning
    past : bool array of shape (n_pictures,), which should be False throughout
    """
    past = np.zeros(len(p), dtype=bool)
    best = pa.array(p.argmax(axis=1))  # (n_pictures,)
    clipped = clip_probabilities(p, lower, upper, positive)  # (n_pictures, n_classes)
    texts = []
    for index in form.classes:
        if index is None:
            texts.append(pa.nulls(len(p), pa.string()))
        elif form.kind == "name":
            texts.append(pa.array(classes, pa.string()).take(best))
        elif form.kind == "index":
            texts.append(best.cast(pa.string()))
        else:
            bounds, column = (lower, upper), clipped[:, index]
            if len(classes) == 2 and index != positive:
                bounds = (_complement(upper), _complement(lower))
                column = column.clip(*bounds)
            texts.append(_fixed_point(column, *bounds))
            past |= _past_bounds(texts[-1], column, *bounds)
    return texts, past


def _fixed_point(values: np.ndarray, lower: float, upper: float) -> pa.StringArray:
    """Write probabilities with six significant digits of both p and 1 - p, and no exponent.

    At least five decimals, no further zeros at the end; rounding so is monotone. A value that
    would round past a bound is written in full, so that it reads back exactly.
    """
    unique, where = np.unique(values, return_inverse=True)
    near = np.minimum(unique, 1 - unique)  # distance to the nearer end, which the log loss feels
    scale = np.log10(near, where=near > 0, out=np.zeros_like(near))
    decimals = (_SIGNIFICANT - 1 - np.floor(scale)).astype(int)
    shortest = len("0.") + _MIN_DECIMALS
    texts = [
        f"{value:.{places}f}".rstrip("0").ljust(shortest, "0")
        for value, places in zip(unique.tolist(), decimals.tolist(), strict=True)
    ]
    for i in np.flatnonzero(_past_bounds(pa.array(texts, pa.string()), unique, lower, upper)):
        texts[i] = np.format_float_positional(unique[i], trim="k", min_digits=_MIN_DECIMALS)
    return pa.array(texts, pa.string()).take(pa.array(where))


def _past_bounds(
    texts: pa.StringArray, values: np.ndarray, lower: float, upper: float
) -> np.ndarray:
    """Tell which texts read back beyond a bound that the value itself keeps, bool (n,)."""
    written = np.asarray(texts.cast(pa.float64()))
    below, above = (written < lower) & (values >= lower), (written > upper) & (values <= upper)
    return np.asarray(below | above)


def _complement(bound: float) -> float:
    return float(1 - Decimal(repr(float(bound))))  # 1 - 0.975 as a person writes it: 0.025
