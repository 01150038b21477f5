"""Chooses the batch size: as large as is fast, smaller if memory is short."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from engine import portable
from engine.model.device import Device
from engine.model.openvino_network import OpenVinoNetwork
from engine.model.preprocessing import Preprocessing

_MARGIN = 4  # for copies in another layout, residual connections and other programs
_MOST = 2048  # values per pixel, more than any network needs: VGG16 needs 128


def batch_size(network: nn.Module, steps: Preprocessing, device: Device) -> int:
    """Return the device's batch size, or the largest smaller power of two that fits in memory."""
    if isinstance(network, OpenVinoNetwork):  # which has no layers to ask
        (network,), device = network.plain, replace(device, dtype=torch.float32)
    free = free_bytes(device.name)
    values = _MOST * steps.crop**2
    if free is None or free > _MARGIN * device.batch_size * values * device.dtype.itemsize:
        return device.batch_size
    fits = free // (_MARGIN * activation_bytes(network, steps, device))
    return min(device.batch_size, 1 << max(0, fits.bit_length() - 1))


@torch.inference_mode()
def activation_bytes(network: nn.Module, steps: Preprocessing, device: Device) -> int:
    """Return the largest sum of a layer's inputs and outputs, for one image, in bytes."""
    image = torch.zeros(1, 3, steps.crop, steps.crop, dtype=torch.uint8, device=device.name)
    largest = image.numel() * 4  # during normalisation

    def seen(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        tensors = [t for t in tree_leaves((inputs, output)) if isinstance(t, torch.Tensor)]
        largest = max(largest, sum(tensor.nbytes for tensor in tensors))

    with ExitStack() as stack:
        for module in network.modules():
            if not any(True for _ in module.children()):
                stack.enter_context(module.register_forward_hook(seen))
        network(steps.normalised(image, device.dtype))
    return largest


def free_bytes(device: str) -> int | None:
    """Return the free memory of a device in bytes, or None if it is unknown."""
    if device == "cuda":
        unused = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return int(torch.cuda.mem_get_info()[0]) + unused
    if device != "cpu":
        return None
    return portable.available_memory()
