"""Trains the last layer on cached features: softmax regression, solved to its optimum."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from engine.model.basis import Basis
from engine.model.device import choose_device
from engine.model.epochs import train_by_epochs
from engine.model.memory import free_bytes
from engine.model.penalty import choose_strength, head_penalty
from engine.model.solver import Point, Rows, solve
from engine.model.training_options import TrainingOptions, training_options
from engine.runs.epoch_scores import OnEpoch
from engine.runs.fit_options import FitOptions

_TOLERANCE, _PASSES = 1e-6, 1000
_WORTH_THREADS = 30_000_000  # multiplications in a pass from which several threads are faster
_PREDICTED = 65_536  # rows that are float64 at once
_COPIES = 5  # of the features, at most, while heads are solved
_WORTH_A_GPU = 1e11  # operations that take a CPU longer than a GPU needs to start


@dataclass(frozen=True)
class Head:
    """A linear layer on features.

    Attributes
    ----------
    weight : float32 tensor of shape (n_classes, width)
    bias : float32 tensor of shape (n_classes,)
    l2 : strength of the penalty it was trained with
    """

    weight: torch.Tensor
    bias: torch.Tensor
    l2: float = 0.0

    def probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """Return the softmax in float64, (n, n_classes)."""
        weight, bias = self.weight.double().T, self.bias.double()
        parts = torch.split(features, _PREDICTED)
        return torch.cat([torch.softmax(part.double() @ weight + bias, dim=1) for part in parts])


@dataclass(frozen=True)
class HeadOptions:
    """How heads are trained.

    Attributes
    ----------
    seed : random seed of the folds by which the penalty is chosen
    balanced : whether each class has the same weight, for any number of images
    by_epochs : the options of a training loop, None for the optimum
    device : where many features are solved
    """

    seed: int = 0
    balanced: bool = False
    by_epochs: TrainingOptions | None = None
    device: str = "cpu"

    @classmethod
    def of(cls, options: FitOptions) -> HeadOptions:
        """Return the head options of a fit."""
        by_epochs = training_options(options) if options.epochs else None
        device = choose_device(options.device).name
        return cls(options.seed, options.class_weight == "balanced", by_epochs, device)


def train_head(
    train: tuple[torch.Tensor, torch.Tensor],
    valid: tuple[torch.Tensor, torch.Tensor],
    n_classes: int,
    options: HeadOptions,
    *,
    l2: float | None = None,
    groups: np.ndarray | None = None,
    on_epoch: OnEpoch,
) -> Head:
    """Solve a softmax regression on (features (n, width) float32, labels (n,) int64).

    The minimum of mean log loss and ``l2 * width / 2 * |W|^2`` is found within 1e-4 of its value;
    features are divided by one number to unit variance on average, and biases are not penalised.
    This is scikit-learn's ``LogisticRegression`` with ``C = 1 / (l2 * width * n)`` on such
    features. The penalty is chosen by cross-validation on the training images only, so that the
    validation images stay unseen.

    Parameters
    ----------
    l2
        The strength of the penalty, if it was chosen before for the same images.
    groups
        Number of the set that each training image must stay with; by default all are divisible.
    on_epoch
        Called with epoch, loss, accuracy, valid_loss, valid_accuracy, seconds after every pass;
        epoch 0 predicts the class shares.
    """
    features, labels = _placed(train, n_classes, options)
    with _threads_for(features.numel() * n_classes):
        basis = Basis.of(features)
        rows = _rows(
            basis.rotated(features), labels, n_classes, torch.ones(1, len(labels)), options
        )
        if l2 is None:
            groups = np.arange(len(labels)) if groups is None else groups
            width = features.shape[1]
            l2 = choose_strength(rows, basis.variances, groups, width, options.seed) / len(labels)
        log = _Log(valid, on_epoch)
        (head,) = _heads(rows, basis, features, options, l2, len(labels), log)
    return head


def train_heads(
    features: torch.Tensor,
    labels: torch.Tensor,
    n_classes: int,
    used: torch.Tensor,
    options: HeadOptions,
    l2: float,
    n: int,
) -> list[Head]:
    """Train H heads like :func:`train_head`, each on its own images.

    Parameters
    ----------
    features : float32 tensor of shape (n, width)
    labels : int64 tensor of shape (n,)
    used : float32 tensor of shape (H, n), 1 for an image that a head is trained on, else 0
    l2, n : penalty and the number of images that it was chosen for; it is scaled to those used
    """
    features, labels = _placed((features, labels), n_classes * len(used), options)
    with _threads_for(features.numel() * n_classes * len(used)):
        basis = Basis.of(features)
        rows = _rows(basis.rotated(features), labels, n_classes, used, options)
        return _heads(rows, basis, features, options, l2, n)


@dataclass
class _Log:
    """Reports each pass with its validation metrics."""

    valid: tuple[torch.Tensor, torch.Tensor]
    on_epoch: OnEpoch
    started: float = 0.0

    def __call__(self, epoch: int, head: Head, loss: float, accuracy: float) -> None:
        features, labels = self.valid
        p = head.probabilities(features)
        true = p.gather(1, labels[:, None]).clamp_min(torch.finfo(torch.float64).eps)
        now = time.monotonic()
        self.on_epoch(
            {
                "epoch": epoch,
                "loss": loss,
                "accuracy": accuracy,
                "valid_loss": -true.log().mean().item(),
                "valid_accuracy": (p.argmax(1) == labels).double().mean().item(),
                "seconds": now - (self.started or now),
            }
        )
        self.started = time.monotonic()


def _rows(
    x: torch.Tensor, labels: torch.Tensor, n_classes: int, used: torch.Tensor, options: HeadOptions
) -> Rows:
    used = used.to(x)
    if options.balanced:
        counts = used.new_zeros(len(used), n_classes).index_add_(1, labels, used)
        used = used / counts.clamp_min(1)[:, labels]
    used = used / used.sum(dim=1, keepdim=True)
    return Rows(x, labels, n_classes, used, torch.zeros_like(used))


def _heads(
    rows: Rows,
    basis: Basis,
    features: torch.Tensor,
    options: HeadOptions,
    l2: float,
    n: int,
    log: _Log | None = None,
) -> list[Head]:
    counts = rows.used.count_nonzero(dim=1)
    strengths = [l2 * n / count for count in counts.tolist()]

    def head(weight: torch.Tensor, index: int = 0) -> Head:
        raw, bias = basis.unrotated(weight[index])
        if rows.columns == 1:  # the difference of the two classes
            raw, bias = torch.cat([-raw, raw]) / 2, torch.cat([-bias, bias]) / 2
        return Head(raw.cpu(), bias.cpu(), strengths[index])

    if options.by_epochs:
        return _by_epochs(rows, basis, features, options.by_epochs, strengths, log)
    rows, passes = rows.completed(), 0

    def after(point: Point) -> None:
        nonlocal passes
        if log:
            log(passes, head(point.weight), point.loss[0].item(), point.accuracy[0].item())
            passes += 1

    penalty = head_penalty(l2 * n, counts, features.shape[1], rows.columns)
    solved = solve(
        rows, penalty, basis.variances, rows.start(),
        tolerance=_TOLERANCE, passes=_PASSES, on_pass=after if log else None,
    )  # fmt: skip
    return [head(solved.weight, index) for index in range(len(counts))]


def _by_epochs(
    rows: Rows,
    basis: Basis,
    features: torch.Tensor,
    options: TrainingOptions,
    strengths: list[float],
    log: _Log | None,
) -> list[Head]:
    def after(
        epoch: int, weight: torch.Tensor, bias: torch.Tensor, loss: float, accuracy: float
    ) -> None:
        if log:
            raw, offset = basis.unscaled(weight[0], bias[0])
            log(epoch, Head(raw.cpu(), offset.cpu(), strengths[0]), loss, accuracy)

    bias = rows.shares().clamp_min(0.5 / len(rows.x)).log().float()
    weights, biases = train_by_epochs(
        basis.scaled(features), rows.labels, bias, rows.used * len(rows.x),
        torch.tensor(strengths, device=bias.device), options, after if log else None,
    )  # fmt: skip
    solved = [basis.unscaled(*each) for each in zip(weights, biases, strict=True)]
    return [
        Head(raw.cpu(), bias.cpu(), strength)
        for (raw, bias), strength in zip(solved, strengths, strict=True)
    ]


def _placed(
    examples: tuple[torch.Tensor, torch.Tensor], columns: int, options: HeadOptions
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features and labels on the GPU, if there is one and it solves them sooner.

    Parameters
    ----------
    columns : score columns of all heads together
    """
    features, labels = examples
    n, width = features.shape
    work = 10 * width**2 * min(n, width) + 400 * n * width * columns  # directions and passes
    if options.device != "cuda" or work < _WORTH_A_GPU:
        return examples
    free = free_bytes("cuda")
    if free is None or free < _COPIES * features.nbytes:
        return examples
    return features.to("cuda"), labels.to("cuda")


@contextmanager
def _threads_for(numbers: int) -> Iterator[None]:
    """Use one thread if a pass is too small for several, which would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if numbers < _WORTH_THREADS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
