"""The charts of the page as positions and shares: the matrix, the clip curve, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

import numpy as np

from engine.analysis.clip_report import ClipReport
from engine.analysis.slices import Slice


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix.

    Attributes
    ----------
    kind : right, wrong, or none where it is empty
    strong : whether its tint is so dark that its text must be light
    depth : of its tint, 0 to 100; wrong cells are tinted by their share of the row
    count, share : images, and their share of the true class
    """

    kind: str
    strong: bool
    depth: float
    count: int
    share: float


@dataclass(frozen=True)
class Label:
    """A label in a chart; left and top in percent."""

    left: float
    top: float
    text: str
    side: str

    @property
    def end(self) -> bool:
        """Return whether the text is right-aligned at its position, near the right edge."""
        return self.left > 70


@dataclass(frozen=True)
class Curve:
    """The log loss against symmetric bounds; all positions in percent.

    Attributes
    ----------
    points : (x, y) of the line
    before : y of the log loss without clipping
    chosen : x of the bounds that were chosen
    best : (x, y) of the best bounds, None if no clipping is best
    ticks : (x, text) of the axis
    """

    points: tuple[tuple[float, float], ...]
    before: float
    chosen: tuple[float, ...]
    best: tuple[float, float] | None
    labels: tuple[Label, ...]
    ticks: tuple[tuple[float, str], ...]


def matrix_rows(names: Sequence[str], counts: np.ndarray) -> list[tuple[str, list[Cell]]]:
    """Return the rows of the confusion matrix, each with its true class.

    Parameters
    ----------
    names : class names
    counts : int array of shape (n_classes, n_classes), rows true, columns predicted
    """
    rows = []
    for true, (name, row) in enumerate(zip(names, counts.tolist(), strict=True)):
        cells = []
        for predicted, count in enumerate(row):
            share = count / max(sum(row), 1)
            depth = 30 * share if true == predicted else 16 + 84 * share**0.5 if count else 0
            kind = "right" if true == predicted else "wrong" if count else "none"
            cells.append(Cell(kind, kind == "wrong" and depth > 60, depth, count, share))
        rows.append((name, cells))
    return rows


def clip_curve(found: ClipReport) -> Curve:
    """Return the log loss against symmetric bounds, with the best and the chosen ones."""
    bounds: list[float] = found.curve_bounds.tolist()
    losses: list[float] = found.curve_log_loss.tolist()
    before, best = found.log_loss_before, found.best_symmetric
    low = min(losses)
    high = max(before, found.log_loss_after, best.log_loss)
    top = high + 0.9 * (high - low) + 1e-6
    base = low - 0.08 * (top - low)
    left, right = log10(bounds[0]), log10(bounds[-1])

    def x(bound: float) -> float:
        inside = min(max(bound, bounds[0]), bounds[-1])
        return 100 * (log10(inside) - left) / (right - left)

    def y(loss: float) -> float:
        return 100 * (top - loss) / (top - base)

    chosen = sorted({found.lower, round(1 - found.upper, 12)} - {0.0})
    labels = [Label(0, y(before), f"{before:.4f} without clipping", "above")]
    labels += [Label(x(bound), 0, f"chosen {bound:.3g}", "beside") for bound in chosen]
    return Curve(
        points=tuple(
            (x(b), y(loss)) for b, loss in zip(bounds, losses, strict=True) if loss <= top
        ),
        before=y(before),
        chosen=tuple(map(x, chosen)),
        best=(x(best.lower), y(best.log_loss)) if best.lower > 0 else None,
        labels=tuple(labels),
        ticks=tuple(
            (x(10.0**k), f"{10.0**k:.{-k}f}")
            for k in range(-5, 0)
            if bounds[0] <= 10.0**k <= bounds[-1]
        ),
    )


def places(found: Slice, most: float) -> list[float]:
    """Return log loss, both ends of its interval and the rest as percentages of ``most``."""
    values = (found.log_loss, *found.log_loss_interval, found.rest)
    return [100 * min(max(value / most, 0.0), 1.0) for value in values]


def scale_of(found: Sequence[Slice]) -> float:
    """Return the end of the scale of slices, with one digit; wide intervals may exceed it."""
    most = max(max(s.rest, s.log_loss, min(s.log_loss_interval[1], 2 * s.log_loss)) for s in found)
    if most <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(most))
    return float(f"{unit * -(-most // unit):.1g}")
