"""Trains heads by Adam for a number of epochs, if epochs or a learning rate are given."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn.functional import one_hot
from torch.optim.adam import adam  # the Adam class would import the compiler (1 s)

from engine.model.training_options import TrainingOptions

AfterEpoch = Callable[[int, torch.Tensor, torch.Tensor, float, float], None]


def train_by_epochs(
    x: torch.Tensor,
    labels: torch.Tensor,
    bias: torch.Tensor,
    sample_weight: torch.Tensor,
    l2: torch.Tensor,
    options: TrainingOptions,
    on_epoch: AfterEpoch | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train H heads together on the same batches; the rate falls to zero along a cosine.

    Parameters
    ----------
    x : (n, width); labels : (n,)
    bias : (H, n_classes), where the biases start
    sample_weight : (H, n), weight of each image in each head, 1 on average
    l2 : (H,), penalty of each head per feature
    on_epoch : called with epoch, weights, biases, loss and accuracy of the first head

    Returns
    -------
    weight (H, n_classes, width), bias (H, n_classes)
    """
    n, width = x.shape
    heads, n_classes = bias.shape
    weight = x.new_zeros(heads * n_classes, width)
    bias = bias.flatten().clone()
    means, squares = ([torch.zeros_like(weight), torch.zeros_like(bias)] for _ in range(2))
    counts = [x.new_zeros(()), x.new_zeros(())]
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
