"""Camera effects and planted difficulties: blur, darkness, deformation, recropping."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from engine.data.drawing.brush import Pose


def deform(pose: Pose, rng: np.random.Generator) -> None:
    """Bend, stretch and rotate an animal into a rare pose."""
    pose.bend = float(rng.choice([-1, 1]) * rng.uniform(0.32, 0.45))
    pose.stretch = float(rng.choice([0.68, 1.42]))
    pose.angle += float(rng.choice([0, np.pi / 2, np.pi]))


def photographed(image: Image.Image, rng: np.random.Generator, kind: str) -> Image.Image:
    """Light the image unevenly, add grain, and apply the planted difficulty."""
    width, height = image.size
    corners = Image.fromarray(rng.integers(165, 256, (2, 2), dtype=np.uint8))
    light = np.asarray(corners.resize((width // 2, height // 2), Image.Resampling.BILINEAR))
    grain = rng.integers(0, 26, light.shape, dtype=np.uint8)
    veil = Image.fromarray(light - grain).resize(image.size, Image.Resampling.BILINEAR)
    image = ImageChops.multiply(image, Image.merge("RGB", (veil,) * 3))
    tint, gain = rng.uniform(0.93, 1.07, 3), rng.uniform(1.02, 1.36)
    floor, noise = 0, 0
    if kind == "darkness":
        gain, floor, noise = rng.uniform(0.13, 0.22), 3, 9
    table = [min(255, int(value * gain * t) + floor) for t in tint for value in range(256)]
    image = image.point(table)
    if kind == "blur" and rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(9, 14))))
    elif kind == "blur":
        image = _shaken(image, float(rng.uniform(40, 70)), float(rng.uniform(-0.6, 0.6)))
    if noise:
        speckle = rng.integers(0, noise, (height, width, 3), dtype=np.uint8)
        image = ImageChops.add(image, Image.fromarray(speckle))
    return image


def recropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a near-duplicate: slightly cropped and slightly lighter or darker."""
    left, top, right, bottom = rng.uniform(0.005, 0.03, 4)
    width, height = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    copy = image.resize(image.size, Image.Resampling.BICUBIC, box=box)
    gain = float(rng.choice([-1, 1]) * rng.uniform(0.06, 0.12)) + 1
    return copy.point([min(255, int(value * gain)) for value in range(256)] * 3)


def _shaken(image: Image.Image, length: float, angle: float) -> Image.Image:
    """Blur along a line of ``length`` pixels: the mean of sixteen shifted copies."""
    total = np.zeros((image.height, image.width, 3), dtype=np.uint16)
    for step in np.linspace(-length / 2, length / 2, 16):
        shift = (round(step * np.cos(angle)), round(step * np.sin(angle)))
        total += np.asarray(ImageChops.offset(image, *shift))
    return Image.fromarray((total // 16).astype(np.uint8))
