"""Converts colours to sRGB with an image's colour profile."""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from engine.data.formats import Unreadable

_SPACES = {
    "RGB ": "RGB",
    "CMYK": "CMYK",
    "GRAY": "L",
}  # colour space of a profile, and Pillow's mode
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_UNSEEN = 1  # largest difference in levels that counts as no change

Curve = float | tuple[float, ...]  # a gamma, or the five numbers of an ICC curve of type 3
Point = tuple[float, float]
D65: Point = (0.3127, 0.329)
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_FILM_CURVE = 2.4  # used by browsers instead of BT.709's curve
SRGB_PRIMARIES: tuple[Point, ...] = ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
_PRIMARIES: dict[int, tuple[Point, ...]] = {  # by their codes in ITU-T H.273
    1: SRGB_PRIMARIES,
    5: ((0.64, 0.33), (0.29, 0.6), (0.15, 0.06)),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
}
_CURVES: dict[int, Curve] = {
    1: _FILM_CURVE, 4: 2.2, 5: 2.8, 6: _FILM_CURVE, 8: 1.0, 13: SRGB_CURVE, 14: _FILM_CURVE,
    15: _FILM_CURVE,
}  # fmt: skip
_HDR = (16, 18)  # PQ and HLG


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an image of mode L, RGB or CMYK to sRGB; a damaged profile is ignored.

    Parameters
    ----------
    profile : the ICC profile of its colours, None for sRGB
    """
    transform = _transform(profile, image.mode) if profile else None
    if (
        transform is None and profile and image.mode == "L"
    ):  # browsers use RGB profiles for grey, too
        image = image.convert("RGB")
        transform = _transform(profile, "RGB")
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


def changes_colours(profile: bytes | None, mode: str) -> bool:
    """Return whether the profile changes the colours of an image of this mode."""
    modes = ("L", "RGB") if mode == "L" else (mode,)
    return profile is not None and any(_transform(profile, each) is not None for each in modes)


def coded_profile(primaries: int, transfer: int) -> bytes | None:
    """Return the profile for the colour codes of a PNG or AVIF, or None for unknown codes.

    Raises
    ------
    Unreadable
        If the colours are HDR, because their appearance depends on the screen.

    References
    ----------
    ITU-T H.273, tables 2 and 3.
    """
    if transfer in _HDR:
        raise Unreadable("its colours are HDR, which is not supported; save it in sRGB with 8 bits")
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        return None
    return matrix_profile(D65, _PRIMARIES[primaries], _CURVES[transfer])


def matrix_profile(white: Point, primaries: tuple[Point, ...], curve: Curve) -> bytes:
    """Return an ICC profile for three primaries and one curve.

    Parameters
    ----------
    white, primaries : (x, y) of white, and of red, green and blue
    curve : gamma, or the numbers g, a, b, c, d of ICC's parametric curve of type 3

    References
    ----------
    ICC.1:2010, 10.15 and annex E (Bradford adaptation to D50).
    """
    colours = np.array([_xyz(*each) for each in primaries]).T  # columns: red, green, blue
    there = _xyz(*white)
    matrix = colours * np.linalg.solve(colours, there)
    ratio = (_BRADFORD @ _D50) / (_BRADFORD @ there)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD @ matrix
    if isinstance(curve, tuple):
        drawn = b"para\0\0\0\0\0\3\0\0" + b"".join(map(_fixed, curve))
    else:
        drawn = b"para\0\0\0\0\0\0\0\0" + _fixed(curve)
    name = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2, 28) + b"\0m"
    tags = {b"desc": name, b"cprt": name, b"wtpt": b"XYZ \0\0\0\0" + b"".join(map(_fixed, _D50))}
    for letter, column in zip(b"rgb", adapted.T, strict=True):
        tags[bytes([letter]) + b"XYZ"] = b"XYZ \0\0\0\0" + b"".join(map(_fixed, column))
        tags[bytes([letter]) + b"TRC"] = drawn
    return _file(tags)


def _xyz(x: float, y: float) -> np.ndarray:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _file(tags: dict[bytes, bytes]) -> bytes:
    """Return an ICC file (version 4) for an RGB display with illuminant D50."""
    start = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    header = struct.pack(">I4sI", start + len(data), b"\0\0\0\0", 0x04300000)
    header += b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    header += b"".join(map(_fixed, _D50)) + bytes(48)
    return header + table + data


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> Any | None:
    """Return the transformation to sRGB, or None if there is none or its effect is invisible."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _SPACES.get(opened.profile.xcolor_space) != mode:
            return None
        made = ImageCms.buildTransform(
            opened, ImageCms.createProfile("sRGB"), mode, "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # For grey levels the optimised transformation errs by up to 10 levels in the shadows.
            ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags(0),
        )  # fmt: skip
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode == "CMYK":
        return made
    known = _samples(mode)
    shown = ImageCms.applyTransform(known, made)
    assert shown is not None
    apart = np.abs(np.asarray(shown).astype(int) - np.asarray(known.convert("RGB")))
    return made if apart.max() > _UNSEEN else None


def _samples(mode: str) -> Image.Image:
    """Return an image of all grey levels, or of 17 × 17 × 17 colours."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    return Image.fromarray(grid.reshape(17, -1, 3))
