"""Removes the chunks of a PNG that do not affect its pixels, because they may be damaged."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from engine.data.profiles import D65, SRGB_PRIMARIES, coded_profile, matrix_profile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ANIMATED = (b"acTL", b"fcTL", b"fdAT")
_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", *_ANIMATED)
_COLOURS = (b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"eXIf")
_LARGEST_PROFILE = 16 * 2**20
_SRGB_GAMMA = 0.05  # a gamma this close to 1/2.2, without primaries, means sRGB
_GREY, _RGB = 0, 2  # colour types in the header


@dataclass(frozen=True)
class Png:
    """The relevant parts of a PNG.

    Attributes
    ----------
    content : the file without irrelevant chunks
    said : the first intact chunk of each kind about colours and orientation
    """

    content: bytes
    said: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def exif(self) -> bytes | None:
        """Return the EXIF block, or None."""
        return self.said.get(b"eXIf")

    @property
    def profile(self) -> bytes | None:
        """Return the ICC profile of the colours, or None for sRGB."""
        if len(code := self.said.get(b"cICP", b"")) == 4:
            if (profile := coded_profile(code[0], code[1])) is not None:
                return profile
        if b"iCCP" in self.said and (profile := _unpacked(self.said[b"iCCP"])):
            return profile
        return None if b"sRGB" in self.said else self._calibrated()

    def _calibrated(self) -> bytes | None:
        """Return the profile for gamma and primaries, as browsers use them."""
        gamma = int.from_bytes(self.said.get(b"gAMA", b"")[:4], "big") / 100_000
        points = self.said.get(b"cHRM", b"")
        if len(points) == 32 and gamma:
            x_y = [value / 100_000 for value in struct.unpack(">8I", points)]
            white, *primaries = zip(x_y[::2], x_y[1::2], strict=True)
            try:
                return matrix_profile(white, tuple(primaries), 1 / gamma)
            except (ArithmeticError, np.linalg.LinAlgError, struct.error):  # impossible colours
                return None
        if gamma and abs(gamma * 2.2 - 1) >= _SRGB_GAMMA:
            return matrix_profile(D65, SRGB_PRIMARIES, 1 / gamma)
        return None

    @property
    def transparent(self) -> int | tuple[int, int, int] | None:
        """Return the grey level or colour that means transparent, scaled like Pillow's values.

        None if there is none, or if the image has a palette.
        """
        depth, colours = self.content[24:26]
        key = self.said.get(b"tRNS", b"")
        if len(key) < {_GREY: 2, _RGB: 6}.get(colours, len(key) + 1):
            return None
        if colours == _GREY:
            return _level(key, depth, keep=True)
        return _level(key, depth), _level(key[2:], depth), _level(key[4:], depth)


def _level(key: bytes, depth: int, keep: bool = False) -> int:
    level = int.from_bytes(key[:2], "big") % (1 << depth)
    if depth == 16:
        return level if keep else level >> 8
    return int(level * 255 // ((1 << depth) - 1))


def _unpacked(named: bytes) -> bytes | None:
    """Return the unpacked profile chunk: a name, a zero byte, the method and compressed bytes."""
    unpack = zlib.decompressobj()
    try:
        profile = unpack.decompress(named.partition(b"\0")[2][1:], _LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if unpack.eof else None


def essential(content: bytes) -> Png:
    """Return a PNG's pixels and its chunks about colours and orientation.

    A damaged ancillary chunk is ignored, as in browsers.
    """
    kept = [SIGNATURE]
    said: dict[bytes, bytes] = {}
    for kind, body, whole in _chunks(content):
        checked = kind in (*_COLOURS, b"tRNS", *_ANIMATED)
        sound = not checked or zlib.crc32(whole[4:-4]) == int.from_bytes(whole[-4:], "big")
        if kind in _PIXELS and sound:
            kept.append(whole)
        if checked and sound and kind not in _ANIMATED:
            said.setdefault(kind, body)
    return Png(b"".join(kept), said)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield kind, body and full bytes of each chunk; the last one may be truncated."""
    at = len(SIGNATURE)
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        end = at + 12 + length
        kind = content[at + 4 : at + 8]
        yield kind, content[at + 8 : end - 4], content[at:end]
        if kind == b"IEND":
            return
        at = end
