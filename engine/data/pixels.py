"""Converts a Pillow image to 8-bit sRGB on white, for the network, the gallery and heat maps."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import Blend

from engine.data.formats import Unreadable
from engine.data.profiles import changes_colours, to_srgb

JPEGS = ("JPEG", "MPO")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MEGAPIXEL = 1_000_000
_WITH_ALPHA = {
    "La": "LA",
    "RGBa": "RGBA",
    "PA": "RGBA",
}  # premultiplied or palette modes with alpha


def rgb(image: Image.Image) -> Image.Image:
    """Return the first frame as a browser shows it on white, as 8-bit RGB, without rotation.

    16 bits are scaled, transparency becomes white, and the profile converts colours to sRGB.

    Raises
    ------
    Unreadable
        If pixels are floating-point numbers.
    """
    frame = _first_frame(image)
    profile = image.info.get("icc_profile")
    image.load()
    image, alpha = _without_alpha(_eight_bits(image))
    colours = to_srgb(image, profile)
    if alpha is None and frame is None:
        return colours
    if alpha is None:
        alpha = Image.new("L", image.size, 255)
    if frame is not None:  # the rest of the canvas is transparent
        alpha.paste(0, (0, 0, *image.size), _outside(frame, image.size))
    shown = Image.new("RGB", image.size, "white")
    shown.paste(colours, mask=alpha)
    return shown


def _first_frame(image: Image.Image) -> tuple[int, int, int, int] | None:
    """Go to the first frame that browsers show; return its place on the canvas.

    None means all of the canvas; the rest is transparent. The static image of an animated PNG is
    not shown, not even through the transparency of the first frame.
    """
    static = bool(image.info.get("default_image"))
    if static:
        image.seek(1)
        image.blend_op = Blend.OP_SOURCE  # type: ignore[attr-defined]
    tile = getattr(image, "tile", ())
    box = tile[0][1] if tile and (static or image.format == "GIF") else None
    return None if box is None or box == (0, 0, *image.size) else box


def is_plain(image: Image.Image) -> bool:
    """Return whether the image is a JPEG in sRGB, according to its headers."""
    if image.format not in JPEGS or image.mode not in ("L", "RGB"):
        return False
    return not changes_colours(image.info.get("icc_profile"), image.mode)


def reduction(image: Image.Image, short: int, *, exact: bool) -> int:
    """Return by what to divide the sides of a JPEG when it is decoded: 8, 4, 2, or 1 for whole.

    Its short side keeps at least ``short`` pixels. An image below a megapixel is decoded whole.

    Parameters
    ----------
    exact : whether it must divide both sides; otherwise the last pixels reach beyond the image
    """
    if image.width * image.height >= _MEGAPIXEL:
        for scale in (8, 4, 2):
            divides = all(side % scale == 0 for side in image.size)
            if (divides or not exact) and min(image.size) >= scale * short:
                return scale
    return 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return the image upright, given its EXIF orientation."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey levels to 8 bits, with an alpha channel if one level means transparent."""
    if image.mode.startswith("F"):
        raise Unreadable("pixels are floating-point numbers; save the image with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    most, inverted = image.info.get("levels", (65535, False))
    values = np.asarray(image).astype(np.int32)  # (height, width)
    shown = most - values if inverted else values
    grey = Image.fromarray(((shown * 255 + most // 2) // most).astype(np.uint8))
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return grey


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours, in mode L, RGB or CMYK, and the alpha channel if there is one."""
    if image.mode == "P" or (image.mode in ("1", "L", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA" if image.mode in ("P", "RGB") else "LA")
    if image.mode in _WITH_ALPHA:
        image = image.convert(_WITH_ALPHA[image.mode])
    if image.mode in ("LA", "RGBA"):
        alpha = image.getchannel("A")
        whole = alpha.getextrema() == (255, 255)
        return image.convert(image.mode[:-1]), None if whole else alpha
    if image.mode == "LAB":
        return _from_lab(image), None
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return image, None


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted


def _outside(box: tuple[int, int, int, int], size: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", size, 255)
    mask.paste(0, box)
    return mask
