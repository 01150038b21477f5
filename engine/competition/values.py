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
_MOST_DECIMALS = 18
_POWERS = np.array([10**k for k in range(_MOST_DECIMALS + 1)])  # all that fit int64
_POWERS_AS_FLOAT = _POWERS.astype(np.float64)  # exact
_LONGEST = 10**14
_TIE = 2.0**-51  # of a product: twice the error of its rounding, and more
_LEAD = np.frombuffer(b"".join(b"0.%02d" % n for n in range(100)), np.uint32)
_FOUR = np.frombuffer(b"".join(b"%04d" % n for n in range(10_000)), np.uint32)
_WIDTH = len("0.") + _MOST_DECIMALS


def written_values(
    form: Form, classes: Sequence[str], p: np.ndarray, lower: float, upper: float, positive: int
) -> tuple[pa.StringArray, np.ndarray]:
    """Return the text of each image and value column, and which texts lie outside the bounds.

    Parameters
    ----------
    p : float64 array of shape (n_images, n_classes), within [0, 1]
    lower, upper : bounds on P(positive), see :mod:`engine.analysis.clipping`
    positive : index of the positive class

    Returns
    -------
    texts : string array of shape (n_images * n_columns,), image by image; '' where it is unknown
    past : bool array of shape (n_images,), True if a text lies outside; expected to be False
    """
    n, columns = len(p), len(form.classes)
    unknown = np.array([index is None for index in form.classes])
    if form.kind == "probability":
        clipped = clip_probabilities(p, lower, upper, positive)  # (n_images, n_classes)
        chosen = np.array([index or 0 for index in form.classes])
        turned = (chosen == 1 - positive) & ~unknown & (len(classes) == 2)
        values = clipped[:, chosen]  # (n_images, n_columns)
        lows, highs = np.full(columns, lower), np.full(columns, upper)
        lows[turned], highs[turned] = _complement(upper), _complement(lower)
        values[:, turned] = values[:, turned].clip(lows[turned], highs[turned])
        bounded = values.ravel(), np.tile(lows, n), np.tile(highs, n)
        texts = _fixed_point(*bounded)
        past = np.asarray(_past_bounds(texts, *bounded).reshape(n, columns).any(axis=1))
    else:
        likeliest = p.argmax(axis=1)
        best = pa.array(1 - likeliest if form.kind == "other index" else likeliest)  # (n_images,)
        names = pa.array(classes, pa.string())
        texts = names.take(best) if form.kind == "name" else best.cast(pa.string())
        past = np.zeros(n, dtype=bool)
    if unknown.any():
        texts = pc.if_else(pa.array(np.tile(unknown, n)), "", texts)
    return texts, past


def _fixed_point(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> pa.StringArray:
    """Format probabilities with six significant digits of p and of 1 - p, without an exponent.

    At least five decimals and no trailing zeros after them; this rounding is monotone. A value
    that rounding would move outside a bound is written in full, so that it reads back exactly.
    """
    decimals = _quick_decimals(values)
    capped = np.minimum(decimals, _MOST_DECIMALS)
    one = _POWERS_AS_FLOAT.take(capped)
    scaled = values * one
    whole = np.rint(scaled)
    # Values too close to a tie, too long for this arithmetic, or 1: few distinct values.
    tie = np.abs(np.abs(scaled - whole) - 0.5) <= scaled * _TIE
    left = tie | (whole >= np.minimum(one, _LONGEST)) | (decimals > _MOST_DECIMALS)
    whole[left] = 0
    texts = pc.ascii_rtrim(_all_decimals(whole.astype(np.int64) * _POWERS[::-1].take(capped)), "0")
    texts = pc.ascii_rpad(texts, len("0.") + _MIN_DECIMALS, "0")
    read = whole / one  # what the text reads as, since both are exact
    if left.any():
        texts = _rewritten(texts, values, left, _rounded)
        read[left] = np.asarray(texts.filter(pa.array(left)).cast(pa.float64()))
    past = _outside(read, values, lower, upper)
    return _rewritten(texts, values, past, _in_full) if past.any() else texts


def _all_decimals(fractions: np.ndarray) -> pa.StringArray:
    """Return "0." and 18 decimals for each int64, 0 to 10**18 - 1, which counts units of 1e-18."""
    cells = np.empty((len(fractions), _WIDTH // 4), np.uint32)  # four characters each
    high = fractions // 10**8
    lead = high // 10**8
    cells[:, 0] = _LEAD.take(lead)
    for column, eight in ((1, high - lead * 10**8), (3, fractions - high * 10**8)):
        four = eight // 10**4
        cells[:, column] = _FOUR.take(four)
        cells[:, column + 1] = _FOUR.take(eight - four * 10**4)
    offsets = np.arange(0, _WIDTH * (len(fractions) + 1), _WIDTH, dtype=np.int32)
    return pa.StringArray.from_buffers(len(fractions), pa.py_buffer(offsets), pa.py_buffer(cells))


def _decimals_by_exponent() -> tuple[np.ndarray, np.ndarray]:
    """Return, by float64's biased exponent, the decimals of its least value, and the next power.

    Below 2**-62 it is more decimals than the quick arithmetic has.
    """
    decimals, power = np.full(2048, _MOST_DECIMALS + 1), np.full(2048, np.inf)
    for exponent in range(-62, 1):
        scale = int(np.floor(np.log10(2.0**exponent)))
        decimals[exponent + 1023] = _SIGNIFICANT - 1 - scale
        power[exponent + 1023] = float(f"1e{scale + 1}")
    return decimals, power


_DECIMALS, _NEXT_POWER = _decimals_by_exponent()


def _quick_decimals(values: np.ndarray) -> np.ndarray:
    """Return `_decimals` where they are at most 18, else a greater number."""
    near = np.minimum(values, 1 - values)
    exponent = (near.view(np.int64) >> 52) & 0x7FF
    return np.asarray(_DECIMALS.take(exponent) - (near >= _NEXT_POWER.take(exponent)))


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
    return _outside(np.asarray(texts.cast(pa.float64())), values, lower, upper)


def _outside(
    written: np.ndarray, values: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    below, above = (written < lower) & (values >= lower), (written > upper) & (values <= upper)
    return np.asarray(below | above)


def _complement(bound: float) -> float:
    return float(1 - Decimal(repr(float(bound))))  # decimal arithmetic: 1 - 0.975 is 0.025
