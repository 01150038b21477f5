"""Makes small upright JPEGs by Pillow, cached by the image's checksum."""

from __future__ import annotations

import hashlib
import io
from contextlib import suppress
from pathlib import Path

from PIL import Image, ImageOps

from engine.data.decode_turns import decode_turn, read_turn
from engine.data.formats import Unreadable
from engine.data.headers import opened, orientation, reason_of
from engine.data.pixels import rgb, turned
from engine.errors import UserError
from engine.runs.caches import decoded_cache
from engine.runs.files import write_atomic
from engine.runs.images_table import is_checksum
from engine.runs.opening import read_file

SHORT_SIDE, LARGE_SIDE = 224, 900  # of a thumbnail, and of an image shown large


def thumbnail(path: Path, sha256: str) -> bytes:
    """Return the thumbnail of an image as JPEG bytes, from the cache or made now.

    Parameters
    ----------
    path
        The image; read only if its thumbnail is not in the cache.
    sha256
        The image's checksum, the key of the cache.

    Raises
    ------
    Unreadable
        When the image is missing or cannot be decoded.
    """
    if not is_checksum(sha256):
        raise Unreadable("the run has no valid checksum for it")
    kept = decoded_cache("thumbnails") / sha256[:2] / f"{sha256}.jpg"
    with suppress(OSError):
        return read_file(kept)
    with read_turn(path):
        try:
            content = read_file(path)
        except OSError as error:
            raise Unreadable(f"cannot be read ({error.strerror})") from error
        small = make_thumbnail(content, SHORT_SIDE)
    if hashlib.sha256(content).hexdigest() == sha256:  # else it was changed since
        with suppress(UserError):  # a full disk costs time, not the image
            write_atomic(kept, small)
    return small


def make_thumbnail(content: bytes, short_side: int) -> bytes:
    """Shrink an image to ``short_side`` pixels (never enlarge), upright, as JPEG bytes.

    Raises
    ------
    Unreadable
        When the image cannot be decoded.
    """
    try:
        with opened(content) as image:
            turn = orientation(image)
            image.draft("RGB", (short_side, short_side))  # decode no finer than needed
            with decode_turn(image.width * image.height):
                upright = turned(rgb(image), turn)
                shown = thumbnail_size(upright.size, short_side)
                small = ImageOps.fit(upright, shown, Image.Resampling.BILINEAR)
            out = io.BytesIO()
            small.save(out, "JPEG", quality=82)
            return out.getvalue()
    except Unreadable:
        raise
    except Exception as error:  # Pillow's plug-ins raise whatever damaged pixels provoke
        raise Unreadable(reason_of(error)) from error


def thumbnail_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Return width and height of the thumbnail of an upright image of this size.

    A very long strip is cut in the middle, so that its thumbnail stays small.
    """
    scale = min(1.0, short_side / min(size))
    width, height = (min(4 * short_side, max(1, round(side * scale))) for side in size)
    return width, height
