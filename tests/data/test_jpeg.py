"""Our own walk through a JPEG's header never differs from Pillow's reading."""

from __future__ import annotations

import io
import random
import warnings

import pytest
from PIL import Image

from engine.data.jpeg import ordinary_header, scan_position
from tests.support.mutations import jpeg_sources

TELLING = (0, 1, 8, 0xC0, 0xDA, 0xDB, 0xE1, 0xED, 0xFF)  # bytes of markers and lengths


def pillow(content: bytes) -> tuple[int, int] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged EXIF blocks
        try:
            with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
                return image.size
        except Exception:  # Pillow raises many kinds of errors
            return None


def changed(content: bytes, rng: random.Random) -> bytes:
    """Change, remove or insert bytes of the header, where the walk could go astray."""
    header = scan_position(content) + 20
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at, kind = rng.randrange(2, header), rng.random()
        if kind < 0.7:
            changed[at] = rng.choice(
                [0, 1, 8, 0xC0, 0xDA, 0xDB, 0xE1, 0xED, 0xFF, rng.randrange(256)]
            )
        elif kind < 0.85:
            del changed[at : at + rng.randint(1, 40)]
        else:
            changed[at:at] = rng.randbytes(rng.randint(1, 4))
    return bytes(changed)


@pytest.mark.parametrize("kind", range(len(jpeg_sources())))
def test_what_is_called_ordinary_is_what_pillow_reads(kind):
    rng, content = random.Random(kind), jpeg_sources()[kind]
    ordinary = 0
    for case in [content, *(changed(content, rng) for _ in range(400))]:
        if (header := ordinary_header(case)) is not None:
            ordinary += 1
            assert header[:2] == pillow(case)
    assert ordinary > 20


def test_an_ordinary_photograph_is_not_left_to_pillow():
    block = Image.Exif()
    block[0x0112] = 6
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, "JPEG", exif=block, icc_profile=b"a" * 200)
    width, height, exif = ordinary_header(out.getvalue())
    assert (width, height) == (40, 30) and exif.startswith(b"Exif\0\0")
