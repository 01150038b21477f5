"""Grad-CAM: the areas of an image that are evidence for a class, from gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from engine.errors import UserError
from engine.model.head import Head


@dataclass(frozen=True)
class Seen:
    """The network's output for one image.

    Attributes
    ----------
    maps : float32 tensor of shape (n_chosen, h, w): the evidence for each chosen class at each
        position of the last convolutional feature map; below 0 where it is against the class
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

    The channels of the feature map are summed, weighted by the mean gradient of the class's score
    (before the softmax) over all positions. The paper's map is this sum where it is above 0.

    Parameters
    ----------
    network, head : the feature extractor and the last layer, in float32 and in evaluation mode
    layer : the module whose output is the feature map, see :func:`last_map`
    pixels : float32 (1, 3, crop, crop), normalised

    References
    ----------
    Selvaraju et al., Grad-CAM: Visual explanations from deep networks via gradient-based
    localization, ICCV 2017.
    """
    kept: list[torch.Tensor] = []

    def keep(_: nn.Module, __: Any, output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1].clone()  # later layers may change it in place

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
        maps.append((weight * kept[-1].detach()).sum(dim=1)[0])
    found = features.detach().cpu()
    return Seen(torch.stack(maps).cpu(), found[0], head.probabilities(found)[0])


def last_map(network: nn.Module, name: str, pixels: torch.Tensor) -> nn.Module:
    """Return the module that outputs the last convolutional feature map for such an image.

    It is the last module to finish that contains a convolution and whose output is still larger
    than one position.

    Parameters
    ----------
    network : the feature extractor
    name : name of the backbone, for the message
    pixels : float32 tensor of shape (1, 3, crop, crop)

    Raises
    ------
    UserError
        If the backbone is not convolutional, or has no feature map for such an image.
    """
    if any("attention" in type(module).__name__.lower() for module in network.modules()):
        raise UserError(
            f"{name} has attention layers, which mix all positions of an image; heat maps need a "
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
        raise UserError(
            f"{name} has no feature map for an image of {pixels.shape[-1]} pixels; fit with a "
            "larger --image-size."
        )
    return finished[-1]
