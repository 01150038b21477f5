"""What an image's headers say: upright size, orientation, colours. Pillow only, no pixels."""

from __future__ import annotations

import io
import re
import struct
import warnings
from pathlib import PurePosixPath

from PIL import Image, UnidentifiedImageError

from engine.data.formats import SUFFIXES, Unreadable, sniff
from engine.data.png import essential
from engine.data.profiles import coded_profile
from engine.data.tiff import levels_of

MAX_PIXELS = 100_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
_ANIMATED = ("GIF", "WEBP", "TIFF", "PNG", "AVIF")
_ORIENTATION, _SHORT = 0x0112, 3
_CODED, _BOXES = b"colrnclx", 65_536  # where an AVIF's colours are named by numbers
_SRGB, _FILM = 13, (1, 2, 6, 14, 15)
_ADDRESS = re.compile(r" ?<[^>]* at 0x[0-9a-f]+>")
_TURNED = ("JPEG", "MPO", "PNG", "AVIF")  # by EXIF; browsers do not turn WebP, Pillow turns TIFF


def note_of(content: bytes, name: str) -> str:
    """Say what is unusual about a good image: another format than its name's, or an animation.

    Raises
    ------
    Unreadable
        As :func:`upright_size`.
    """
    kind = sniff(content)
    notes = []
    if kind in _ANIMATED:
        with opened(content) as image:
            if _frames(image) > 1:
                notes.append("of its frames the first is taken")
    expected = SUFFIXES.get(PurePosixPath(name).suffix.lower(), kind)
    if expected != kind:
        notes.append(f"its content is {kind}, its name says {expected}")
    return "; ".join(notes)


def upright_size(content: bytes) -> tuple[int, int]:
    """Return (width, height) in pixels, after EXIF orientation, from the header alone.

    Raises
    ------
    Unreadable
        When the content is no image, its header is damaged, or it has above 100 megapixels.
    """
    with opened(content) as image:
        width, height = image.size
        turned = orientation(image) in (5, 6, 7, 8)
    return (height, width) if turned else (width, height)


def opened(content: bytes) -> Image.Image:
    """Open an image by its content, with its pixels not yet decoded.

    Its ``info`` holds what browsers heed: ``icc_profile``, ``exif``, ``transparency``; and of a
    TIFF with grey levels of more than 8 bits ``levels``: the highest, and whether it is black.

    Raises
    ------
    Unreadable
        As :func:`upright_size`, and when grey levels may be negative or have above 16 bits.
    """
    kind = sniff(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = {"PNG": _png, "TIFF": _tiff, "AVIF": _avif}.get(kind, _plain)(content, kind)
    except Image.DecompressionBombError as error:
        raise Unreadable("above 100 megapixels") from error
    except Unreadable:
        raise
    except Exception as error:  # Pillow's plug-ins raise whatever a damaged header provokes
        raise Unreadable(reason_of(error)) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Unreadable(f"above 100 megapixels ({width:,} × {height:,})")
    return image


def orientation(image: Image.Image) -> int:
    """Return the orientation its pixels still need, 1 (upright) to 8; 1 where EXIF is broken."""
    exif = image.info.get("exif")
    if image.format not in _TURNED or not isinstance(exif, bytes):
        return 1
    try:
        return _orientation_in(exif.removeprefix(b"Exif\0\0"))
    except struct.error:  # a broken block says nothing about the pixels
        return 1


def reason_of(error: Exception) -> str:
    """Put a decoder's complaint into one short line."""
    if isinstance(error, UnidentifiedImageError):  # its text is an address in memory
        return "cannot be decoded (its header is damaged, or of a rare kind; save it as PNG)"
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"cannot be decoded ({_ADDRESS.sub('', first)[:120]})"


def _plain(content: bytes, kind: str) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=[kind])


def _png(content: bytes, kind: str) -> Image.Image:
    png = essential(content)
    image = _plain(png.content, kind)
    found = {"transparency": png.transparent, "icc_profile": png.profile, "exif": png.exif}
    image.info |= {name: value for name, value in found.items() if value is not None}
    return image


def _tiff(content: bytes, kind: str) -> Image.Image:
    tiff = levels_of(content)
    image = _plain(tiff.content, kind)
    image.info.pop("xmp", None)  # from which Pillow would take an orientation
    if image.mode.startswith("I"):
        if tiff.signed or tiff.bits > 16:
            raise Unreadable("pixels have more than 16 bits or a sign; save the image with 8 or 16")
        image.info["levels"] = (2**tiff.bits - 1, tiff.inverted)
    return image


def _avif(content: bytes, kind: str) -> Image.Image:
    image = _plain(content, kind)
    at = content.find(_CODED, 0, _BOXES)
    if at >= 0 and "icc_profile" not in image.info:
        primaries, transfer = struct.unpack_from(">HH", content, at + len(_CODED))
        # Of films' curves and of none browsers make sRGB's here, other than in a PNG.
        transfer = _SRGB if transfer in _FILM else transfer
        if profile := coded_profile(primaries, transfer):
            image.info["icc_profile"] = profile
    return image


def _orientation_in(exif: bytes) -> int:
    """Look it up in the first directory, as browsers do: one short integer, 1 to 8."""
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
    except Exception:  # damage behind the first frame says nothing about that one
        return 1
