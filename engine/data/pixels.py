"""A Pillow image as upright 8-bit RGB, by one rule for training, scoring and thumbnails."""

from __future__ import annotations

import numpy as np
from PIL import Image

from engine.data.headers import Unreadable

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def rgb(image: Image.Image) -> Image.Image:
    """Return the first frame as 8-bit RGB; 16 bits are scaled, alpha is dropped.

    Raises
    ------
    Unreadable
        When pixels are floating-point numbers or have more than 16 bits.
    """
    if image.mode.startswith("F"):
        raise Unreadable("pixels are floating-point numbers; save the image with 8 or 16 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int32)  # (height, width)
        if values.min() < 0 or values.max() > 65535:
            raise Unreadable("pixels have more than 16 bits; save the image with 8 or 16")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    # By way of RGBA, because Pillow warns about a palette with alpha on the direct way.
    return (image.convert("RGBA") if image.mode == "P" else image).convert("RGB")


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return the image upright, given its EXIF orientation."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
