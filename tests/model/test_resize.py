"""The square of an image is torchvision's, to the bit, whatever the image's shape."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from engine.data.images import decode
from engine.model.preprocessing import preprocessing
from engine.model.resize import square

# Elsewhere torchvision resizes in float32.
NATIVE = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
SIDES = st.one_of(st.integers(1, 40), st.integers(200, 300), st.integers(1, 900))


def torchvisions(pixels: torch.Tensor, short: int, crop: int, mode: str) -> torch.Tensor:
    """Resize all, then crop."""
    kind = InterpolationMode(mode)
    small = functional.resize(pixels, [short], interpolation=kind, antialias=True)
    return functional.center_crop(small, [crop])


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    most = (ours.int() - theirs.int()).abs().max().item()
    assert ours.shape == theirs.shape and most <= (0 if NATIVE else 1)


@settings(max_examples=60, deadline=None)
@given(
    SIDES, SIDES, st.booleans(), st.sampled_from(["bilinear", "bicubic"]),
    st.sampled_from([(256, 224), (64, 64), (37, 21), (342, 299)]), st.integers(0, 99),
)  # fmt: skip
@example(255, 384, True, "bilinear", (256, 224), 0)  # most of its rows would become as many
@example(256, 300, True, "bilinear", (256, 224), 0)  # resized in one direction alone, or not at all
@example(489, 400, True, "bicubic", (456, 456), 0)
def test_it_is_torchvisions_to_the_bit(height, width, last, mode, sides, seed):
    if max(height, width) > 8 * min(height, width):  # of a strip only the middle is resized
        width = height
    generator = torch.Generator().manual_seed(seed)
    shape = (height, width, 3)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).permute(2, 0, 1)
    if not last:
        pixels = pixels.contiguous()
    assert_same(square(pixels, *sides, mode), torchvisions(pixels, *sides, mode))


@pytest.mark.parametrize("name", ["vgg16", "efficientnet_b0", "inception_v3"])
def test_of_photographs_too(name, real_data):
    files = sorted((real_data / "dogs-vs-cats" / "train").glob("*.jpg"))[::60]
    steps = preprocessing(name)
    for file in files:
        pixels = decode(file.read_bytes())
        theirs = torchvisions(pixels, steps.resize, steps.crop, steps.interpolation)
        assert_same(steps.resized(pixels), theirs)


@pytest.mark.parametrize("shape", [(3, 1, 5000), (3, 5000, 1), (3, 2, 100_000)])
def test_a_strip_is_a_square_too(shape):
    made = square(torch.full(shape, 7, dtype=torch.uint8), 256, 224, "bilinear")
    assert made.shape == (3, 224, 224) and (made == 7).all()


def test_what_lies_channels_last_stays_so():
    pixels = torch.zeros(375, 500, 3, dtype=torch.uint8).permute(2, 0, 1)
    assert square(pixels, 256, 224, "bilinear").stride(0) == 1
