"""What the first bytes say: format, upright size, and why a file is no image."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from engine.data.headers import Unreadable, opened, orientation, reason_of, sniff, upright_size
from tests.support import tiny_images as tiny

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]


def png_of(width: int, height: int) -> bytes:
    """Return the beginning of a PNG that declares a size."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 0) + b"IDAT" + b"\x35\xaf\x06\x1e"


@pytest.mark.parametrize("format", FORMATS)
def test_the_format_is_told_by_content(format):
    content = tiny.image_bytes("cat", format=format)
    assert sniff(content) == format
    assert upright_size(content) == (40, 30)


@pytest.mark.parametrize("content", [b"", b"text", b"GIF88a", b"RIFF....WAVE", b"\xff\xd8"])
def test_what_has_no_known_beginning_is_refused(content):
    with pytest.raises(Unreadable, match="empty" if not content else "not an image"):
        sniff(content)
    with pytest.raises(Unreadable, match="empty" if not content else "not an image"):
        upright_size(content)


@settings(max_examples=60)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF"]),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(0, 9),
)
def test_upright_size_is_what_pillow_makes_of_it(format, width, height, turn):
    block = Image.Exif()
    block[0x0112] = turn
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, format, exif=block)
    with Image.open(io.BytesIO(out.getvalue())) as image:
        expected = ImageOps.exif_transpose(image).size
    assert upright_size(out.getvalue()) == expected


def test_a_hundred_megapixels_are_the_limit():
    assert upright_size(png_of(10_000, 10_000)) == (10_000, 10_000)
    for width, height in ((10_001, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)):
        with pytest.raises(Unreadable, match="above 100 megapixels"):
            upright_size(png_of(width, height))


def test_pixels_are_not_decoded():
    content = tiny.image_bytes("cat", format="PNG")
    assert upright_size(content[:60]) == (40, 30)


def test_a_broken_exif_block_counts_as_upright_and_warns_nobody():
    plain = tiny.image_bytes("cat")
    block = b"Exif\0\0II*\0\xff\xff\xff\xff"
    content = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with opened(content) as image:
            assert orientation(image) == 1
        assert upright_size(content) == (40, 30)


def test_a_reason_is_one_short_line():
    assert reason_of(ValueError("first\nsecond")) == "cannot be decoded (first)"
    assert reason_of(ValueError()) == "cannot be decoded (ValueError)"
    assert len(reason_of(ValueError("x" * 1000))) < 150
