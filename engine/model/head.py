"""Trains the last layer on cached features: softmax regression with Adam."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import one_hot
from torch.optim.adam import adam  # the Adam class would import the compiler (1 s)

from engine.model.training_options import TrainingOptions

L2_CANDIDATES = tuple(10 ** (-0.25 * step) for step in range(10, 20))  # see train_head
_FOLDS = 5
_WORTH_THREADS = 2_000_000  # number of weights from which several threads are faster
_CV_EPOCHS, _CV_STEPS, _CV_BATCH, _CV_LR, _CV_ROWS = 12, 100, 128, 0.005, 5000

OnEpoch = Callable[[dict[str, Any]], None]


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
        scores = features.double() @ self.weight.double().T + self.bias.double()
        return torch.softmax(scores, dim=1)


def train_head(
    train: tuple[torch.Tensor, torch.Tensor],
    valid: tuple[torch.Tensor, torch.Tensor],
    n_classes: int,
    options: TrainingOptions,
    *,
    l2: float | None = None,
    on_epoch: OnEpoch,
) -> Head:
    """Train a softmax regression on (features (n, width) float32, labels (n,) int64).

    Features are centred and divided by one number to unit variance on average; this leaves the
    penalised optimum unchanged and lets Adam find it in a few epochs. The penalty is
    ``l2 * width / 2 * |W|^2``; its strength is chosen by 5-fold cross-validation on the training
    images only, so that the validation images stay unseen. The learning rate falls to zero along
    a cosine.

    Parameters
    ----------
    l2
        The strength of the penalty, if it was chosen before for the same images.
    on_epoch
        Called with epoch, loss, accuracy, valid_loss, valid_accuracy, seconds after every epoch.
    """
    features, labels = train
    with _threads_for(len(L2_CANDIDATES) * _FOLDS * n_classes * features.shape[1]):
        x, centre, scale = _centred(features)
        chosen = _choose_l2(x, labels, n_classes, options.seed) if l2 is None else l2

        started = time.monotonic()

        def report(
            epoch: int, weight: torch.Tensor, bias: torch.Tensor, loss: float, hit: float
        ) -> None:
            nonlocal started
            head = _unscaled(weight[0], bias[0], centre, scale, chosen)
            p = head.probabilities(valid[0])
            picked = p[torch.arange(len(p)), valid[1]].clamp_min(torch.finfo(torch.float64).eps)
            on_epoch(
                {
                    "epoch": epoch,
                    "loss": loss,
                    "accuracy": hit,
                    "valid_loss": -picked.log().mean().item(),
                    "valid_accuracy": (p.argmax(1) == valid[1]).double().mean().item(),
                    "seconds": time.monotonic() - started,
                }
            )
            started = time.monotonic()

        weight, bias = _adam(
            x, labels, n_classes, torch.ones(1, len(x)), torch.tensor([chosen]), options, report
        )
        return _unscaled(weight[0], bias[0], centre, scale, chosen)


def train_heads(
    features: torch.Tensor,
    labels: torch.Tensor,
    n_classes: int,
    sample_weight: torch.Tensor,
    options: TrainingOptions,
    l2: float,
) -> list[Head]:
    """Train H heads together like :func:`train_head`, each with its own image weights.

    Parameters
    ----------
    features : float32 tensor of shape (n, width)
    labels : int64 tensor of shape (n,)
    sample_weight : float32 tensor of shape (H, n), weight of each image in each head
    """
    with _threads_for(len(sample_weight) * n_classes * features.shape[1]):
        x, centre, scale = _centred(features)
        weight, bias = _adam(
            x, labels, n_classes, sample_weight, torch.full((len(sample_weight),), l2), options
        )
    return [_unscaled(w, b, centre, scale, l2) for w, b in zip(weight, bias, strict=True)]


def _centred(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the features minus their mean and divided by one number, and these two values."""
    centre = features.mean(dim=0)
    x = features - centre
    scale = x.square().mean().sqrt().clamp_min(1e-12)
    return x / scale, centre, scale


