"""Charts of the page: the shaded confusion matrix, the clip curve and interval plots."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import Any

from engine.analysis.slices import Slice
from engine.html_report.text import text


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Return the confusion matrix, rows true; errors are shaded by their share of the row."""
    head = "".join(f"<th><span>{text(name)}</span></th>" for name in names)
    rows = []
    for true, row in enumerate(counts):
        cells = []
        for predicted, count in enumerate(row):
            part = count / max(sum(row), 1)
            depth = 30 * part if true == predicted else 16 + 84 * part**0.5 if count else 0
            kind = "right" if true == predicted else "wrong" if count else "none"
            strong = " strong" if kind == "wrong" and depth > 60 else ""
            cells.append(
                f'<td class="{kind}{strong}" style="--depth:{depth:.0f}%"><b>{count:,}</b>'
                f"<small>{part:.1%}</small></td>"
            )
        rows.append(f"<tr><th><span>{text(names[true])}</span></th>{''.join(cells)}</tr>")
    return (
        '<div class="scroll"><table class="matrix"><tr><th><small>true ↓ predicted →</small></th>'
        f"{head}</tr>{''.join(rows)}</table></div>"
    )


def clip_curve(found: dict[str, Any]) -> str:
    """Return the log loss against symmetric bounds, with the best and the chosen bounds marked."""
    bounds: list[float] = [point["bound"] for point in found["curve"]]
    losses: list[float] = [point["log_loss"] for point in found["curve"]]
    before: float = found["log_loss_before"]
    best: dict[str, float] = found["best_symmetric"]
    low = min(losses)
    high: float = max(before, found["log_loss_after"], best["log_loss"])
    top = high + 0.9 * (high - low) + 1e-6
    base = low - 0.08 * (top - low)
    left, right = log10(bounds[0]), log10(bounds[-1])

    def x(bound: float) -> float:
        inside = min(max(bound, bounds[0]), bounds[-1])
        return 100 * (log10(inside) - left) / (right - left)

    def y(loss: float) -> float:
        return 100 * (top - loss) / (top - base)

    line = " ".join(
        f"{x(b):.2f},{y(loss):.2f}" for b, loss in zip(bounds, losses, strict=True) if loss <= top
    )
    marks = [f'<line class="before" x1="0" x2="100" y1="{y(before):.2f}" y2="{y(before):.2f}"/>']
    labels = [_label(0, y(before), f"{before:.4f} without clipping", "above")]
    for bound in sorted({found["lower"], round(1 - found["upper"], 12)} - {0.0}):
        marks.append(
            f'<line class="chosen" x1="{x(bound):.2f}" x2="{x(bound):.2f}" y1="0" y2="100"/>'
        )
        labels.append(_label(x(bound), 0, f"chosen {bound:.3g}", "beside"))
    if best["lower"] > 0:
        place = f"left:{x(best['lower']):.2f}%;top:{y(best['log_loss']):.2f}%"
        labels.append(f'<i class="best" style="{place}"></i>')
    ticks = "".join(
        f'<span style="left:{x(10.0**k):.2f}%">{10.0**k:.{-k}f}</span>'
        for k in range(-5, 0)
        if bounds[0] <= 10.0**k <= bounds[-1]
    )
    return (
        '<div class="curve"><div class="plot"><svg viewBox="0 0 100 100" '
        f'preserveAspectRatio="none" aria-hidden="true">{"".join(marks)}'
        f'<polyline points="{line}"/></svg>{"".join(labels)}</div>'
        f'<div class="ticks">{ticks}</div><p class="axis">bound b of [b, 1 − b]</p></div>'
    )


def interval(found: Slice, most: float) -> str:
    """Return a dot with its interval and a tick for the rest, on a line from 0 to ``most``."""
    value, low, high, rest = places(found, most)
    return (
        f'<span class="line"><i class="band" style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<i class="rest" style="left:{rest:.1f}%"></i>'
        f'<i class="dot" style="left:{value:.1f}%"></i></span>'
    )


def places(found: Slice, most: float) -> list[float]:
    """Return the log loss, the ends of its interval and the rest in percent of ``most``."""
    values = (found.log_loss, *found.log_loss_interval, found.rest)
    return [100 * min(max(value / most, 0.0), 1.0) for value in values]


def scale_of(found: Sequence[Slice]) -> float:
    """Return the end of the scale for slices, one digit; wide intervals may extend beyond it."""
    most = max(max(s.rest, s.log_loss, min(s.log_loss_interval[1], 2 * s.log_loss)) for s in found)
    if most <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(most))
    return float(f"{unit * -(-most // unit):.1g}")


def _label(left: float, top: float, words: str, side: str) -> str:
    end = " end" if left > 70 else ""
    return f'<span class="{side}{end}" style="left:{left:.2f}%;top:{top:.2f}%">{words}</span>'
