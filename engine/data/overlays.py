"""Draws a heat map as a transparent image that covers the image it explains."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from engine.data.thumbnails import LARGE_SIDE, make_thumbnail, thumbnail_size

_LONG_SIDE = 640
_OUTSIDE = (10, 8, 14, 130)  # dims the area outside the network's input
_OUTLINE = (255, 255, 255, 210)
_RAMP = np.array(  # from cold to hot: red, green, blue, opacity
    [
        [59, 15, 112, 0],
        [140, 41, 129, 110],
        [222, 73, 104, 160],
        [254, 159, 109, 190],
        [252, 253, 191, 205],
    ],
    dtype=np.float64,
)


def overlay(
    heat: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]
) -> bytes:
    """Draw a heat map at its position in the image; the area outside the network's input is dimmed.

    Parameters
    ----------
    heat : float array of shape (h, w), at least 0; its maximum gets the hottest colour
    size : width and height of the upright image
    box : left, top, right and bottom of the network's input, as fractions of the image

    Returns
    -------
    bytes
        A PNG with transparency, with the aspect ratio of the enlarged image.
    """
    shown = thumbnail_size(size, LARGE_SIDE)
    scale = min(1.0, LARGE_SIDE / min(size))
    # A long strip is shown cropped to its middle: convert fractions of the whole to the crop.
    cut = [side * scale / out for side, out in zip(size, shown, strict=True)]
    left, top, right, bottom = (
        0.5 + (share - 0.5) * cut[axis % 2] for axis, share in enumerate(box)
    )
    factor = min(1.0, _LONG_SIDE / max(shown))
    width, height = (max(1, round(side * factor)) for side in shown)
    x0, y0 = round(left * width), round(top * height)
    x1, y1 = max(x0 + 1, round(right * width)), max(y0 + 1, round(bottom * height))
    canvas = Image.new("RGBA", (width, height), _OUTSIDE)
    canvas.paste(_coloured(heat, (x1 - x0, y1 - y0)), (x0, y0))
    ImageDraw.Draw(canvas).rectangle((x0, y0, x1 - 1, y1 - 1), outline=_OUTLINE)
    out = io.BytesIO()
    canvas.save(out, "PNG", optimize=False, compress_level=6)
    return out.getvalue()


def laid_over(content: bytes, drawn: bytes) -> bytes:
    """Return an image with an overlay on top, as PNG.

    Raises
    ------
    Unreadable
        If the image cannot be decoded.
    """
    with Image.open(io.BytesIO(make_thumbnail(content, LARGE_SIDE))) as image:
        base = image.convert("RGBA")
    with Image.open(io.BytesIO(drawn)) as heat:
        base.alpha_composite(heat.convert("RGBA").resize(base.size, Image.Resampling.BILINEAR))
    out = io.BytesIO()
    base.convert("RGB").save(out, "PNG")
    return out.getvalue()


def _coloured(heat: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Enlarge a map smoothly and return it coloured, as RGBA."""
    hottest = float(heat.max())
    scaled = (heat / hottest if hottest > 0 else heat).astype(np.float32)
    large = Image.fromarray(scaled).resize(size, Image.Resampling.BICUBIC)
    at = np.clip(np.asarray(large), 0, 1) * (len(_RAMP) - 1)
    steps = np.arange(len(_RAMP))
    pixels = np.stack([np.interp(at, steps, channel) for channel in _RAMP.T], axis=-1)
    return Image.fromarray(pixels.round().astype(np.uint8))
