"""Assembles torchvision's own network from a run's tensors."""

from __future__ import annotations

import torch
from torch import nn

from engine.errors import UserError
from engine.model.backbones import constructor_arguments, last_layer
from engine.model.extractor import Extractor
from engine.model.head import Head
from engine.model.timm_networks import is_timm


def assembled(extractor: Extractor, head: Head, images: torch.Tensor) -> tuple[nn.Module, float]:
    """Return torchvision's network with the run's tensors, and the constant added to all scores.

    SqueezeNet cuts its scores at zero before it averages them. A constant added to all of them
    keeps them above zero and changes no probability.

    Parameters
    ----------
    images : as the network sees them, float32 (n, 3, crop, crop)
    """
    from engine.light_torchvision import torchvision

    if extractor.beside:
        names = " and ".join(each.backbone for each in extractor.every)
        raise UserError(f"torchvision's form holds one network, not {names}; export as onnx.")
    if is_timm(extractor.backbone):
        raise UserError(f"torchvision has no {extractor.backbone}; export as onnx.")
    if extractor.backbone.startswith("mnasnet"):
        raise UserError(
            "torchvision's MNASNet loads only tensors with its version number, which safetensors "
            "do not hold; fit another backbone, or export as onnx."
        )
    name, crop = extractor.backbone, extractor.steps.crop
    arguments = constructor_arguments(name, crop)
    network = torchvision.models.get_model(name, num_classes=len(head.bias), **arguments).eval()
    path, layer = last_layer(network)
    state = network.state_dict()
    state.update(extractor.network().state_dict())
    state[f"{path}.weight"] = head.weight.reshape(layer.weight.shape)
    state[f"{path}.bias"] = head.bias
    network.load_state_dict(state)
    if not isinstance(layer, nn.Conv2d):
        return network, 0.0
    lowest: list[float] = []
    hook = layer.register_forward_hook(lambda _, __, scores: lowest.append(scores.min().item()))
    with torch.inference_mode():
        network(images)
    hook.remove()
    shift = float(round(2 * abs(min(lowest)) + 10))
    state[f"{path}.bias"] = head.bias + shift
    network.load_state_dict(state)
    return network, shift
