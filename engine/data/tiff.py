"""Reads the grey-level format of a TIFF from its first directory, which Pillow partly ignores."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_SHORT = 3


@dataclass(frozen=True)
class Tiff:
    """The format of a TIFF's grey levels.

    Attributes
    ----------
    content : the file; if white is zero in 16 bits, modified so that Pillow can read it
    bits : bits of the first sample
    signed : whether the levels may be negative
    inverted : whether the levels that Pillow reads must be inverted
    """

    content: bytes
    bits: int = 1
    signed: bool = False
    inverted: bool = False


def levels_of(content: bytes) -> Tiff:
    """Return the format from the first TIFF directory; Pillow reports a damaged one later."""
    try:
        return _read(content)
    except struct.error:
        return Tiff(content)


def _read(content: bytes) -> Tiff:
    order = "<" if content[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", content, 2)[0] == 43
    start = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)[0]
    count = struct.unpack_from(order + ("Q" if big else "H"), content, start)[0]
    first, size = start + (8 if big else 2), 20 if big else 12
    found: dict[int, int] = {}
    places: dict[int, int] = {}
    for entry in range(first, first + min(count, 512) * size, size):
        tag, kind, values = struct.unpack_from(order + ("HHQ" if big else "HHI"), content, entry)
        if tag in (_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT) and kind == _SHORT:
            at, room = (entry + 12, 8) if big else (entry + 8, 4)
            if 2 * values > room:
                at = struct.unpack_from(order + ("Q" if big else "I"), content, at)[0]
            found.setdefault(tag, struct.unpack_from(order + "H", content, at)[0])
            places.setdefault(tag, at)
    bits, signed = found.get(_BITS, 1), found.get(_SAMPLE_FORMAT, 1) == 2
    if bits != 16 or found.get(_PHOTOMETRIC) != _WHITE_IS_ZERO:
        return Tiff(content, bits, signed)
    at = places[_PHOTOMETRIC]
    changed = content[:at] + struct.pack(order + "H", _BLACK_IS_ZERO) + content[at + 2 :]
    return Tiff(changed, bits, signed, inverted=True)
