"""Grad-CAM: which places of an image spoke for a class, by the gradient at the last map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from engine.errors import UserError
from engine.model.head import Head


@dataclass(frozen=True)
class Seen:
    """What a network saw in one image.

    Attributes
    ----------
    maps : float32 tensor of shape (n_chosen, h, w), at least 0: for each chosen class, how much
        each place of the last convolutional feature map spoke for it
    features : float32 tensor of shape (width,)
    probabilities : float64 tensor of shape (n_classes,)
    """

    maps: torch.Tensor
    features: torch.Tensor
    probabilities: torch.Tensor


def grad_cam(
    network: nn.Module, head: Head, layer: nn.Module, pixels: torch.Tensor, classes: list[int]
) -> Seen:
    """Explain the scores of classes for one image.

    The channels of the feature map, weighted by the mean gradient of the class's score (before
    the softmax) over all places, are summed; what is negative counts as 0.

    Parameters
    ----------
    network, head : the image's features, and their classes; in float32, for inference
    layer : whose output is the map, see :func:`last_map`
    pixels : float32 (1, 3, crop, crop), normalised

    References
    ----------
    Selvaraju et al., Grad-CAM: Visual explanations from deep networks via gradient-based
    localization, ICCV 2017.
    """
    kept: list[torch.Tensor] = []

    def keep(_: nn.Module, __: Any, output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1].clone()  # what follows may change it in place

    handle = layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            features = network(pixels)  # (1, width)
    finally:
        handle.remove()
    scores = features @ head.weight.to(features).T + head.bias.to(features)  # (1, n_classes)
    maps = []
    for index in classes:
        (slope,) = torch.autograd.grad(scores[0, index], kept[-1], retain_graph=True)
        weight = slope.mean(dim=(2, 3), keepdim=True)  # (1, channels, 1, 1)
        maps.append((weight * kept[-1].detach()).sum(dim=1)[0].relu())
    found = features.detach().cpu()
    return Seen(torch.stack(maps).cpu(), found[0], head.probabilities(found)[0])


def last_map(network: nn.Module, name: str, pixels: torch.Tensor) -> nn.Module:
    """Return the module that gives the last convolutional feature map for such an image.

    It is the last one to finish that holds a convolution and whose output is still a map: more
    than one place high or wide.

    Raises
    ------
    UserError
        When the backbone is not convolutional, or leaves no map of such an image.
    """
    if any("attention" in type(module).__name__.lower() for module in network.modules()):
        raise UserError(
            f"{name} has attention layers, which mix all places of an image; heat maps need a "
            "convolutional backbone such as resnet50, vgg16 or mobilenet_v2."
        )
    finished: list[nn.Module] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and output.shape[-2:] != (1, 1):
            finished.append(module)

    holders = [
        module for module in network.modules()
        if any(isinstance(part, nn.Conv2d) for part in module.modules())
    ]  # fmt: skip
    handles = [module.register_forward_hook(note) for module in holders]
    try:
        with torch.inference_mode():
            network(pixels)
    finally:
        for handle in handles:
            handle.remove()
    if not finished:
        raise UserError(f"{name} leaves no feature map of an image of {pixels.shape[-1]} pixels.")
    return finished[-1]
