"""PNG: transparent levels, colours by numbers, and damaged words about whole pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from engine.data.formats import Unreadable
from engine.data.images import decode
from tests.support.image_files import chunk, png, saved, scene
from tests.support.profiles import PROPHOTO, to_srgb_by_hand


def pixels(content: bytes) -> np.ndarray:
    return decode(content).permute(1, 2, 0).numpy().astype(int)


def refusal(content: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        decode(content)
    return str(caught.value)


@pytest.mark.parametrize(("depth", "level"), [(1, 1), (2, 1), (4, 7), (8, 200), (16, 1234)])
def test_a_grey_level_that_counts_as_transparent_is_white(depth, level):
    values = np.random.default_rng(depth).integers(0, 2**depth, (6, 16))
    values[:2] = level
    bits = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(6, 16, 2), axis=2)
    rows = np.packbits(bits[..., 16 - depth :].reshape(6, -1), axis=1)
    content = png(16, 6, depth, 0, rows, (b"tRNS", struct.pack(">H", level)))
    expected = np.where(values == level, 255, np.rint(values * 255 / (2**depth - 1)))
    assert np.array_equal(pixels(content)[..., 0], expected)


def test_a_colour_that_counts_as_transparent_is_white():
    rows = np.tile(np.array([1, 2, 3, 1, 2, 4], np.uint8), (5, 1))
    content = png(2, 5, 8, 2, rows, (b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    assert pixels(content)[0].tolist() == [[255, 255, 255], [1, 2, 4]]


@pytest.mark.parametrize(
    ("chunks", "gamma"),
    [
        ([(b"gAMA", struct.pack(">I", 45455))], None),  # which stands for sRGB
        ([(b"gAMA", struct.pack(">I", 55556))], 1.8),
        ([(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 55556))], None),
        ([(b"cICP", bytes([1, 4, 0, 1]))], 2.2),
    ],
)
def test_a_png_may_name_its_colours_by_numbers(chunks, gamma):
    rows = np.asarray(scene()).reshape(30, -1)
    plain = pixels(png(40, 30, 8, 2, rows))
    expected = plain if gamma is None else to_srgb_by_hand(plain, "srgb", gamma)
    assert np.abs(pixels(png(40, 30, 8, 2, rows, *chunks)) - expected).max() < 2


def test_hdr_is_refused_by_its_name():
    rows = np.asarray(scene()).reshape(30, -1)
    assert "HDR" in refusal(png(40, 30, 8, 2, rows, (b"cICP", bytes([9, 16, 0, 1]))))


def damaged(kind: bytes, body: bytes) -> bytes:
    return chunk(kind, body)[:-4] + b"\0\0\0\0"


@pytest.mark.parametrize(
    "extra",
    [
        damaged(b"tEXt", b"Comment\0hello"),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"zTXt", b"Comment\0\0no packed text"),
        chunk(b"iTXt", b"Comment\0\1"),
        chunk(b"iCCP", b"name\0\0no packed profile"),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(20_000_000))),
        damaged(b"iCCP", b"name\0\0" + zlib.compress(PROPHOTO)),
        chunk(b"gAMA", b"\0"),
        chunk(b"cHRM", bytes(32)) + chunk(b"gAMA", struct.pack(">I", 45455)),
        damaged(b"tRNS", bytes(6)),
        chunk(b"pHYs", b""),
        chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
    ],
)
@pytest.mark.parametrize("at_end", [False, True])
def test_damaged_words_about_whole_pixels_do_not_matter(extra, at_end):
    plain = saved(scene())
    at = len(plain) - 12 if at_end else 33
    assert np.array_equal(pixels(plain[:at] + extra + plain[at:]), pixels(plain))


def test_the_static_image_of_an_animation_does_not_shine_through():
    frames = [Image.new("RGBA", (8, 6), (0, 0, 255, alpha)) for alpha in (255, 0, 128)]
    content = saved(
        frames[0], save_all=True, append_images=frames[1:], default_image=True, blend=1, disposal=1
    )
    assert (pixels(content) == 255).all()
