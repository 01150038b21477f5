"""HEIC is decoded as the same image in another format, upright and with its colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.data.formats import Unreadable
from engine.data.headers import note_of, upright_size
from engine.data.images import decode
from tests.support.image_files import saved, scene
from tests.support.profiles import ADOBE, to_srgb_by_hand

pillow_heif = pytest.importorskip("pillow_heif")


def heic(image: Image.Image, **options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    return saved(image, "HEIF", quality=100, chroma=444, **options)


def pixels(content: bytes) -> np.ndarray:
    return decode(content).permute(1, 2, 0).numpy().astype(int)


def large() -> Image.Image:
    return scene(128, 96)


def test_it_is_read_like_a_png():
    content = heic(large())
    assert upright_size(content) == (128, 96)
    assert note_of(content, "a.heic") == "" and "not JPEG" in note_of(content, "a.jpg")
    assert np.abs(pixels(content) - pixels(saved(large()))).max() <= 6
    with pytest.raises(Unreadable):
        decode(content[: len(content) // 2])


def test_alpha_lies_on_white_and_a_profile_becomes_srgb():
    clear = large()
    clear.putalpha(0)
    assert (pixels(heic(clear)) == 255).all()
    expected = to_srgb_by_hand(pixels(heic(large())), "adobe", 2.19921875)
    assert np.abs(pixels(heic(large(), icc_profile=ADOBE)) - expected).max() < 2.5


def test_it_is_turned_by_the_container_and_not_by_exif():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = heic(large(), exif=exif.tobytes())
    assert b"irot" in turned
    upright = np.asarray(large().transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert upright_size(turned) == (96, 128)
    assert np.abs(pixels(turned) - upright).max() <= 6
    told = heic(large(), exif=exif)
    assert b"irot" not in told and upright_size(told) == (128, 96)
