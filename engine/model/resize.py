"""Resizes and crops an image to a square, bit by bit like torchvision but faster.

torchvision resizes the whole image and then crops. This module resizes only the part of which
the crop is made; on photographs that saves an eighth of the time. On processors without AVX2
torchvision computes in float32, and a value may differ by one.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import interpolate

from engine.data.images import LONGEST

Sides = tuple[float, float]


def square(
    pixels: torch.Tensor, short: int, crop: int, interpolation: str, sides: Sides | None = None
) -> torch.Tensor:
    """Return the centre of an image after resizing its short side to ``short`` pixels.

    Parameters
    ----------
    pixels : uint8 (3, H, W)
    crop : side of the square, at most ``short``
    interpolation : "bilinear" or "bicubic"
    sides : height and width of the image, where its last pixels reach beyond it

    Returns
    -------
    uint8 (3, crop, crop)
    """
    # Enlarge only the middle of a strip; enlarging all of it could exhaust the memory.
    reach = LONGEST * min(pixels.shape[1:])
    pixels = _centre(pixels, min(reach, pixels.shape[1]), min(reach, pixels.shape[2]))
    old = height, width = sides or pixels.shape[1:]
    new = [int(short * side / min(old)) for side in old]
    if new == [height, width]:
        return _centre(pixels, crop, crop)
    top, left = (_margin(side, crop) for side in new)
    rows, columns = _needed(height, new[0], top + crop), _needed(width, new[1], left + crop)
    small = interpolate(
        _one_batch(pixels[:, :rows, :columns]),
        scale_factor=(_scale(height, new[0]), _scale(width, new[1])),
        mode=interpolation,
        align_corners=False,
        antialias=True,
        recompute_scale_factor=False,
    )[0]
    return small[:, top : top + crop, left : left + crop]


def squeezed(
    pixels: torch.Tensor, side: int, interpolation: str, sides: Sides | None = None
) -> torch.Tensor:
    """Return the whole image (3, H, W) as a square, uint8 (3, side, side).

    Parameters
    ----------
    pixels : uint8 tensor of shape (3, H, W)
    interpolation : "bilinear" or "bicubic"
    sides : height and width of the image, where its last pixels reach beyond it
    """
    if sides is not None:
        small = interpolate(
            _one_batch(pixels), scale_factor=tuple(_scale(old, side) for old in sides),
            mode=interpolation, align_corners=False, antialias=True, recompute_scale_factor=False,
        )[0]  # fmt: skip
        return small[:, :side, :side]
    if pixels.shape[1:] == (side, side):
        return pixels
    return interpolate(
        _one_batch(pixels), size=(side, side), mode=interpolation, align_corners=False,
        antialias=True,
    )[0]  # fmt: skip


def _margin(side: int, crop: int) -> int:
    return round((side - crop) / 2)


def _centre(pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
    top, left = _margin(pixels.shape[1], height), _margin(pixels.shape[2], width)
    return pixels[:, top : top + height, left : left + width]


def _needed(old: float, new: int, end: int) -> int:
    """Return how many of ``old`` rows affect the first ``end`` rows after resizing to ``new``."""
    whole = math.ceil(old)
    kept = min(
        whole, math.ceil((end + 2) * old / new) + 2
    )  # a bicubic filter uses 2 rows on each side
    return whole if kept * new // old == kept else kept  # equal sizes would not be resized


def _scale(old: float, new: int) -> float:
    """Return the scale factor, rounded so that torch gives ``new`` rows, not ``new - 1``."""
    scale = new / old
    return scale if int(old * scale) == new else math.nextafter(scale, math.inf)


def _one_batch(pixels: torch.Tensor) -> torch.Tensor:
    """Return (1, 3, H, W) for torch's resize, whose result has the memory layout of its input.

    The strides define the layout, so they must be unambiguous for a batch of one.
    """
    if pixels.stride(0) != 1:
        return pixels[None]
    # Channels last, like the decoders' output. A torch copy would start threads.
    packed = torch.from_numpy(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    height, width, _ = packed.shape
    return packed.as_strided((1, 3, height, width), (packed.numel(), 1, width * 3, 3))
