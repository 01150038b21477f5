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

from engine.data.formats import Unreadable, sniff
from engine.data.headers import opened, orientation, reason_of, upright_size
from tests.support import tiny_images as tiny

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000"]


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
def test_upright_size_is_what_pillow_makes_of_it_but_for_webp(format, width, height, turn):
    block = Image.Exif()
    block[0x0112] = turn
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, format, exif=block)
    with Image.open(io.BytesIO(out.getvalue())) as image:
        expected = image.size if format == "WEBP" else ImageOps.exif_transpose(image).size
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


NAMED = {
    b"\0\0\0\x14ftypqt  \0\0\0\0qt  ": "a video",
    b"\0\0\0\x18ftypcrx \0\0\0\1crx ": "Canon raw (CR3) is not supported",
    b"II*\0\x10\0\0\0CR\2\0": "Canon raw (CR2) is not supported",
    b"MM\0+\0\x08\0\0": "BigTIFF in big-endian order is not supported",
    b"\xff\x0a\xfa\x7f": "JPEG XL is not supported",
    b"8BPS\0\1": "Photoshop (PSD) is not supported",
    b"%PDF-1.7": "PDF is not supported",
    b"\0\0\1\0\1\0": "Windows icon (ICO) is not supported",
    b"P6 1 1 255 abc": "PNM is not supported",
    bytes(128) + b"DICM": "DICOM is not supported",
    b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>': "SVG",
    b"\xef\xbb\xbf <!DOCTYPE html>": "a web page",
    b"version https://git-lfs.github.com/spec/v1\noid": "git lfs pull",
    b"PK\x03\x04rest": "a zip",
}


@pytest.mark.parametrize("content", NAMED)
def test_a_known_format_is_refused_by_its_name_and_says_what_to_do(content):
    with pytest.raises(Unreadable) as caught:
        upright_size(content)
    assert NAMED[content] in str(caught.value)


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic"])
def test_without_its_package_heic_is_refused_by_the_extra(brands, monkeypatch):
    monkeypatch.setattr("engine.data.heic._registered", lambda: False)
    with pytest.raises(Unreadable, match=r"install second-look\[heic\]"):
        upright_size(b"\0\0\0\x18ftyp" + brands)


@pytest.mark.parametrize("brands", [b"avif\0\0\0\0mif1miaf", b"mif1\0\0\0\0avifmiaf"])
def test_avif_is_told_from_its_relatives(brands):
    content = tiny.image_bytes("cat", format="AVIF")
    length = int.from_bytes(content[:4], "big")
    head = b"\0\0\0\x18ftyp" + brands
    assert sniff(head + content[length:]) == "AVIF"


def test_a_reason_is_one_short_line():
    assert reason_of(ValueError("first\nsecond")) == "cannot be decoded (first)"
    assert reason_of(ValueError()) == "cannot be decoded (ValueError)"
    assert len(reason_of(ValueError("x" * 1000))) < 150
