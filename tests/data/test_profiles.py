"""Colours become sRGB, by profiles of three formats' kinds, against the formulas by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import ImageCms

from engine.data.images import decode
from engine.data.profiles import D65, matrix_profile
from tests.support.image_files import saved, scene


def pixels(content: bytes) -> np.ndarray:
    return decode(content).permute(1, 2, 0).numpy().astype(int)


ADOBE = matrix_profile(D65, ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 2.19921875)
PROPHOTO = matrix_profile(
    (0.3457, 0.3585), ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), 1.8
)
TO_XYZ = {  # to D50, from Lindbloom's tables
    "adobe": [[0.6097559, 0.2052401, 0.1492240], [0.3111242, 0.6256560, 0.0632197],
              [0.0194811, 0.0608902, 0.7448387]],
    "prophoto": [[0.7976749, 0.1351917, 0.0313534], [0.2880402, 0.7118741, 0.0000857],
                 [0.0, 0.0, 0.8252100]],
    "srgb": [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169],
             [0.0139322, 0.0971045, 0.7141733]],
}  # fmt: skip


def to_srgb_by_hand(levels: np.ndarray, name: str, gamma: float) -> np.ndarray:
    linear = (levels / 255.0) ** gamma
    matrix = np.linalg.inv(TO_XYZ["srgb"]) @ np.array(TO_XYZ[name])
    there = np.clip(linear @ matrix.T, 0, 1)
    return 255 * np.where(there <= 0.0031308, 12.92 * there, 1.055 * there ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
@pytest.mark.parametrize(
    ("name", "profile", "gamma"), [("adobe", ADOBE, 2.19921875), ("prophoto", PROPHOTO, 1.8)]
)
def test_colours_become_srgb(format, name, profile, gamma):
    options: dict[str, Any] = {"WEBP": {"lossless": True}}.get(format, {})
    if format in ("JPEG", "AVIF"):
        options = {"quality": 100, "subsampling": "4:4:4"}
    content = saved(scene(), format, icc_profile=profile, **options)
    plain = pixels(saved(scene(), format, **options))
    expected = to_srgb_by_hand(plain, name, gamma)
    assert np.abs(expected - plain).mean() > 4
    assert np.abs(pixels(content) - expected).max() < 2.5


def test_a_profile_that_changes_nothing_costs_nothing(monkeypatch):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = saved(scene(), "JPEG", icc_profile=srgb)
    monkeypatch.setattr("engine.data.images.rgb", None)  # the way by Pillow
    assert np.array_equal(pixels(content), pixels(saved(scene(), "JPEG")))


@pytest.mark.parametrize("profile", [b"no profile", ADOBE[:200], ADOBE[:-40] + bytes(40)])
def test_a_damaged_profile_is_ignored(profile):
    plain = pixels(saved(scene()))
    assert np.array_equal(pixels(saved(scene(), icc_profile=profile)), plain)


def test_a_grey_image_may_bring_a_profile_of_colours():
    grey = scene().convert("L")
    found = pixels(saved(grey, icc_profile=PROPHOTO))
    expected = to_srgb_by_hand(np.repeat(np.asarray(grey)[..., None], 3, axis=2), "prophoto", 1.8)
    assert np.abs(found - expected).max() < 2.5
