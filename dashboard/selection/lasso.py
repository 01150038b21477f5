"""An area drawn on a map, short enough for the address bar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.runs.maps import METHODS

GRID = 4095  # side of the square of a map, in steps; a corner takes twice three hex digits
EDGE = 8  # steps between that square's outline and the outermost image
MOST_CORNERS = 40
_TEXT = re.compile(rf"({'|'.join(METHODS)})\.((?:[0-9a-f]{{6}}){{3,{MOST_CORNERS}}})")


@dataclass(frozen=True)
class Lasso:
    """A polygon on the map of a method; corners are (x, y) from 0 to ``GRID``."""

    method: str
    corners: tuple[tuple[int, int], ...]

    @property
    def text(self) -> str:
        """Return it as the address has it."""
        return f"{self.method}." + "".join(f"{x:03x}{y:03x}" for x, y in self.corners)


def read_lasso(text: str) -> Lasso | None:
    """Read what :attr:`Lasso.text` wrote, None where it is something else."""
    found = _TEXT.fullmatch(text)
    if not found:
        return None
    numbers = [int(found[2][at : at + 3], 16) for at in range(0, len(found[2]), 3)]
    return Lasso(found[1], tuple(zip(numbers[::2], numbers[1::2], strict=True)))


def lasso_of(method: str, corners: object) -> Lasso | None:
    """Return the polygon that a browser sent, None where it sent something else."""
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
