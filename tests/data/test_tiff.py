"""TIFFs of every photometry, byte order, depth and fourth channel, written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.formats import Unreadable
from engine.data.images import decode
from tests.support.image_files import tiff


def pixels(content: bytes) -> np.ndarray:
    return decode(content).permute(1, 2, 0).numpy().astype(int)


def refusal(content: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        decode(content)
    return str(caught.value)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [0, 1])
def test_grey_tiffs_of_every_photometry_and_byte_order(photometric, bits, order, big):
    grey = np.random.default_rng(0).integers(0, 2**bits, (6, 9, 1))
    stored = (2**bits - 1 - grey) if photometric == 0 else grey
    found = pixels(tiff(stored, order, photometric, bits, big=big))
    assert np.array_equal(found, np.repeat(np.rint(grey * 255 / (2**bits - 1)), 3, axis=2))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_tiffs_with_a_fourth_channel(extra, bits, order):
    most = 2**bits - 1
    values = np.random.default_rng(0).integers(0, most + 1, (6, 9, 4))
    alpha = values[..., 3:] / most
    colours = values[..., :3] / most
    expected = colours * alpha + 1 - alpha
    if extra == 0:  # unspecified: no alpha
        expected = colours
    if extra == 1:  # multiplied already
        values[..., :3] = np.rint(values[..., :3] * alpha)
    found = pixels(tiff(values, order, 2, bits, extra))
    assert np.abs(found - expected * 255).max() < 3  # 16 bits are cut to 8 before and after


def test_numbers_with_a_sign_or_of_32_bits_are_refused():
    values = np.full((2, 3, 1), 200)
    assert "sign" in refusal(tiff(values, "<", 1, 16, more={339: (3, [2])}))
    assert "more than 16 bits" in refusal(tiff(values, "<", 1, 32))


def test_a_reason_holds_no_address_in_memory():
    values = np.zeros((2, 3, 2), int)
    said = refusal(tiff(values, ">", 1, 16, 2))
    assert "0x" not in said and "<" not in said and "save it as PNG" in said


def test_big_endian_bigtiff_is_refused_by_its_name():
    assert "BigTIFF" in refusal(tiff(np.zeros((2, 3, 1), int), ">", 1, 8, big=True))
