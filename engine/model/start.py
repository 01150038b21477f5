"""The start of training a whole network, and averages of trained networks with the start."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from engine.model.head import Head

SHARES = (0.5, 1.0)  # of the trained network in the averages that are scored


@dataclass(frozen=True)
class Start:
    """A fitted last layer, and its log loss and accuracy on the training images."""

    head: Head
    loss: float
    accuracy: float

    def after(self, extractor: nn.Module) -> nn.Module:
        """Return the extractor of features (n, width) followed by this last layer."""
        n_classes, width = self.head.weight.shape
        with torch.random.fork_rng(devices=[]):
            layer = nn.Linear(width, n_classes)
        layer.load_state_dict({"weight": self.head.weight, "bias": self.head.bias})
        return nn.Sequential(extractor, layer)


@dataclass(frozen=True)
class StartAverage:
    """A copy of the network at the start, and a copy that holds the average."""

    start: nn.Module
    mixed: nn.Module

    @classmethod
    def of(cls, network: nn.Module) -> StartAverage:
        """Return the copies, made of the network before it is trained."""
        return cls(copy.deepcopy(network), copy.deepcopy(network))

    @torch.no_grad()
    def after(self, network: nn.Module, share: float) -> nn.Module:
        """Return the network, or the average of its tensors with the start's."""
        if share == 1:
            return network
        mixed, start, now = (each.state_dict() for each in (self.mixed, self.start, network))
        for name, tensor in now.items():
            if tensor.is_floating_point():
                mixed[name].copy_(torch.lerp(start[name], tensor, share))
        return self.mixed