def _choose_l2(x: torch.Tensor, labels: torch.Tensor, n_classes: int, seed: int) -> float:
    """Return the candidate with the lowest cross-validated log loss; all are trained together."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(x), generator=generator)[:_CV_ROWS]
    x, labels = x[rows], labels[rows]
    fold = torch.arange(len(x)) % _FOLDS
    candidates = torch.tensor(L2_CANDIDATES)
    held_out = fold[None, :] == torch.arange(_FOLDS)[:, None]  # (folds, n)
    used = (~held_out).float().repeat_interleave(len(candidates), dim=0)  # (folds * l2, n)
    epochs = max(_CV_EPOCHS, math.ceil(_CV_STEPS * _CV_BATCH / len(x)))
    options = TrainingOptions(epochs, _CV_LR, _CV_BATCH, seed)
    weight, bias = _adam(
        x, labels, n_classes, used * (_FOLDS / (_FOLDS - 1)), candidates.repeat(_FOLDS), options
    )
    losses = torch.zeros(len(candidates))
    for head in range(len(used)):
        out = held_out[head // len(candidates)]
        scores = x[out] @ weight[head].T + bias[head]
        losses[head % len(candidates)] += torch.nn.functional.cross_entropy(
            scores, labels[out], reduction="sum"
        )
    return L2_CANDIDATES[int(losses.argmin())]


def _adam(
    x: torch.Tensor,
    labels: torch.Tensor,
    n_classes: int,
    sample_weight: torch.Tensor,
    l2: torch.Tensor,
    options: TrainingOptions,
    on_epoch: Callable[[int, torch.Tensor, torch.Tensor, float, float], None] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train H heads together on the same batches.

    Parameters
    ----------
    x : (n, width); labels : (n,)
    sample_weight : (H, n), weight of each image in each head
    l2 : (H,), penalty of each head per feature

    Returns
    -------
    weight (H, n_classes, width), bias (H, n_classes)
    """
    n, width = x.shape
    heads = len(l2)
    weight = torch.zeros(heads * n_classes, width)
    bias = torch.zeros(heads * n_classes)
    means, squares = ([torch.zeros_like(weight), torch.zeros_like(bias)] for _ in range(2))
    counts = [torch.zeros(()), torch.zeros(())]
    penalty = (l2 * width).repeat_interleave(n_classes)[:, None]
    targets = one_hot(labels, n_classes).float()
    generator = torch.Generator().manual_seed(options.seed)
    steps = options.epochs * math.ceil(n / options.batch_size)
    step = 0
    for epoch in range(1, options.epochs + 1):
        loss, hits = 0.0, 0.0
        for batch in torch.split(torch.randperm(n, generator=generator), options.batch_size):
            rate = 0.5 * options.lr * (1 + math.cos(math.pi * step / steps))
            step += 1
            some = x[batch]
            scores = torch.addmm(bias, some, weight.T).view(-1, heads, n_classes)
            p = torch.softmax(scores, dim=2)
            slope = (p - targets[batch, None]) * sample_weight[:, batch].T[:, :, None]
            slope = slope.view(len(batch), -1) / len(batch)  # (B, H * n_classes)
            slopes = [torch.addcmul(slope.T @ some, penalty, weight), slope.sum(0)]
            adam(
                [weight, bias], slopes, means, squares, [], counts, fused=True, amsgrad=False,
                lr=rate, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, maximize=False,
            )  # fmt: skip
            if on_epoch:
                right = p[torch.arange(len(batch)), 0, labels[batch]]
                loss -= right.clamp_min(1e-38).log().sum().item()
                hits += (p[:, 0].argmax(1) == labels[batch]).sum().item()
        if on_epoch:
            w, b = weight.view(heads, n_classes, -1), bias.view(heads, -1)
            on_epoch(epoch, w, b, loss / n, hits / n)
    return weight.view(heads, n_classes, width), bias.view(heads, n_classes)


@contextmanager
def _threads_for(numbers: int) -> Iterator[None]:
    """Use one thread if a step is too small for several, which would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if numbers < _WORTH_THREADS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _unscaled(
    weight: torch.Tensor, bias: torch.Tensor, centre: torch.Tensor, scale: torch.Tensor, l2: float
) -> Head:
    """Return the weights and bias for unscaled features that give the same scores."""
    raw = weight / scale
    return Head(raw, bias - raw @ centre, l2)
