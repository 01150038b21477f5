"""Solves penalised softmax regressions to their optimum by L-BFGS, several side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import softplus

_MEMORY = 8  # pairs of steps and changes of slope that L-BFGS keeps
_HALVINGS = 12
_STILL = 10  # passes that must lower an objective by more than its tolerance
_SCORES = 4_000_000  # scores in a block of rows
_COLUMNS = 1000  # score columns of the heads that are solved side by side
_NOISE = 2e-7  # relative error of an objective in float32

OnPass = Callable[["Point"], None]


@dataclass(frozen=True, eq=False)
class Rows:
    """Features and labels, with one weight per head (of H heads) and row.

    Attributes
    ----------
    x : float32 (n, r + 1), the last column is 1
    labels : int64 (n,)
    n_classes : number of classes; two classes need one column of scores, others one each
    used : float32 (H, n), weights of the rows in a head's loss; they sum to 1
    scored : float32 (H, n), weights of the rows that a head is scored on
    """

    x: torch.Tensor
    labels: torch.Tensor
    n_classes: int
    used: torch.Tensor
    scored: torch.Tensor

    @property
    def columns(self) -> int:
        """Return the number of score columns of one head."""
        return 1 if self.n_classes == 2 else self.n_classes

    def shares(self) -> torch.Tensor:
        """Return the share of each class in the rows used, float64 (H, n_classes)."""
        shares = self.used.new_zeros(len(self.used), self.n_classes, dtype=torch.float64)
        return shares.index_add_(1, self.labels, self.used.double())

    def start(self) -> torch.Tensor:
        """Return weights of zero, and as bias the log share of each class: (H, columns, r + 1)."""
        bias = self.shares().log()
        weight = self.x.new_zeros(len(self.used), self.columns, self.x.shape[1])
        weight[..., -1] = bias[:, 1:] - bias[:, :1] if self.columns == 1 else bias
        return weight

    def completed(self) -> Rows:
        """Return the rows, with half a row at the mean added for each class that a head lacks.

        Without it, the optimal probability of that class would be 0.
        """
        absent = self.shares() == 0
        classes = absent.any(dim=0).nonzero()[:, 0]
        if not len(classes):
            return self
        mean = self.x.new_zeros(len(classes), self.x.shape[1])
        mean[:, -1] = 1
        half = absent[:, classes] * (0.5 / self.used.count_nonzero(dim=1)[:, None])
        return Rows(
            torch.cat([self.x, mean]),
            torch.cat([self.labels, classes]),
            self.n_classes,
            torch.cat([self.used, half], dim=1),
            torch.cat([self.scored, torch.zeros_like(half)], dim=1),
        )


@dataclass(frozen=True, eq=False)
class Point:
    """Weights of H heads with their losses and gradients.

    Attributes
    ----------
    weight : float32 (H, columns, r + 1), the last is the bias
    loss, accuracy, scored_loss : float64 (H,), weighted sums over the rows used, or scored
    objective : float64 (H,), the loss and the penalty
    slope : of the objective, like the weights
    curvature : float32 (H, columns), mean of p (1 - p) over the rows used
    """

    weight: torch.Tensor
    loss: torch.Tensor
    accuracy: torch.Tensor
    scored_loss: torch.Tensor
    objective: torch.Tensor
    slope: torch.Tensor
    curvature: torch.Tensor


def solve(
    rows: Rows,
    penalty: torch.Tensor,
    variances: torch.Tensor,
    start: torch.Tensor,
    *,
    tolerance: float,
    passes: int,
    on_pass: OnPass | None = None,
) -> Point:
    """Minimise ``loss + penalty / 2 * |W|^2`` of each head; biases are not penalised.

    L-BFGS begins each direction with the inverse of ``curvature * variances + penalty``, which is
    close to the Hessian where ``x`` is uncorrelated. A head is finished when the decrease that
    this promises falls under ``tolerance`` times the objective, or ten passes have not lowered it
    by as much, which is left to rounding. No number of one head depends on another head.

    Parameters
    ----------
    penalty : float32 (H,)
    variances : float32 (r + 1,), mean square of each column of ``x``
    start : float32 (H, columns, r + 1)
    passes : largest number of steps
    on_pass : called with the first point and each new one
    """
    group = max(1, _COLUMNS // rows.columns)
    parts = []
    for first in range(0, len(start), group):
        some = slice(first, first + group)
        own = replace(rows, used=rows.used[some], scored=rows.scored[some])
        parts.append(
            _descend(own, penalty[some], variances, start[some], tolerance, passes, on_pass)
        )
    if len(parts) == 1:
        return parts[0]
    names = Point.__dataclass_fields__
    return Point(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def _descend(
    rows: Rows,
    penalty: torch.Tensor,
    variances: torch.Tensor,
    start: torch.Tensor,
    tolerance: float,
    passes: int,
    on_pass: OnPass | None,
) -> Point:
    ridge = penalty[:, None, None].expand(-1, 1, len(variances)).clone()
    ridge[..., -1] = 0
    at = _evaluated(rows, ridge, start)
    if on_pass:
        on_pass(at)
    done = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    steps: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    objectives = [at.objective]
    for _ in range(passes):
        first = 1 / (at.curvature.clamp_min(1e-6)[:, :, None] * variances + ridge)
        done = done | (_dot(at.slope, first * at.slope) <= 2 * tolerance * at.objective)
        if len(objectives) > _STILL:
            done = done | (objectives[-_STILL - 1] - at.objective <= tolerance * at.objective)
        if done.all():
            break
        direction = torch.where(done[:, None, None], 0.0, -_newton(at.slope, first, steps))
        new, failed = _line_search(rows, ridge, at, direction)
        done = done | failed
        step, change = new.weight - at.weight, new.slope - at.slope
        product = _dot(step, change)
        steps = [*steps[1 - _MEMORY :], (step, change, torch.where(product > 0, 1 / product, 0.0))]
        at = new
        objectives.append(at.objective)
        if on_pass:
            on_pass(at)
    return at


def _newton(
    slope: torch.Tensor,
    first: torch.Tensor,
    steps: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
) -> torch.Tensor:
    """Return the approximate inverse Hessian times the slope: the two loops of L-BFGS."""
    way, factors = slope.clone(), []
    for step, change, inverse in reversed(steps):
        factor = inverse * _dot(step, way)
        way -= factor.float()[:, None, None] * change
        factors.append(factor)
    way *= first
    for (step, change, inverse), factor in zip(steps, reversed(factors), strict=True):
        way += (factor - inverse * _dot(change, way)).float()[:, None, None] * step
    return way


def _line_search(
    rows: Rows, ridge: torch.Tensor, at: Point, direction: torch.Tensor
) -> tuple[Point, torch.Tensor]:
    """Halve each head's step until its objective falls; also return which heads found no step."""
    fall = _dot(at.slope, direction)
    size = torch.ones(len(direction), device=direction.device)
    for _ in range(_HALVINGS):
        new = _evaluated(rows, ridge, at.weight + size[:, None, None] * direction)
        high = new.objective > at.objective + 1e-4 * size * fall + _NOISE * at.objective
        if not high.any():
            return new, high
        size = torch.where(high, size / 2, size)
    size = torch.where(high, 0.0, size)  # what rounding errors leave to gain is not found
    return _evaluated(rows, ridge, at.weight + size[:, None, None] * direction), high


