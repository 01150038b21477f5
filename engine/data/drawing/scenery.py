"""Draws an animal's surroundings: the scene behind it, and things beside and in front of it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from engine.data.drawing.brush import Brush, Pose, smooth
from engine.data.drawing.colours import DARK, PALE, Colour, mix, shade, soft, vivid

SCALE = 2  # sharp shapes are drawn at this multiple of the size, then reduced
OCCLUDERS = ("a cushion", "a curtain", "leaves", "a fence")


def backdrop(
    rng: np.random.Generator, width: int, height: int, clutter: Colour | None
) -> Image.Image:
    """Paint a scene small and enlarge it, so that it is out of focus by a varying amount."""
    coarse = 1.2 if clutter else float(rng.choice([1.2, 2, 3]))
    size = (int(width / coarse), int(height / coarse))
    corners = np.asarray([[soft(rng), soft(rng)], [soft(rng), soft(rng)]], dtype=np.uint8)
    scene = Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(scene, "RGBA")
    painter = (_room, _garden, _blanket, _bokeh)[int(rng.choice(4, p=[0.4, 0.28, 0.16, 0.16]))]
    painter(draw, rng, size)
    if clutter:
        near = tuple(shade(clutter, gain) for gain in (0.7, 0.85, 1.0, 1.15))
        litter(draw, rng, size, 150, (*near, vivid(rng), PALE, DARK), 0.075)
    full = (width * SCALE, height * SCALE)
    scene = scene.filter(ImageFilter.BoxBlur(0.8))  # polygons have hard edges
    return scene.resize(full, Image.Resampling.BILINEAR)


def litter(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    size: tuple[int, int],
    count: int,
    colours: tuple[Colour, ...],
    largest: float,
) -> None:
    """Scatter triangles, balls and sticks of the given colours."""
    width, height = size
    for number in range(count):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        reach = rng.uniform(0.25, 1) * largest * width
        colour = shade(colours[int(rng.integers(len(colours)))], rng.uniform(0.8, 1.2))
        if number % 3 == 0:
            turn = rng.uniform(0, 2 * np.pi) + np.asarray([0, 2.0, 4.2])
            corners = np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn)], axis=1)
            draw.polygon(corners.ravel().tolist(), fill=colour)
        elif number % 3 == 1:
            box = (x - reach, y - reach * 0.8, x + reach, y + reach * 0.8)
            draw.ellipse(box, fill=colour, outline=shade(colour, 0.6), width=max(1, int(reach / 8)))
        else:
            end = (x + rng.normal(0, 2) * reach, y + rng.normal(0, 2) * reach)
            draw.line((x, y, *end), fill=colour, width=max(2, int(reach / 4)))


def still_life(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]) -> None:
    """Put a potted plant, a ball and a mug in the animal's place."""
    reach = min(size) * 0.2
    brush = Brush(
        draw, Pose(size[0] * rng.uniform(0.35, 0.65), size[1] * 0.55, reach), rng, PALE, PALE
    )
    leaf, pot = shade((84, 132, 70), rng.uniform(0.7, 1.2)), soft(rng)
    for turn in np.linspace(-1.3, 1.3, int(rng.integers(7, 12))):
        tip = np.asarray([np.sin(turn), -np.cos(turn)]) * rng.uniform(0.8, 1.3)
        across = np.asarray([-tip[1], tip[0]]) * 0.16
        blade = smooth(
            np.asarray([(0, 0.3), tip * 0.5 + across, tip, tip * 0.5 - across, (0, 0.3)])
        )
        brush.fill(blade, shade(leaf, rng.uniform(0.75, 1.25)))
    brush.fill([(-0.55, 0.25), (0.55, 0.25), (0.4, 1.2), (-0.4, 1.2)], pot)
    brush.fill([(-0.62, 0.15), (0.62, 0.15), (0.62, 0.38), (-0.62, 0.38)], shade(pot, 0.85))
    side, ball = float(rng.choice([-1, 1])), vivid(rng)
    brush.blob((side * 1.3, 0.9), (0.42, 0.42), ball)
    brush.line([(side * 1.3 - 0.4, 0.85), (side * 1.3, 1.02), (side * 1.3 + 0.4, 0.85)], PALE, 0.08)
    brush.blob((side * 1.3 - 0.14, 0.74), (0.1, 0.08), (255, 255, 255), alpha=170)


def occlude(brush: Brush, thing: str) -> None:
    """Cover at least about half of the face with one of :data:`OCCLUDERS`."""
    rng, pose = brush.rng, brush.pose
    colour = soft(rng)
    front = Brush(brush.canvas, Pose(pose.x, pose.y, pose.radius), rng, colour, colour)
    if thing == "a cushion":
        across = rng.uniform(-0.35, 0.35)
        box = np.asarray(
            [(-1.6, -0.1), (0, 0.05), (1.6, -0.1), (1.5, 1.2), (1.7, 2.6), (-1.7, 2.6)]
        )
        outline = smooth(np.vstack([box, (-1.5, 1.2), box[0]]))
        front.fill(outline + (across, 0), colour)
        for stripe in np.linspace(-1.2, 1.2, 6):
            band = [(stripe, 0.06), (stripe + 0.18, 0.06), (stripe + 0.18, 2.4), (stripe, 2.4)]
            front.fill(np.asarray(band) + (across, 0), shade(colour, 0.8))
    elif thing == "a curtain":
        side = float(rng.choice([-1, 1]))
        for fold in np.arange(-0.1, 3.4, 0.22):
            band = [(fold, -6), (fold + 0.24, -6), (fold + 0.24, 6), (fold, 6)]
            light = 0.85 + 0.15 * np.cos(fold * 9)
            front.fill(np.asarray(band) * (side, 1), shade(colour, light))
    elif thing == "leaves":
        for _ in range(46):
            at, turn = rng.normal(0, 0.75, 2), rng.uniform(0, np.pi)
            leaf = shade((84, 128, 60), rng.uniform(0.6, 1.3))
            front.blob((at[0], at[1]), (rng.uniform(0.25, 0.42), 0.14), leaf, turn=turn)
    else:
        for post in np.arange(-6, 6, 0.62):
            board = [
                (post, -1.5),
                (post + 0.2, -1.7),
                (post + 0.4, -1.5),
                (post + 0.4, 6),
                (post, 6),
            ]
            front.fill(board, colour)
            front.fill(
                [(post + 0.32, -1.55), (post + 0.4, -1.5), (post + 0.4, 6), (post + 0.32, 6)],
                shade(colour, 0.75),
            )
        for rail in (-0.75, 0.7):
            front.fill(
                [(-9, rail), (9, rail), (9, rail + 0.26), (-9, rail + 0.26)], shade(colour, 0.9)
            )


