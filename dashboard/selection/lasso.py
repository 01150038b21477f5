"""An area drawn on a map, in a short form for the address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.runs.maps import METHODS

GRID = 4095  # side of the map's square in steps; a corner has two times three hex digits
EDGE = 8  # distance in steps between the square's border and the outermost image
MOST_CORNERS = 40
_TEXT = re.compile(rf"({'|'.join(METHODS)})\.((?:[0-9a-f]{{6}}){{3,{MOST_CORNERS}}})")


@dataclass(frozen=True)
class Lasso:
    """A polygon on the map of a method; corners are (x, y), from 0 to ``GRID``."""

    method: str
    corners: tuple[tuple[int, int], ...]

    @property
    def text(self) -> str:
        """Return the area as text for the address."""
        return f"{self.method}." + "".join(f"{x:03x}{y:03x}" for x, y in self.corners)


def read_lasso(text: str) -> Lasso | None:
    """Return the area from the text of :attr:`Lasso.text`, or None if it is invalid."""
    found = _TEXT.fullmatch(text)
    if not found:
        return None
    numbers = [int(found[2][at : at + 3], 16) for at in range(0, len(found[2]), 3)]
    return Lasso(found[1], tuple(zip(numbers[::2], numbers[1::2], strict=True)))


def lasso_of(method: str, corners: object) -> Lasso | None:
    """Return the area from the polygon that the browser sent, or None if it is invalid."""
    if not isinstance(corners, Sequence) or not 3 <= len(corners) <= MOST_CORNERS:
        return None
    points = []
    for corner in corners:
        if not isinstance(corner, Sequence) or len(corner) != 2:
            return None
        if not all(isinstance(n, int | float) and -1e9 < n < 1e9 for n in corner):
            return None
        x, y = (min(max(round(n), 0), GRID) for n in corner)
        points.append((x, y))
    return Lasso(method, tuple(points))
