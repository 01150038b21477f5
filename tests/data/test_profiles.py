"""Colours become sRGB, by profiles of three formats' kinds, against the formulas by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import ImageCms

from engine.data.images import decode
from tests.support.image_files import saved, scene
from tests.support.profiles import ADOBE, PROPHOTO, to_srgb_by_hand


def pixels(content: bytes) -> np.ndarray:
    return decode(content).permute(1, 2, 0).numpy().astype(int)


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