def _room(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]) -> None:
    width, height = size
    floor = height * rng.uniform(0.6, 0.85)
    paper = soft(rng)
    if rng.random() < 0.6:
        step = width / rng.integers(7, 22)
        for left in np.arange(0, width, step):
            draw.rectangle((left, 0, left + step * 0.45, floor), fill=(*paper, 130))
    draw.rectangle((0, floor, width, height), fill=soft(rng))
    for board in np.linspace(floor, height, int(rng.integers(2, 5))):
        draw.line((0, board, width, board), fill=(40, 30, 20, 90), width=2)
    for _ in range(int(rng.integers(2, 6))):
        left, wide = rng.uniform(-0.1, 0.9) * width, rng.uniform(0.14, 0.4) * width
        thing, colour = int(rng.integers(4)), soft(rng)
        top = rng.uniform(0.02, 0.3) * height
        if thing == 0:  # a window or an image on the wall
            box = (left, top, left + wide, top + wide * 0.8)
            draw.rectangle(box, fill=soft(rng), outline=shade(colour, 0.6), width=4)
            middle = left + wide / 2
            draw.line((middle, top, middle, top + wide * 0.8), fill=shade(colour, 0.6), width=3)
        elif thing == 1:  # a sofa
            box = (left, floor - wide * 0.5, left + wide * 1.6, height)
            draw.rounded_rectangle(box, wide * 0.15, fill=colour)
            seat = (left + wide * 0.2, floor - wide * 0.1, left + wide * 1.4, height)
            draw.rounded_rectangle(seat, wide * 0.1, fill=shade(colour, 1.15))
        elif thing == 2:  # a shelf with books
            x, board = left, top + wide * 0.5
            while x < left + wide:
                thick = wide * rng.uniform(0.06, 0.14)
                tall = wide * rng.uniform(0.25, 0.45)
                draw.rectangle((x, board - tall, x + thick, board), fill=vivid(rng))
                x += thick + 1
            draw.rectangle((left, board, left + wide, board + 4), fill=shade(colour, 0.5))
        else:  # a lamp
            middle, reach = left + wide / 2, wide * 0.3
            draw.line((middle, top, middle, floor), fill=shade(colour, 0.5), width=3)
            corners = [middle - reach, top + reach, middle + reach, top + reach]
            draw.polygon([*corners, middle + reach / 2, top, middle - reach / 2, top], fill=colour)


def _garden(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]) -> None:
    width, height = size
    horizon = height * rng.uniform(0.35, 0.7)
    leaf = mix((88, 132, 62), soft(rng), rng.uniform(0, 0.5))
    draw.rectangle((0, horizon, width, height), fill=shade(leaf, 0.85))
    count = int(rng.integers(30, 80))
    spots = rng.uniform((-0.05, 0.1), (1.05, 0.95), (count, 2)) * (width, height)
    for (x, y), radius in zip(spots.tolist(), rng.uniform(0.02, 0.1, count).tolist(), strict=True):
        reach, colour = radius * width, shade(leaf, rng.uniform(0.55, 1.4))
        draw.ellipse((x - reach, y - reach, x + reach, y + reach * 0.7), fill=(*colour, 210))
    blades = (rng.uniform(0, 1, (90, 2)) * (width, height - horizon) + (0, horizon)).tolist()
    for x, y in blades:
        blade = (*shade(leaf, rng.uniform(0.7, 1.4)), 160)
        draw.line((x, y, x + rng.normal(0, 4), y - height * 0.07), fill=blade, width=2)
    petal = vivid(rng)
    for x, y in blades[: int(rng.integers(0, 20))]:
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=petal)


def _blanket(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]) -> None:
    width, height = size
    slope = rng.uniform(-0.5, 0.5)
    for direction in range(int(rng.integers(1, 3))):
        colour, step = soft(rng), width / rng.uniform(4, 14)
        for at in np.arange(-width, 2 * width, step):
            lean = slope * height
            if direction:
                band = [0, at, width, at + lean, width, at + lean + step * 0.5, 0, at + step * 0.5]
            else:
                band = [
                    at,
                    0,
                    at + step * 0.5,
                    0,
                    at + step * 0.5 + lean,
                    height,
                    at + lean,
                    height,
                ]
            draw.polygon(band, fill=(*colour, 150))


def _bokeh(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]) -> None:
    litter(draw, rng, size, 14, tuple(soft(rng) for _ in range(4)), 0.14)
    for _ in range(int(rng.integers(15, 40))):
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        reach = rng.uniform(0.02, 0.09) * size[0]
        box = (x - reach, y - reach, x + reach, y + reach)
        draw.ellipse(box, fill=(*vivid(rng), int(rng.integers(50, 140))))
