"""Image files written by hand where Pillow cannot, and a scene to draw into them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}


def scene(width: int = 40, height: int = 30) -> Image.Image:
    """Draw an image without any symmetry: red to the right, green downwards, a blue corner."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    corner = np.zeros((height, width))
    corner[: height // 3, : width // 3] = 255
    return Image.fromarray(np.stack([x, y, corner], axis=-1).astype(np.uint8))


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int, colours: int, rows: np.ndarray, *more: tuple[bytes, bytes]
) -> bytes:
    """Write a PNG by hand, of rows of bytes and with more chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = [(b"IHDR", header), *more, (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def tiff(
    values: np.ndarray, order: str, photometric: int, bits: int, extra: int | None = None,
    big: bool = False, more: dict[int, tuple[int, list[int]]] | None = None,
) -> bytes:  # fmt: skip
    """Write a TIFF by hand: samples of shape (height, width, channels), not packed."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u{bits // 8}").tobytes()
    start = 16 if big else 8
    tags = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [1]),
        262: (3, [photometric]), 273: (4, [start]), 277: (3, [channels]), 278: (4, [height]),
        279: (4, [len(data)]), **({} if extra is None else {338: (3, [extra])}), **(more or {}),
    }  # fmt: skip
    long, room = ("Q", 8) if big else ("I", 4)
    at = start + len(data) + len(data) % 2
    beyond = at + (8 if big else 2) + len(tags) * (20 if big else 12) + room
    table, tail = struct.pack(order + ("Q" if big else "H"), len(tags)), b""
    for tag, (kind, numbers) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}{TIFF_TYPES[kind]}", *numbers)
        if len(packed) > room:
            offset = beyond + len(tail)
            tail += packed + bytes(len(packed) % 2)
            packed = struct.pack(order + long, offset)
        table += struct.pack(f"{order}HH{long}", tag, kind, len(numbers)) + packed.ljust(
            room, b"\0"
        )
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(
        order + ("HHHQ" if big else "HI"), *((43, 8, 0) if big else (42,)), at
    )
    return head + data + bytes(len(data) % 2) + table + bytes(room) + tail
