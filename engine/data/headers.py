"""What an image's first bytes say: format and upright size. Pillow only, pixels untouched."""

from __future__ import annotations

import io
import warnings
from pathlib import PurePosixPath

from PIL import Image

MAX_PIXELS = 100_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
_ANIMATED = ("GIF", "WEBP", "TIFF", "PNG")
_KINDS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP",
    ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip


class Unreadable(Exception):
    """An image that cannot be used; the message is the reason, without the file's name."""


def sniff(content: bytes) -> str:
    """Tell the format from the first bytes: JPEG, PNG, WEBP, GIF, BMP or TIFF.

    Raises
    ------
    Unreadable
        When the content is empty or of no format that is read.
    """
    if not content:
        raise Unreadable("the file is empty")
    head = content[:12]
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[:2] == b"BM":
        return "BMP"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    raise Unreadable("not an image: its content is no JPEG, PNG, WebP, GIF, BMP or TIFF")


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
    expected = _KINDS.get(PurePosixPath(name).suffix.lower(), kind)
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

    Raises
    ------
    Unreadable
        As :func:`upright_size`.
    """
    kind = sniff(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=[kind])
    except Image.DecompressionBombError as error:
        raise Unreadable("above 100 megapixels") from error
    except Exception as error:  # Pillow's plug-ins raise whatever a damaged header provokes
        raise Unreadable(reason_of(error)) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Unreadable(f"above 100 megapixels ({width:,} × {height:,})")
    return image


def orientation(image: Image.Image) -> int:
    """Return the orientation its pixels still need, 1 (upright) to 8; 1 where EXIF is broken."""
    if image.format == "TIFF":  # which Pillow turns by itself
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(image.getexif().get(0x0112, 1))
    except Exception:  # a broken EXIF block says nothing about the pixels
        return 1


def _frames(image: Image.Image) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(getattr(image, "n_frames", 1))
    except Exception:  # damage behind the first frame says nothing about that one
        return 1


def reason_of(error: Exception) -> str:
    """Put a decoder's complaint into one short line."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"cannot be decoded ({first[:120]})"