def _evaluated(rows: Rows, ridge: torch.Tensor, weight: torch.Tensor) -> Point:
    heads, columns, width = weight.shape
    flat = weight.view(heads * columns, width)
    slope = torch.zeros_like(flat)
    curvature = weight.new_zeros(heads, columns)
    sums = weight.new_zeros(3, heads, dtype=torch.float64)
    block = max(1, _SCORES // len(flat))
    for first in range(0, len(rows.x), block):
        some = slice(first, first + block)
        x, labels, used = rows.x[some], rows.labels[some], rows.used[:, some].T
        scores = x @ flat.T  # (block, H * columns)
        of = _binary if columns == 1 else _softmax
        loss, hit, p, residual = of(scores.view(len(x), heads, columns), labels)
        weighted = torch.stack([loss * used, hit * used, loss * rows.scored[:, some].T])
        sums += weighted.sum(1, dtype=torch.float64)
        curvature += torch.einsum("bh,bhc->hc", used, p) - torch.einsum(
            "bh,bhc,bhc->hc", used, p, p
        )
        residual *= used[:, :, None]
        slope.addmm_(residual.view(len(x), -1).T, x)
    penalised = ridge * weight
    return Point(
        weight, sums[0], sums[1], sums[2], sums[0] + _dot(penalised, weight) / 2,
        slope.view_as(weight) + penalised, curvature,
    )  # fmt: skip


def _binary(
    scores: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return loss and hit (B, H), probabilities and their error (B, H, 1) of the second class."""
    second = labels[:, None].to(scores.dtype)
    score = scores[:, :, 0]
    p = torch.sigmoid(scores)
    loss = softplus((1 - 2 * second) * score)
    hit = ((score > 0) == (second > 0)).to(scores.dtype)
    return loss, hit, p, p - second[:, :, None]


def _softmax(
    scores: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return loss and hit (B, H), probabilities and their error (B, H, n_classes)."""
    true = labels[:, None, None].expand(-1, scores.shape[1], 1)
    logs = torch.log_softmax(scores, dim=2)
    hit = (scores.argmax(dim=2) == labels[:, None]).to(scores.dtype)
    p = logs.exp()
    error = p.scatter_add(2, true, -torch.ones_like(true, dtype=p.dtype))
    return -logs.gather(2, true)[:, :, 0], hit, p, error


def _dot(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one * other).sum((1, 2), dtype=torch.float64)
