"""Heat maps of a run's networks; those of several are added on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from engine.data.images import Reduced
from engine.model.extractor import Extractor
from engine.model.gradcam import Seen, grad_cam, last_map
from engine.model.head import Head
from engine.model.preprocessing import Preprocessing

Box = tuple[float, float, float, float]
_GRID = 56  # rows and columns of the sum over several networks


@dataclass(frozen=True)
class Heat:
    """The evidence for some classes in one image.

    Attributes
    ----------
    maps : float32 array of shape (n_chosen, h, w), at least 0
    box : left, top, right and bottom of the maps, as fractions of the image
    features : float32 array of shape (1, width), scaled as the head reads them
    probabilities : float64 tensor of shape (n_classes,)
    """

    maps: np.ndarray
    box: Box
    features: np.ndarray
    probabilities: torch.Tensor


class HeatMaps:
    """A run's networks with the layers whose output is mapped.

    A head's score is a sum over the features of all networks. So each network has evidence for a
    class, and the evidence at a position is the sum over the networks.

    Parameters
    ----------
    networks : those of `open_networks`, in the same order as ``extractor.every``

    Raises
    ------
    UserError
        If a network does not allow heat maps.
    """

    def __init__(self, extractor: Extractor, head: Head, networks: Sequence[nn.Module]) -> None:
        self._head, self._networks = head, networks
        self._steps = [each.steps for each in extractor.every]
        self._device = next(networks[0].parameters()).device
        self._layers, self._heads, at = [], [], 0
        scales = extractor.scales or (1.0,)
        for each, network, scale in zip(extractor.every, networks, scales, strict=True):
            blank = torch.zeros(1, 3, each.steps.crop, each.steps.crop, device=self._device)
            self._layers.append(last_map(network, each.backbone, blank))
            with torch.inference_mode():
                width = network(blank).shape[1]
            self._heads.append(Head(scale * head.weight[:, at : at + width], 0 * head.bias))
            at += width
        self._scales = scales

    def of(self, image: Reduced, classes: list[int]) -> Heat:
        """Return the evidence for classes in the centre of an image."""
        seen = [self._seen(number, image, classes) for number in range(len(self._networks))]
        height, width = image.pixels.shape[-2:]
        boxes = [input_box(height, width, steps) for steps in self._steps]
        maps, box = summed([each.maps for each in seen], boxes)
        features = torch.cat(
            [scale * each.features for scale, each in zip(self._scales, seen, strict=True)]
        )[None]
        return Heat(
            maps.relu().numpy(), box, features.numpy(), self._head.probabilities(features)[0]
        )

    def _seen(self, number: int, image: Reduced, classes: list[int]) -> Seen:
        steps = self._steps[number]
        small = steps.resized(image.pixels, image.sides)
        batch = steps.normalised(small[None].to(self._device), torch.float32)
        return grad_cam(
            self._networks[number], self._heads[number], self._layers[number], batch, classes
        )


def open_networks(extractor: Extractor, device: str) -> list[nn.Module]:
    """Return each network of an extractor in float32, on a device."""
    return [each.network().to(device).requires_grad_(False) for each in extractor.every]


def summed(maps: Sequence[torch.Tensor], boxes: Sequence[Box]) -> tuple[torch.Tensor, Box]:
    """Add the maps of several networks, and return the sum with the part of the image it covers.

    Values are smaller in a map with more cells, and larger in a map of a smaller part of the image;
    so each map is multiplied by its number of cells and divided by its area.

    Parameters
    ----------
    maps : float tensors of shape (n_chosen, h, w), one for each network
    boxes : left, top, right and bottom of each map, as fractions of the image
    """
    if len(maps) == 1:
        return maps[0], boxes[0]
    left, top = (min(box[side] for box in boxes) for side in (0, 1))
    right, bottom = (max(box[side] for box in boxes) for side in (2, 3))
    total = torch.zeros(len(maps[0]), _GRID, _GRID)
    for values, box in zip(maps, boxes, strict=True):
        x0, x1 = (round((box[side] - left) / (right - left) * _GRID) for side in (0, 2))
        y0, y1 = (round((box[side] - top) / (bottom - top) * _GRID) for side in (1, 3))
        places = values.shape[-2] * values.shape[-1]
        area = (box[2] - box[0]) * (box[3] - box[1])
        size = (max(y1 - y0, 1), max(x1 - x0, 1))
        fine = nn.functional.interpolate(values[None], size=size, mode="bilinear")[0]
        total[:, y0 : y0 + size[0], x0 : x0 + size[1]] += fine * places / area
    return total, (left, top, right, bottom)


def crop_box(height: int, width: int, resize: int, crop: int) -> Box:
    """Return the network's input as left, top, right, bottom, in fractions of the image.

    The short side is resized to ``resize`` and cropped to its central square of side ``crop``.
    """
    side = min(height, width) * min(crop / resize, 1.0)  # in the image's own pixels
    left, top = (1 - side / width) / 2, (1 - side / height) / 2
    return left, top, 1 - left, 1 - top


def input_box(height: int, width: int, steps: Preprocessing) -> Box:
    """Return the part that the network sees: left, top, right, bottom as fractions of the image."""
    if steps.whole:
        return 0.0, 0.0, 1.0, 1.0
    return crop_box(height, width, steps.resize, steps.crop)
