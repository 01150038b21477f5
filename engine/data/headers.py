"""Reads an image's header: upright size, orientation and colours, without decoding pixels."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings

from PIL import Image, UnidentifiedImageError

from engine.data.formats import SUFFIXES, Unreadable, sniff
from engine.data.heic import opened_heic
from engine.data.jpeg import ordinary_header
from engine.data.tiff import levels_of

MAX_PIXELS = 100_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
_ANIMATED = ("GIF", "WEBP", "TIFF", "PNG", "AVIF")
_ORIENTATION, _SHORT = 0x0112, 3
_CODED, _BOXES = (
    b"colrnclx",
    65_536,
)  # the AVIF box with the colour codes, and how far to search for it
_SRGB, _UNSPECIFIED, _FILM = 13, 2, (1, 2, 6, 14, 15)
_ADDRESS = re.compile(r" ?<[^>]* at 0x[0-9a-f]+>")
_TURNED = (
    "JPEG",
    "MPO",
    "PNG",
    "AVIF",
)  # formats rotated by EXIF; browsers do not rotate WebP, Pillow rotates TIFF


def note_of(content: bytes, name: str) -> str:
    """Return a remark on an unusual but usable image: a misleading file name or an animation.

    Raises
    ------
    Unreadable
        As for :func:`upright_size`.
    """
    kind = sniff(content)
    notes = []
    if kind in _ANIMATED:
        with opened(content) as image:
            if _frames(image) > 1:
                notes.append("only its first frame is used")
    expected = SUFFIXES.get(os.path.splitext(name)[1].lower(), kind)
    if expected != kind:
        notes.append(f"its content is {kind}, not {expected} as its name suggests")
    return "; ".join(notes)


def upright_size(content: bytes) -> tuple[int, int]:
    """Return (width, height) in pixels after EXIF orientation, from the header only.

    Raises
    ------
    Unreadable
        If the content is not an image, its header is damaged, or it exceeds 100 megapixels.
    """
    if (header := ordinary_header(content)) is not None:
        width, height, exif = header
        _check_pixels(width, height)
        turn = _orientation_of(exif)
    else:
        with opened(content) as image:
            (width, height), turn = image.size, orientation(image)
    return (height, width) if turn in (5, 6, 7, 8) else (width, height)


def opened(content: bytes) -> Image.Image:
    """Open an image by its content without decoding its pixels.

    ``info`` contains what browsers use: ``icc_profile``, ``exif``, ``transparency``; and for a
    TIFF with more than 8 bits of grey ``levels``: the highest level, and whether it is black.

    Raises
    ------
    Unreadable
        As for :func:`upright_size`, or if grey levels are signed or exceed 16 bits.
    """
    kind = sniff(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _OPENERS.get(kind, _plain)(content, kind)
    except Image.DecompressionBombError as error:
        raise Unreadable("above 100 megapixels") from error
    except Unreadable:
        raise
    except Exception as error:  # Pillow's plug-ins raise many kinds of errors on damaged headers
        raise Unreadable(reason_of(error)) from error
    _check_pixels(*image.size)
    return image


def orientation(image: Image.Image) -> int:
    """Return the orientation still to apply, 1 (upright) to 8; 1 if the EXIF block is damaged."""
    exif = image.info.get("exif")
    if image.format not in _TURNED or not isinstance(exif, bytes):
        return 1
    return _orientation_of(exif)


def reason_of(error: Exception) -> str:
    """Return a decoder's error as one short line."""
    if isinstance(error, UnidentifiedImageError):  # its text contains a memory address
        return "cannot be decoded (its header is damaged or unusual; save it as PNG)"
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"cannot be decoded ({_ADDRESS.sub('', first)[:120]})"


def _plain(content: bytes, kind: str) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=[kind])


def _png(content: bytes, kind: str) -> Image.Image:
    from engine.data.png import essential  # it imports numpy, which a JPEG does not need

    png = essential(content)
    image = _plain(png.content, kind)
    found = {"transparency": png.transparent, "icc_profile": png.profile, "exif": png.exif}
    image.info |= {name: value for name, value in found.items() if value is not None}
    return image


def _webp(content: bytes, kind: str) -> Image.Image:
    image = _plain(content, kind)
    if getattr(image, "n_frames", 1) > 1:  # of an animation browsers ignore the profile
        image.info.pop("icc_profile", None)
    return image


def _tiff(content: bytes, kind: str) -> Image.Image:
    tiff = levels_of(content)
    image = _plain(tiff.content, kind)
    image.info.pop("xmp", None)  # Pillow would use its orientation
    if image.mode.startswith("I"):
        if tiff.signed or tiff.bits > 16:
            raise Unreadable(
                "pixels have more than 16 bits or are signed; save it with 8 or 16 bits"
            )
        image.info["levels"] = (2**tiff.bits - 1, tiff.inverted)
    return image


def _avif(content: bytes, kind: str) -> Image.Image:
    image = _plain(content, kind)
    at = content.find(_CODED, 0, _BOXES)
    if at >= 0 and "icc_profile" not in image.info:
        _set_colours(image, *struct.unpack_from(">HH", content, at + len(_CODED)))
    return image


def _heic(content: bytes, kind: str) -> Image.Image:
    image, codes = opened_heic(content)
    if codes:
        _set_colours(image, *codes)
    return image


def _set_colours(image: Image.Image, primaries: int, transfer: int) -> None:
    """Give an AVIF or HEIC image the profile that its codes name."""
    from engine.data.profiles import coded_profile  # it imports numpy too

    # Browsers replace video and missing curves by sRGB here, unlike in a PNG.
    transfer = _SRGB if transfer in _FILM else transfer
    primaries = 1 if primaries == _UNSPECIFIED else primaries
    if profile := coded_profile(primaries, transfer):
        image.info["icc_profile"] = profile


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Unreadable(f"above 100 megapixels ({width:,} × {height:,})")


def _orientation_of(exif: bytes) -> int:
    try:
        return _orientation_in(exif.removeprefix(b"Exif\0\0"))
    except struct.error:  # a damaged block does not affect the pixels
        return 1


def _orientation_in(exif: bytes) -> int:
    """Return the orientation from the first EXIF directory, as browsers do: a short, 1 to 8."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    start = struct.unpack_from(order + "I", exif, 4)[0]
    for at in range(struct.unpack_from(order + "H", exif, start)[0]):
        tag, kind, count, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * at)
        if tag == _ORIENTATION:
            return int(value) if (kind, count) == (_SHORT, 1) and 1 <= value <= 8 else 1
    return 1


def _frames(image: Image.Image) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(getattr(image, "n_frames", 1))
    except Exception:  # damage after the first frame does not affect it
        return 1


_OPENERS = {"PNG": _png, "TIFF": _tiff, "AVIF": _avif, "WEBP": _webp, "HEIF": _heic}
