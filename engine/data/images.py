"""Decodes images to upright RGB tensors; each image that cannot be used gets a reason."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from PIL import Image

from engine.data.formats import Unreadable
from engine.data.headers import opened, orientation, reason_of
from engine.data.jpeg import scan_position
from engine.data.pixels import JPEGS, is_plain, reduction, rgb

try:
    import simplejpeg  # equal to Pillow to the bit, and faster
except ImportError:  # as where only PyTorch is installed
    simplejpeg = None

# torchvision's operator, called without its Python wrapper, which warns at every call (0.29).
# torchvision's PNG decoder is not used: one changed byte can abort the process (0.29.2).
_RGB = 3
LONGEST = 8  # largest ratio of the sides of an image that is resized whole
_LARGE = 25_000_000  # pixels; larger images are decoded one at a time: 100 million need 600 MB
_one_large: AbstractContextManager[object] = Lock()

_END = b"\xff\xd9"  # a JPEG's last marker

# By orientation: whether to transpose, and which dimensions to flip afterwards.
_TURNS: dict[int, tuple[bool, list[int]]] = {
    1: (False, []),
    2: (False, [2]),
    3: (False, [1, 2]),
    4: (False, [1]),
    5: (True, []),
    6: (True, [2]),
    7: (True, [1, 2]),
    8: (True, [1]),
}


@dataclass(frozen=True, eq=False)
class Reduced:
    """An upright image that may be decoded at a fraction of its size.

    Attributes
    ----------
    pixels : uint8 tensor of shape (3, height, width)
    sides : height and width of the image in these pixels, where the last ones reach beyond it;
        None where they are those of ``pixels``
    """

    pixels: torch.Tensor
    sides: tuple[float, float] | None = None


def decode(content: bytes) -> torch.Tensor:
    """Decode an image to an upright RGB tensor, uint8 of shape (3, height, width).

    The result is what a browser shows on white, see :func:`engine.data.pixels.rgb`. A JPEG in sRGB
    is decoded by torchvision, which is faster; all other images by Pillow.

    Raises
    ------
    Unreadable
        If the image cannot be decoded; only decoding finds all kinds of damage.
    """
    return decode_reduced(content, None).pixels


def decode_reduced(content: bytes, short: int | None) -> Reduced:
    """Decode an image as `decode` does, a large JPEG at 1/2, 1/4 or 1/8 of its size.

    libjpeg computes only what is needed. A JPEG in sRGB is decoded by simplejpeg then.

    Parameters
    ----------
    short : the fewest pixels that the short side needs

    Raises
    ------
    Unreadable
        If the image cannot be decoded; only decoding finds all kinds of damage.
    """
    with opened(content) as image, ExitStack() as stack:
        turn = orientation(image)
        if math.prod(image.size) > _LARGE:
            stack.enter_context(_one_large)
        whole, scale = image.size, _scale(image, turn, short)
        try:
            if image.format in JPEGS:
                _check_end(content)
                pixels = _decode_jpeg(content, image, scale)
            else:
                pixels = _decode_by_pillow(image)
        except Unreadable:
            raise
        except Exception as error:  # decoders raise many kinds of errors on damaged pixels
            raise Unreadable(reason_of(error)) from error
        width, height = image.size
        if tuple(pixels.shape) != (3, height, width):
            raise Unreadable("its pixels do not match the size in its header")
        pixels = _turned(pixels, turn)
        if all(side % scale == 0 for side in whole):
            return Reduced(pixels)
        width, height = whole if not _TURNS[turn][0] else whole[::-1]
        return Reduced(pixels, (height / scale, width / scale))


def _scale(image: Image.Image, turn: int, short: int | None) -> int:
    """Return by what to divide the sides of an image.

    Where the last pixels reach beyond the image, the resize begins at the first ones. So they must
    not become the first ones, nor may the image be a strip, of which only the middle is resized.
    """
    if short is None or image.format not in JPEGS:
        return 1
    strip = max(image.size) > LONGEST * min(image.size)
    return reduction(image, short, exact=strip or bool(_TURNS[turn][1]))


def take_turns_by(lock: AbstractContextManager[object]) -> None:
    """Decode large images one at a time among all processes that share this lock."""
    global _one_large
    _one_large = lock


def _check_end(content: bytes) -> None:
    # The end marker cannot occur inside a scan, and a truncated file ends in a scan.
    if content.rfind(_END, scan_position(content)) < 0:  # from the end, where it usually is
        raise Unreadable("the JPEG is cut short: its end marker is missing")


def _decode_jpeg(content: bytes, image: Image.Image, scale: int) -> torch.Tensor:
    """Decode a JPEG at its size divided by ``scale``, which Pillow's image then has, too."""
    plain = is_plain(image)
    if plain and scale == 1:
        return _decode_whole(content)
    if scale > 1:
        width, height = image.size
        image.draft(None, (width // scale, height // scale))
        if plain and simplejpeg is not None:
            least = {"min_height": -(-height // scale), "min_width": -(-width // scale)}
            with suppress(ValueError):  # damaged; Pillow decides whether it can be shown
                reduced = simplejpeg.decode_jpeg(content, "RGB", **least)
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
    swapped, flipped = _TURNS[orientation]
    if not swapped and not flipped:
        return pixels
    return (pixels.transpose(1, 2) if swapped else pixels).flip(flipped).contiguous()
