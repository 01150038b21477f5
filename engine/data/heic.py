"""Opens HEIC images by the optional package pillow-heif."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image

from engine.data.formats import Unreadable


def opened_heic(content: bytes) -> tuple[Image.Image, tuple[int, int] | None]:
    """Open an image without decoding it; also return its codes of primaries and curve, or None.

    Raises
    ------
    Unreadable
        Where pillow-heif is not installed.
    """
    if not _registered():
        raise Unreadable(
            "HEIC needs the package pillow-heif; install second-look[heic], or save the image as "
            "PNG or JPEG"
        )
    image = Image.open(io.BytesIO(content), formats=["HEIF"])
    codes = image.info.get("nclx_profile")
    if not isinstance(codes, dict) or "icc_profile" in image.info:
        return image, None
    return image, (int(codes["color_primaries"]), int(codes["transfer_characteristics"]))


@cache
def _registered() -> bool:
    """Let Pillow open HEIC, and return whether that is possible."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False)
    return True
