"""Plans a demo image (animals, surroundings, light) and renders it as JPEG bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from engine.data.drawing.animals import draw_animal
from engine.data.drawing.brush import Brush, random_pose
from engine.data.drawing.colours import coat_colours
from engine.data.drawing.difficulties import deform, photographed, recropped
from engine.data.drawing.scenery import OCCLUDERS, SCALE, backdrop, litter, occlude, still_life

CLASSES = ("cat", "dog")
TRAIN, TEST, CHOICES = 0, 1, 2  # second word of every seed


@dataclass(frozen=True)
class DemoImage:
    """One image to draw: its file, its seed and its planted difficulty."""

    path: str
    split: int
    number: int
    animal: str
    kind: str = ""
    source: DemoImage | None = None  # of a near-duplicate


def occluder_of(planned: DemoImage, seed: int) -> str:
    """Return what covers the animal in an image with a planted occlusion."""
    choice = np.random.default_rng([seed, CHOICES, planned.split, planned.number, 1])
    return OCCLUDERS[int(choice.integers(len(OCCLUDERS)))]


def image_jpeg(planned: DemoImage, seed: int) -> bytes:
    """Draw the image and return the bytes of its file; the same seed gives the same bytes."""
    shown, quality = planned.source or planned, 78 if planned.source else 88
    rng = np.random.default_rng([seed, shown.split, shown.number])
    image = draw_image(rng, shown.animal, shown.kind, occluder_of(shown, seed))
    if planned.source is not None:
        image = recropped(image, np.random.default_rng([seed, planned.split, planned.number]))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    content = buffer.getvalue()
    return content[: len(content) // 2] if planned.kind == "undecodable" else content


def draw_image(rng: np.random.Generator, animal: str, kind: str, occluder: str) -> Image.Image:
    """Draw an image: backdrop, animals, occluder, light and camera."""
    width, height = (int(size * rng.uniform(0.92, 1.06)) for size in (500, 375))
    if rng.random() < 0.18:
        width, height = height, width
    coat, second = coat_colours(rng)
    canvas = backdrop(rng, width, height, coat if kind == "background-clutter" else None)
    draw = ImageDraw.Draw(canvas, "RGBA")
    if kind == "neither":
        still_life(draw, rng, canvas.size)
    elif kind == "both-animals":
        for place, one in zip((0.28, 0.72), rng.permutation(CLASSES).tolist(), strict=True):
            pose = random_pose(rng, canvas.size, across=place, wander=0.04)
            pose.radius *= 0.72
            draw_animal(Brush(draw, pose, rng, *coat_colours(rng)), one)
    else:
        pose = random_pose(rng, canvas.size)
        if kind == "deformation":
            deform(pose, rng)
        if kind == "background-clutter":
            pose.radius *= 0.6
        draw_animal(Brush(draw, pose, rng, coat, second), animal)
        if kind == "occlusion":
            occlude(Brush(draw, pose, rng, *coat_colours(rng)), occluder)
        if kind == "background-clutter":
            litter(draw, rng, canvas.size, 26, (coat, second), 0.05)
    return photographed(canvas.reduce(SCALE), rng, kind)
