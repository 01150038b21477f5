"""The decoder against Chromium and ImageMagick: ``python -m tests.support.decoder_fuzz 4000 0``."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from engine.data.formats import Unreadable
from engine.data.images import decode
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.chromium_pixels import shown
from tests.support.image_variants import FOR_IMAGEMAGICK, Variant, variant

CLOSE = 2  # levels of 255: rounding of alpha, and of colours in 8 bits


@dataclass
class Kind:
    """What came out for one kind: how many, the largest difference, and what is too far off."""

    images: int
    largest: int
    far: list[str]


def against_chromium(page: Page, cases: int, seed: int) -> dict[str, Kind]:
    """Compare ``cases`` images with what Chromium shows."""
    variants = [variant(number) for number in range(seed, seed + cases)]
    return _compared(variants, shown(page, [each.content for each in variants]))


def against_imagemagick(cases: int, seed: int) -> dict[str, Kind]:
    """Compare ``cases`` images that browsers do not read with the result of ImageMagick."""
    variants = [variant(number, FOR_IMAGEMAGICK) for number in range(seed, seed + cases)]
    with ThreadPoolExecutor(2) as pool:
        return _compared(variants, list(pool.map(_by_imagemagick, variants)))


def _compared(
    variants: Sequence[Variant], expected: Sequence[np.ndarray | None]
) -> dict[str, Kind]:
    found: dict[str, Kind] = defaultdict(lambda: Kind(0, 0, []))
    for each, theirs in zip(variants, expected, strict=True):
        kind = found[each.kind]
        kind.images += 1
        try:
            ours = decode(each.content).permute(1, 2, 0).numpy()
        except Unreadable as error:
            if theirs is not None:
                kind.far.append(f"{each.name}: refused, {error}")
            continue
        if theirs is None or theirs.shape != ours.shape:
            shape = None if theirs is None else theirs.shape
            kind.far.append(f"{each.name}: {ours.shape}, not {shape}")
            continue
        apart = int(np.abs(ours.astype(int) - theirs).max())
        kind.largest = max(kind.largest, apart)
        if apart > CLOSE:
            kind.far.append(f"{each.name}: {apart} levels")
    return dict(sorted(found.items()))


def _by_imagemagick(image: Variant) -> np.ndarray | None:
    command = [
        "convert", "-[0]", "-auto-orient", "-background", "white", "-alpha", "remove",
        "-colorspace", "sRGB", "-depth", "8", "-type", "TrueColor", "ppm:-",
    ]  # fmt: skip
    done = subprocess.run(command, input=image.content, capture_output=True)
    if done.returncode or not done.stdout:
        return None
    with Image.open(io.BytesIO(done.stdout)) as opened:
        return np.asarray(opened.convert("RGB"))


def main(cases: int, seed: int) -> int:
    """Print the counts and largest differences of each kind; return how many are too far off."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        found = against_chromium(browser.new_page(), cases, seed)
        browser.close()
    if shutil.which("convert"):
        found |= against_imagemagick(cases // 10, seed)
    far = sum(len(kind.far) for kind in found.values())
    images = sum(kind.images for kind in found.values())
    kinds = {name: asdict(kind) for name, kind in found.items()}
    print(json.dumps({"images": images, "too far off": far, "kinds": kinds}, indent=1))
    return far


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
