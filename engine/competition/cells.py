"""Formats probabilities as cells of a CSV file: without an exponent, with the digits they need."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MIN_DECIMALS, _SIGNIFICANT = 5, 6
_MOST_DECIMALS = 18  # 10**18 fits int64
_LONGEST = 10.0**14
_TIE = 2.0**-51  # of a product: twice the error of its rounding, and more
_AT_BOUND = 1e-5  # of a bound: more than the rounding of a value near it
_HEAD = ",0."
_SHORTEST = len(_HEAD) + _MIN_DECIMALS
_LEAD = np.frombuffer(b"".join(b"%s%d" % (_HEAD.encode(), n) for n in range(10)), np.uint32)
_FOUR = np.frombuffer(b"".join(b"%04d" % n for n in range(10_000)), np.uint32)


def probability_cells(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> pa.StringArray:
    """Return each probability as text after a comma, with six significant digits of p and 1 - p.

    At least five decimals and no trailing zeros after them; this rounding is monotone. A value
    that rounding would move outside a bound is written in full, so that it reads back exactly.

    Parameters
    ----------
    values : float64 array of shape (n_rows, n_columns), within [0, 1]
    lower, upper : float64 arrays of shape (n_columns,)

    Returns
    -------
    string array of shape (n_rows * n_columns,), row by row

    Examples
    --------
    >>> probability_cells(np.array([[0.5, 1 / 3]]), np.zeros(2), np.ones(2)).to_pylist()
    [',0.50000', ',0.333333']
    """
    flat = values.ravel()
    near = np.minimum(flat, 1 - flat)  # distance to 0 or 1, which determines the log loss
    index = (near.view(np.int64) >> 51) & 0xFFE  # twice the exponent of float64
    index += near >= _NEXT_POWER.take(index)
    scaled = flat * _POWER.take(index)
    whole = np.rint(scaled)
    error = np.abs(scaled - whole)
    scaled *= _TIE
    error += scaled
    # Values too close to a tie, too long for this arithmetic, or 1: few distinct values.
    left = (error >= 0.5) | (whole >= _TOO_LONG.take(index))
    texts = _rounded_cells(whole, index, left)
    if left.any():
        texts = _rewritten(texts, flat, left, _rounded)
    past = past_bounds(texts, values, lower, upper).ravel()
    return _rewritten(texts, flat, past, _in_full) if past.any() else texts


def past_bounds(
    cells: pa.StringArray, values: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Return which cells read back outside a bound that the value itself keeps.

    Only values next to a bound are read back; rounding moves no other one so far.

    Parameters
    ----------
    cells : string array of shape (n_rows * n_columns,), see `probability_cells`
    values : float64 array of shape (n_rows, n_columns), within [0, 1]
    lower, upper : float64 arrays of shape (n_columns,)

    Returns
    -------
    bool array of shape (n_rows, n_columns)
    """
    above = (values >= lower) & (values <= lower * (1 + _AT_BOUND))
    below = (values <= upper) & (values >= upper - _AT_BOUND * (1 - upper))
    past = np.zeros(values.shape, dtype=bool)
    at = np.flatnonzero(above | below)
    if len(at):
        near = pc.utf8_slice_codeunits(cells.take(pa.array(at)), 1)
        read, column = np.asarray(near.cast(pa.float64())), at % values.shape[1]
        low, high = above.ravel()[at], below.ravel()[at]
        past.ravel()[at] = (low & (read < lower[column])) | (high & (read > upper[column]))
    return past


def _by_exponent() -> tuple[np.ndarray, np.ndarray]:
    """Return, by twice float64's biased exponent, the decimals of its values, and the next power.

    The decimals of values from the next power of ten on follow each.
    """
    decimals, power = np.full(4096, _MOST_DECIMALS + 1), np.full(4096, np.inf)
    for exponent in range(-62, 1):
        scale = int(np.floor(np.log10(2.0**exponent)))
        at = 2 * (exponent + 1023)
        decimals[at : at + 2] = _SIGNIFICANT - 1 - scale, _SIGNIFICANT - 2 - scale
        power[at] = float(f"1e{scale + 1}")
    return decimals, power


_DECIMALS, _NEXT_POWER = _by_exponent()
_POWER = np.array([float(10**d) if d <= _MOST_DECIMALS else 1.0 for d in _DECIMALS.tolist()])
_TOO_LONG = np.where(_DECIMALS <= _MOST_DECIMALS, np.minimum(_POWER, _LONGEST), 0)


def _rounded_cells(whole: np.ndarray, index: np.ndarray, left: np.ndarray) -> pa.StringArray:
    """Return the cells of numbers of units, with a placeholder where they are ``left`` for later.

    Parameters
    ----------
    whole : float64 array of shape (n,), the rounded value in units of its last decimal
    index : int64 array of shape (n,), which of ``_DECIMALS`` that is
    """
    most = int(_DECIMALS[index.min(initial=4095)])  # more significant digits have smaller indices
    most = min(max(most + (1 - most) % 4, _MIN_DECIMALS), _MOST_DECIMALS)
    units = 10 ** (most - np.minimum(_DECIMALS, most))
    whole[left] = 0
    fractions = whole.astype(np.int64)
    fractions *= units.take(index)
    fractions[left] = 10 ** (most - _MIN_DECIMALS)  # as short as a cell may be
    texts = pc.ascii_rtrim(_all_decimals(fractions.view(np.uint64), most), "0")
    lengths = np.diff(np.frombuffer(texts.buffers()[1], np.int32)[: len(texts) + 1])
    short = lengths.min(initial=_SHORTEST) < _SHORTEST
    return pc.ascii_rpad(texts, _SHORTEST, "0") if short else texts


def _all_decimals(fractions: np.ndarray, most: int) -> pa.StringArray:
    """Return the cells of fractions in units of the last of ``most`` decimals, which all show."""
    cells = np.empty((len(fractions), 1 + -(-(most - 1) // 4)), np.uint32)  # four characters each
    digits, place = _LEAD, most - 1
    for column in range(cells.shape[1]):
        if place > 0:
            group = fractions // 10**place
            fractions = fractions - group * 10**place
        else:
            group = fractions * 10**-place
        cells[:, column] = digits.take(group.view(np.int64))
        digits, place = _FOUR, place - 4
    width = 4 * cells.shape[1]
    offsets = np.arange(0, width * (len(cells) + 1), width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(cells), pa.py_buffer(offsets), pa.py_buffer(cells))


def _rewritten(
    cells: pa.StringArray,
    values: np.ndarray,
    which: np.ndarray,
    write: Callable[[np.ndarray], list[str]],
) -> pa.StringArray:
    """Replace the cells where ``which`` is True; each distinct value is formatted only once."""
    unique, where = np.unique(values[which], return_inverse=True)
    written = pa.array([f",{text}" for text in write(unique)], pa.string())
    return pc.replace_with_mask(cells, pa.array(which), written.take(pa.array(where)))


def _rounded(values: np.ndarray) -> list[str]:
    near = np.minimum(values, 1 - values)
    scale = np.floor(np.log10(near, where=near > 0, out=np.zeros_like(near)))
    pairs = zip(values.tolist(), (_SIGNIFICANT - 1 - scale).astype(np.int64).tolist(), strict=True)
    texts = (f"{value:.{decimals}f}" for value, decimals in pairs)
    return [text.rstrip("0").ljust(len("0.") + _MIN_DECIMALS, "0") for text in texts]


def _in_full(values: np.ndarray) -> list[str]:
    return [
        np.format_float_positional(value, trim="k", min_digits=_MIN_DECIMALS) for value in values
    ]
