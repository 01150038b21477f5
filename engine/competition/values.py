"""Writes the values of a row: clipped probabilities without loss of digits, or a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.analysis.clipping import clip_probabilities
from engine.competition.sample import Form

_MIN_DECIMALS, _SIGNIFICANT = 5, 6
_POWERS = np.array([10**k for k in range(19)])  # all powers of ten that fit int64
_LONGEST, _TIE = 10**12, 1e-3  # the error of products below _LONGEST is less than _TIE / 10


def written_values(
    form: Form, classes: Sequence[str], p: np.ndarray, lower: float, upper: float, positive: int
) -> tuple[list[pa.StringArray], np.ndarray]:
    """Return the text of each image and value column, and which texts lie outside the bounds.

    Parameters
    ----------
    p : float64 array of shape (n_images, n_classes), within [0, 1]
    lower, upper : bounds on P(positive), see :mod:`engine.analysis.clipping`
    positive : index of the positive class

    Returns
    -------
    texts : one string array of shape (n_images,) per value column; null where it is unknown
    past : bool array of shape (n_images,), expected to be False everywhere
    """
    n = len(p)
    if form.kind == "probability":
        clipped = clip_probabilities(p, lower, upper, positive)  # (n_images, n_classes)
        columns, bounds = [], []
        for index in form.classes:
            turned = len(classes) == 2 and index == 1 - positive
            bounds.append((_complement(upper), _complement(lower)) if turned else (lower, upper))
            column = clipped[:, index or 0]
            columns.append(column.clip(*bounds[-1]) if turned else column)
        # One call for all columns: a call for each of a thousand columns takes far longer.
        values, (lows, highs) = np.concatenate(columns), np.repeat(np.array(bounds).T, n, axis=1)
        texts = _fixed_point(values, lows, highs)
        passes = _past_bounds(texts, values, lows, highs).reshape(len(form.classes), n)
        past = np.asarray(passes.any(axis=0))
    else:
        likeliest = p.argmax(axis=1)
        best = pa.array(1 - likeliest if form.kind == "other index" else likeliest)  # (n_images,)
        names = pa.array(classes, pa.string())
        texts = names.take(best) if form.kind == "name" else best.cast(pa.string())
        past = np.zeros(n, dtype=bool)
    return [
        pa.nulls(n, pa.string()) if index is None else texts[place * n : (place + 1) * n]
        for place, index in enumerate(form.classes)
    ], past


def _fixed_point(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> pa.StringArray:
    """Format probabilities with six significant digits of p and of 1 - p, without an exponent.

    At least five decimals and no trailing zeros after them; this rounding is monotone. A value
    that rounding would move outside a bound is written in full, so that it reads back exactly.
    """
    decimals = _decimals(values)
    one = _POWERS[np.minimum(decimals, len(_POWERS) - 1)]
    scaled = values * one
    whole = np.rint(scaled).astype(np.int64)
    digits = pa.array(one + whole).cast(pa.string())  # a 1, then the decimals
    texts = pc.ascii_rtrim(pc.binary_replace_slice(digits, 0, 1, "0."), "0")
    texts = pc.ascii_rpad(texts, len("0.") + _MIN_DECIMALS, "0")
    # Values too close to a tie, too long for this arithmetic, or 1: few distinct values.
    tie = np.abs(np.abs(scaled - whole) - 0.5) < _TIE
    left = tie | (whole >= np.minimum(one, _LONGEST)) | (decimals >= len(_POWERS))
    texts = _rewritten(texts, values, left, _rounded)
    return _rewritten(texts, values, _past_bounds(texts, values, lower, upper), _in_full)


def _decimals(values: np.ndarray) -> np.ndarray:
    near = np.minimum(values, 1 - values)  # distance to 0 or 1, which determines the log loss
    scale = np.log10(near, where=near > 0, out=np.zeros_like(near))
    return np.asarray((_SIGNIFICANT - 1 - np.floor(scale)).astype(np.int64))


def _rewritten(
    texts: pa.StringArray,
    values: np.ndarray,
    which: np.ndarray,
    write: Callable[[np.ndarray], list[str]],
) -> pa.StringArray:
    """Replace the texts where ``which`` is True; each distinct value is formatted only once."""
    unique, where = np.unique(values[which], return_inverse=True)
    written = pa.array(write(unique), pa.string()).take(pa.array(where))
    return pc.replace_with_mask(texts, pa.array(which), written)


def _rounded(values: np.ndarray) -> list[str]:
    pairs = zip(values.tolist(), _decimals(values).tolist(), strict=True)
    texts = (f"{value:.{decimals}f}" for value, decimals in pairs)
    return [text.rstrip("0").ljust(len("0.") + _MIN_DECIMALS, "0") for text in texts]


def _in_full(values: np.ndarray) -> list[str]:
    return [
        np.format_float_positional(value, trim="k", min_digits=_MIN_DECIMALS) for value in values
    ]


def _past_bounds(
    texts: pa.StringArray, values: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Return which texts read back outside a bound that the value itself keeps, bool (n,)."""
    written = np.asarray(texts.cast(pa.float64()))
    below, above = (written < lower) & (values >= lower), (written > upper) & (values <= upper)
    return np.asarray(below | above)


def _complement(bound: float) -> float:
    return float(1 - Decimal(repr(float(bound))))  # decimal arithmetic: 1 - 0.975 is 0.025
