"""Tails of the gamma distribution, without the import of scipy.special.

That import would add half a second to the first page of every dashboard.
"""

from __future__ import annotations

from math import copysign, erfc, exp, inf, lgamma, log, log1p, pi, sqrt

_PRECISION, _TERMS = 1e-15, 10_000
_LARGE = 1000.0  # shapes from which the expansion is exact to eight digits


def gamma_tail(shape: float, x: float) -> float:
    """Return the probability that a gamma variable of scale 1 is greater than x.

    Parameters
    ----------
    shape : above 0
    x : 0 or more

    References
    ----------
    NIST Digital Library of Mathematical Functions, sections 8.7, 8.9 and 8.12.

    Examples
    --------
    >>> round(gamma_tail(2.0, 3.0), 6)  # (1 + 3) exp(-3)
    0.199148
    """
    if x <= 0:
        return 1.0
    if x == inf:
        return 0.0
    if shape >= _LARGE:
        return _expansion(shape, x)
    factor = exp(shape * log(x) - x - lgamma(shape))
    if x < shape + 1:
        return 1 - factor * _series(shape, x)
    return factor * _fraction(shape, x)


def _series(a: float, x: float) -> float:
    """Return 8.7.1, which converges fast below a + 1."""
    term = total = 1 / a
    for n in range(1, _TERMS):
        term *= x / (a + n)
        total += term
        if term < _PRECISION * total:
            break
    return total


def _fraction(a: float, x: float) -> float:
    """Return the continued fraction 8.9.2, by Lentz's method."""
    b = x + 1 - a
    c, d = inf, 1 / b
    value = d
    for n in range(1, _TERMS):
        step = n * (a - n)
        b += 2
        d = 1 / (b + step * d)
        c = b + step / c
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def _expansion(a: float, x: float) -> float:
    """Return Temme's uniform expansion 8.12.4 with two coefficients."""
    far = x / a - 1
    if abs(far) < 1e-3:  # the difference of near values would lose digits
        half = far**2 * (1 / 2 - far * (1 / 3 - far * (1 / 4 - far * (1 / 5 - far / 6))))
    else:
        half = far - log1p(far)
    eta = copysign(sqrt(2 * half), far)
    if abs(eta) < 0.1:
        first = -1 / 3 + eta * (1 / 12 + eta * (-2 / 135 + eta * (1 / 864 + eta / 2835)))
        second = -1 / 540 + eta * (-1 / 288 + eta * (1 / 378 - eta * 77 / 77760))
    else:
        first = 1 / far - 1 / eta
        second = 1 / eta**3 - 1 / far**3 - 1 / far**2 - 1 / (12 * far)
    rest = exp(-a * half) / sqrt(2 * pi * a) * (first + second / a)
    return min(max(erfc(eta * sqrt(a / 2)) / 2 + rest, 0.0), 1.0)
