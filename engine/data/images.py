"""Decodes images to upright RGB tensors; each image that cannot be used gets a reason."""

from __future__ import annotations

import math
from contextlib import ExitStack, suppress
from threading import Lock

import numpy as np
import torch
from PIL import Image

from engine.data.formats import Unreadable
from engine.data.headers import opened, orientation, reason_of
from engine.data.jpeg import scan_position
from engine.data.pixels import JPEGS, is_plain, reduced_size, rgb

try:
    import simplejpeg  # equal to Pillow to the bit, and faster
except ImportError:  # as where only PyTorch is installed
    simplejpeg = None

# torchvision's operator, called without its Python wrapper, which warns at every call (0.29).
# torchvision's PNG decoder is not used: one changed byte can abort the process (0.29.2).
_RGB = 3
_LARGE = 25_000_000  # pixels; larger images are decoded one at a time: 100 million need 600 MB
_one_large = Lock()

_END = b"\xff\xd9"  # a JPEG's last marker

# By orientation: whether to transpose, and which dimensions to flip afterwards.
_TURNS: dict[int, tuple[bool, list[int]]] = {
    2: (False, [2]),
    3: (False, [1, 2]),
    4: (False, [1]),
    5: (True, []),
    6: (True, [2]),
    7: (True, [1, 2]),
    8: (True, [1]),
}


def decode(content: bytes, short: int | None = None) -> torch.Tensor:
    """Decode an image to an upright RGB tensor, uint8 of shape (3, height, width).

    The result is what a browser shows on white, see :func:`engine.data.pixels.rgb`. A JPEG in sRGB
    is decoded by torchvision, or by simplejpeg at a fraction of its size, which are faster; all
    other images by Pillow.

    Parameters
    ----------
    short
        The fewest pixels that the short side needs. A large JPEG is then decoded at 1/2, 1/4 or 1/8
        of its size where that divides both sides; libjpeg computes only what is needed.

    Raises
    ------
    Unreadable
        If the image cannot be decoded; only decoding finds all kinds of damage.
    """
    with opened(content) as image, ExitStack() as stack:
        turn = orientation(image)
        if math.prod(image.size) > _LARGE:
            stack.enter_context(_one_large)
        try:
            if image.format in JPEGS:
                _check_end(content)
                pixels = _decode_jpeg(content, image, reduced_size(image, short))
            else:
                pixels = _decode_by_pillow(image)
        except Unreadable:
            raise
        except Exception as error:  # decoders raise many kinds of errors on damaged pixels
            raise Unreadable(reason_of(error)) from error
        width, height = image.size
        if tuple(pixels.shape) != (3, height, width):
            raise Unreadable("its pixels do not match the size in its header")
        return _turned(pixels, turn)


def _check_end(content: bytes) -> None:
    # The end marker cannot occur inside a scan, and a truncated file ends in a scan.
    if content.rfind(_END, scan_position(content)) < 0:  # from the end, where it usually is
        raise Unreadable("the JPEG is cut short: its end marker is missing")


def _decode_jpeg(content: bytes, image: Image.Image, size: tuple[int, int]) -> torch.Tensor:
    """Decode a JPEG at ``size``, its own or a fraction, which Pillow's image then has, too."""
    plain = is_plain(image)
    if plain and size == image.size:
        return _decode_whole(content)
    if size != image.size:
        image.draft(None, size)
        if plain and simplejpeg is not None:
            with suppress(ValueError):  # damaged; Pillow decides whether it can be shown
                width, height = size
                reduced = simplejpeg.decode_jpeg(content, "RGB", min_height=height, min_width=width)
                return torch.from_numpy(reduced).permute(2, 0, 1)
    return _decode_by_pillow(image)


def _decode_by_pillow(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(rgb(image))).permute(2, 0, 1)


def _decode_whole(content: bytes) -> torch.Tensor:
    import engine.light_torchvision  # noqa: F401  loads torch.ops.image, imported only if needed

    buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    pixels: torch.Tensor = torch.ops.image.decode_jpeg(buffer, _RGB, False)
    return pixels


def _turned(pixels: torch.Tensor, orientation: int) -> torch.Tensor:
    if orientation not in _TURNS:
        return pixels
    swapped, flipped = _TURNS[orientation]
    return (pixels.transpose(1, 2) if swapped else pixels).flip(flipped).contiguous()
