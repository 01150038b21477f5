"""Decode JPEGs with changed bytes, many, in a process of their own: ``python -m …mutations``.

The number of a case is printed before it is tried, so that a crash has a name.
"""

from __future__ import annotations

import io
import json
import random
import sys
import time

import numpy as np
import torch
from PIL import Image

from dashboard.shared.thumbnails import LARGE_SIDE
from engine.data.formats import Unreadable
from engine.data.headers import note_of, upright_size
from engine.data.images import decode
from engine.data.thumbnails import make_thumbnail


def main(cases: int, seed: int) -> dict[str, float]:
    """Try so many; return how many were accepted and refused, and the slowest in seconds."""
    torch.set_num_threads(1)
    rng = random.Random(seed)
    sources = jpeg_sources()
    decode(sources[0])  # the first one waits for an import
    accepted, slowest = 0, 0.0
    for case in range(cases):
        content = _mutated(rng.choice(sources), rng)
        print(case, flush=True)
        began = time.monotonic()
        accepted += _accepted(content)
        slowest = max(slowest, time.monotonic() - began)
    return {"accepted": accepted, "refused": cases - accepted, "slowest": slowest}


def _accepted(content: bytes) -> bool:
    try:
        width, height = upright_size(content)
        note_of(content, "a.jpg")
        pixels = decode(content)
        assert tuple(pixels.shape) == (3, height, width) and pixels.dtype == torch.uint8
    except Unreadable as error:
        assert str(error) and "\n" not in str(error)
        return False
    finally:
        try:
            assert make_thumbnail(content, LARGE_SIDE).startswith(b"\xff\xd8")
        except Unreadable as error:
            assert str(error)
    return True


def jpeg_sources() -> list[bytes]:
    """Save one small scene as JPEGs of all kinds."""
    x, y = np.meshgrid(np.linspace(0, 255, 96), np.linspace(0, 255, 64))
    noise = np.random.default_rng(0).integers(0, 256, x.shape)
    scene = Image.fromarray(np.stack([x, y, noise], axis=-1).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = []
    for mode, options in (
        ("RGB", {"quality": 85}),
        ("RGB", {"progressive": True}),
        ("RGB", {"exif": exif, "icc_profile": bytes(200)}),
        ("RGB", {"subsampling": 2, "restart_marker_blocks": 2}),
        ("L", {"optimize": True}),
        ("CMYK", {"quality": 60}),
    ):
        out = io.BytesIO()
        scene.convert(mode).save(out, "JPEG", **options)
        found.append(out.getvalue())
    return found


def _mutated(source: bytes, rng: random.Random) -> bytes:
    content = bytearray(source)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        # Half of the changes go to the headers, where lengths, sizes and tables are.
        at = rng.randrange(min(700, len(content)) if rng.random() < 0.5 else len(content))
        kind = rng.randrange(6)
        if kind == 0:
            content[at] = rng.randrange(256)
        elif kind == 1:
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            content[at] = rng.choice((0x00, 0xFF, 0xD8, 0xD9, 0xDA, 0xC4, 0xDB))
        elif kind == 3:
            content[at:at] = rng.randbytes(rng.randrange(1, 8))
        elif kind == 4:
            del content[at : at + rng.randrange(1, 40)]
        elif len(content) > 10 and rng.random() < 0.1:
            content = content[: rng.randrange(4, len(content))]
        if len(content) < 4:
            break
    return bytes(content)


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
