"""Bytes to upright RGB uint8; every refusal carries its reason."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Lock

import numpy as np
import torch

from engine.data.formats import Unreadable
from engine.data.headers import opened, orientation, reason_of
from engine.data.pixels import JPEGS, is_plain, rgb

# torchvision's decoder, as its Python wrapper calls it: that one warns at every call since 0.29.
# Its PNG decoder is left alone: one changed byte in a file can end the whole process (0.29.2).
_RGB = 3
_LARGE = 25_000_000  # pixels; of larger images one at a time, 100 million take 300 MB twice
_one_large = Lock()

_SCAN, _END = b"\xff\xda", b"\xff\xd9"  # JPEG markers

# Orientation: whether rows and columns change places, and which dimensions are then flipped.
_TURNS: dict[int, tuple[bool, list[int]]] = {
    2: (False, [2]),
    3: (False, [1, 2]),
    4: (False, [1]),
    5: (True, []),
    6: (True, [2]),
    7: (True, [1, 2]),
    8: (True, [1]),
}


def decode(content: bytes) -> torch.Tensor:
    """Decode an image to an upright RGB tensor, uint8 of shape (3, height, width).

    It is what a browser shows on white: see :func:`engine.data.pixels.rgb`. A JPEG whose colours
    are sRGB already is decoded by torchvision, which is faster, the rest by Pillow.

    Raises
    ------
    Unreadable
        When anything about the content is wrong: decoding is the only proof that it is good.
    """
    with opened(content) as image, ExitStack() as stack:
        (width, height), turn = image.size, orientation(image)
        if width * height > _LARGE:
            stack.enter_context(_one_large)
        try:
            if image.format in JPEGS:
                _check_end(content)
            if is_plain(image):
                pixels = _decode_jpeg(content)
            else:
                pixels = torch.from_numpy(np.array(rgb(image))).permute(2, 0, 1)
        except Unreadable:
            raise
        except Exception as error:  # decoders raise whatever damaged pixels provoke
            raise Unreadable(reason_of(error)) from error
        if tuple(pixels.shape) != (3, height, width):
            raise Unreadable("its pixels do not match the size in its header")
        return _turned(pixels, turn)


def _check_end(content: bytes) -> None:
    # The end marker cannot occur inside a scan; a file cut short ends in a scan.
    if content.rfind(_END, _scan(content)) < 0:  # from the end, where it is as a rule
        raise Unreadable("the JPEG is cut short: its end marker is missing")


def _decode_jpeg(content: bytes) -> torch.Tensor:
    import torchvision.io  # noqa: F401  loads torch.ops.image, in a second that a cache hit saves

    buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    pixels: torch.Tensor = torch.ops.image.decode_jpeg(buffer, _RGB, False)
    return pixels


def _scan(content: bytes) -> int:
    """Return where the scan of a JPEG begins, found by walking from segment to segment.

    Only so: its two bytes may occur in an EXIF thumbnail, or in a film that a phone appended.
    """
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at : at + 2]
        if marker == _SCAN:
            return at
        # After padding comes the next byte, after a segment its own length.
        padding = content[at + 1] == 0xFF
        at += 1 if padding else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return max(0, content.rfind(_SCAN))  # bytes between segments, which decoders forgive


def _turned(pixels: torch.Tensor, orientation: int) -> torch.Tensor:
    if orientation not in _TURNS:
        return pixels
    swapped, flipped = _TURNS[orientation]
    return (pixels.transpose(1, 2) if swapped else pixels).flip(flipped).contiguous()
