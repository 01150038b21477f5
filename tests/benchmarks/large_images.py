"""Large photographs of several formats: whole, at a reduced scale, and the usual way."""

from __future__ import annotations

import io
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from engine.data.images import decode, decode_reduced
from engine.model.preprocessing import Preprocessing, preprocessing
from tests.benchmarks.clocked import seconds_of, take_turns
from tests.benchmarks.decoding import one_torch_thread
from tests.benchmarks.material import labelled_split
from tests.benchmarks.report import machine, table

TITLE = "Large photographs"
SIZES = {"12 megapixels": (4000, 3000), "2 megapixels": (1632, 1224)}
ODD = "11 megapixels, 3999 × 2667"  # which no scale divides
FORMATS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 85}, "PNG": {}, "WebP": {"quality": 85}, "TIFF": {},
    "TIFF, LZW": {"compression": "tiff_lzw"},
}  # fmt: skip
GOALS = {("12 megapixels", "JPEG"): 2.0, (ODD, "JPEG"): 2.0, ("2 megapixels", "JPEG"): 1.4}
REPEATS = 9
GRAIN = 2.0  # levels of noise, which an enlarged photograph lacks


def measure() -> str:
    """Measure everything and return the section."""
    steps = preprocessing("vgg16")
    with tempfile.TemporaryDirectory() as name:
        source = labelled_split(Path(name) / "images", 4).files[0].read_bytes()
    with one_torch_thread():
        rows = [
            _row(size, kind, encoded(source, SIZES[size], kind), steps)
            for size in SIZES
            for kind in FORMATS
        ]
        rows.insert(1, _row(ODD, "JPEG", encoded(source, (3999, 2667), "JPEG"), steps))
    said = ("", "", "MB", "whole, ms", "ours, ms", "times as fast", "goal", "usual, ms")
    return "\n\n".join([machine(("torch", "pillow", "simplejpeg")), table(said, rows), _HOW])


def encoded(source: bytes, size: tuple[int, int], kind: str) -> bytes:
    """Return a photograph, enlarged and with grain, as a file of this kind."""
    large = Image.open(io.BytesIO(source)).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).normal(0, GRAIN, (size[1], size[0], 1))
    out = io.BytesIO()
    pixels = (np.asarray(large) + grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(out, kind.split(",")[0], **FORMATS[kind])
    return out.getvalue()


def _ours(content: bytes, steps: Preprocessing) -> torch.Tensor:
    image = decode_reduced(content, steps.decoded_short)
    return steps.resized(image.pixels, image.sides)


def _row(size: str, kind: str, content: bytes, steps: Preprocessing) -> list[str]:
    usual = transforms.Compose(
        [
            transforms.Resize(steps.resize),
            transforms.CenterCrop(steps.crop),
            transforms.ToTensor(),
            transforms.Normalize(steps.mean, steps.std),
        ]
    )
    work: dict[str, Callable[[], torch.Tensor]] = {
        "whole": lambda: steps.resized(decode(content)),
        "ours": lambda: _ours(content, steps),
        "usual": lambda: usual(Image.open(io.BytesIO(content)).convert("RGB")),
    }
    sides = {name: (lambda f=f: seconds_of(f)) for name, f in work.items()}
    ms = {name: 1000 * statistics.median(t) for name, t in take_turns(sides, REPEATS).items()}
    goal = GOALS.get((size, kind))
    return [
        size, kind, f"{len(content) / 1e6:.1f}", f"{ms['whole']:.1f}", f"{ms['ours']:.1f}",
        f"{ms['whole'] / ms['ours']:.2f}", f"{goal}" if goal else "", f"{ms['usual']:.1f}",
    ]  # fmt: skip


_HOW = """One photograph, enlarged and with grain, from bytes to the network's 224 pixels in one
thread; medians of turns. "Whole" decodes every pixel, as before the reduced scale; "ours" is what a
fit does; "usual" is Pillow with torchvision's transforms to a normalised tensor. Only JPEG can be
decoded at a fraction of its size."""
