"""Trains one network in several processes with shared gradients and batch statistics."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from engine.model.ranks import Ranks


def replicated(network: nn.Module, device: str, ranks: Ranks) -> nn.Module:
    """Return the module to call in training; it shares gradients and batch statistics.

    Optimise and save the parameters of ``network`` itself.
    """
    if ranks.world == 1:
        return network
    if device == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(network, device_ids=[ranks.local])
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncedBatchNorm
    return DistributedDataParallel(network)


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all processes' images, on any device.

    PyTorch's own ``SyncBatchNorm`` needs a GPU.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (B, C, H, W); running statistics are updated in training."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(x)
        values = x.float()
        count = _summed(values.new_tensor([values.numel() / values.shape[1]]))
        mean = _summed(values.sum(dim=(0, 2, 3))) / count
        centred = values - mean.view(1, -1, 1, 1)
        variance = _summed(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            share = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * count / (count - 1).clamp_min(1), share)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        normalised = centred * scale.view(1, -1, 1, 1)
        if self.affine:
            normalised = normalised + self.bias.view(1, -1, 1, 1)
        return normalised.to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is a sum as well."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        whole = values.clone()
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        whole = slope.clone()
        dist.all_reduce(whole)
        return whole


def _summed(values: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = _Sum.apply(values)
    return result
