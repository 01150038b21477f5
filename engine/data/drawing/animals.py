"""Draws cats and dogs, which share body and coats and differ in the head."""

from __future__ import annotations

import numpy as np

from engine.data.drawing.brush import Brush, smooth
from engine.data.drawing.colours import COATS, DARK, EYES, PALE, PINK, Colour, mix, shade, vivid


def draw_animal(brush: Brush, animal: str) -> None:
    """Draw a ``cat`` or a ``dog`` with the brush: first the body, then the head."""
    _bust(brush)
    (_cat if animal == "cat" else _dog)(brush)


def _bust(brush: Brush) -> None:
    rng, coat = brush.rng, brush.coat
    if rng.random() < 0.6:
        side = float(rng.choice([-1, 1]))
        tail = [(side * 0.7, 3.0), (side * 1.7, 2.9), (side * 1.75, 1.9), (side * 1.35, 1.5)]
        thick = rng.uniform(0.24, 0.34)
        brush.line(tail, shade(coat, 0.66), thick, -0.5)
        brush.blob(tail[-1], (thick / 2, thick / 2), shade(coat, 0.66), -0.5)
    brush.blob((0, 2.2), (rng.uniform(0.98, 1.2), 1.75), shade(coat, 0.74), -0.3)
    brush.blob((0, 2.1), (0.8, 1.4), shade(coat, 0.84), -0.2)
    if rng.random() < 0.5:
        brush.blob((0, 1.75), (0.42, 0.8), brush.second, -0.1)
    paws = brush.second if rng.random() < 0.4 else shade(coat, 0.96)
    for side in (-1, 1):
        brush.blob((side * 0.4, 2.75), (0.3, 1.15), shade(coat, 0.66), -0.08)
        brush.blob((side * 0.39, 2.75), (0.26, 1.13), shade(coat, 0.9), -0.06)
        brush.blob((side * 0.42, 3.65), (0.36, 0.24), paws, -0.04)
    brush.fur((0, 1.9), (0.85, 1.1), 80)
    if rng.random() < 0.45:
        colour = vivid(rng)
        brush.line([(-0.78, 0.78), (0, 1.14), (0.78, 0.78)], colour, 0.15, -0.1)
        brush.blob((0, 1.2), (0.12, 0.12), (226, 190, 80), -0.05)


def _head(brush: Brush, size: tuple[float, float], cheek: float, jaw: float) -> None:
    """Fill a furry head outline, lighter towards the top, and its patches."""
    rng = brush.rng
    turn = np.linspace(0, 2 * np.pi, 150, endpoint=False)
    from_cheek = np.abs(np.abs(turn - np.pi / 2) - 1.05)  # cheeks lie low on both sides
    radius = 1 + cheek * np.exp(-((from_cheek / 0.28) ** 2))
    tufts = rng.uniform(0.02, 0.055) * np.where(np.arange(150) % 2, rng.uniform(0, 1, 150), 0)
    x = np.cos(turn) * size[0] * radius * (1 - jaw * np.maximum(np.sin(turn), 0))
    outline = np.stack([x, np.sin(turn) * size[1] * radius], axis=1)
    brush.fill(outline * (1 + tufts[:, None]), shade(brush.coat, 0.78))
    for step in range(1, 5):
        shrunk = outline * (1 - 0.085 * step) - (0.03 * step, 0.035 * step)
        brush.fill(shrunk, shade(brush.coat, 0.78 + 0.065 * step))
    if rng.random() < 0.3:  # one half of the face in the second colour
        seam = [(0.08, 0.9), (0.14, 0.3), (0.05, -0.3), (0.16, -0.9)]
        half = outline[outline[:, 0] < -0.02] * 0.985
        brush.fill([*half[np.argsort(half[:, 1])], *np.asarray(seam) * (1, size[1])], brush.second)
    if rng.random() < 0.35:  # a blaze
        brush.fill([(-0.1, -0.8), (0.1, -0.82), (0.24, 0.4), (-0.24, 0.4)], brush.second, 0.15)
    if rng.random() < 0.3:  # a patch around one eye
        brush.blob((0.38, -0.14), (0.34, 0.38), brush.second, 0.15, turn=rng.uniform(-0.5, 0.5))
    if rng.random() < 0.55:
        _stripes(brush, int(rng.integers(2, 5)))
    brush.fur((0, 0), (size[0] * 0.98, size[1] * 0.98), int(rng.integers(150, 260)))


def _stripes(brush: Brush, count: int) -> None:
    dark = shade(brush.coat, 0.52)
    for place in np.linspace(-0.34, 0.34, count):
        wide = 0.055
        tip = (place * 0.7, -0.34 - 0.1 * abs(place))
        brush.fill([(place - wide, -0.82), (place + wide, -0.82), tip], dark, 0.12, 190)
    for side in (-1, 1):
        for low in (0.06, 0.26)[: count - 1]:
            edge = side * 0.93
            brush.fill([(edge, low - 0.06), (edge, low + 0.06), (side * 0.58, low)], dark, 0.1, 170)


def _eyes(
    brush: Brush,
    place: tuple[float, float],
    size: tuple[float, float],
    pupil: tuple[float, float],
    turn: float,
) -> None:
    rng = brush.rng
    iris = EYES[int(rng.integers(len(EYES)))]
    look = rng.uniform(-0.03, 0.03)
    asleep = rng.random() < 0.07
    for side in (-1, 1):
        x, y = side * place[0], place[1]
        if asleep:
            wide = size[0]
            brush.line([(x - wide, y), (x, y + 0.1), (x + wide, y)], DARK, 0.05, 0.35)
            continue
        outer = (size[0] + 0.04, size[1] + 0.035)
        brush.blob((x, y), outer, DARK, 0.33, turn=side * turn)
        brush.blob((x, y), size, iris, 0.35, turn=side * turn)
        brush.blob((x + look, y), pupil, (14, 12, 14), 0.37)
        glint = size[1] * 0.28
        brush.blob((x + look - 0.05, y - size[1] * 0.42), (glint, glint), (255, 255, 255), 0.38)


def _cat(brush: Brush) -> None:
    rng, coat = brush.rng, brush.coat
    folded = rng.random() < 0.04
    spread, tall = rng.uniform(0.68, 0.95), 0.98 if folded else rng.uniform(1.22, 1.5)
    for side in (-1, 1):
        ear = np.asarray([(0.94, -0.22), (spread + 0.08, -0.9), (spread, -tall), (0.5, -1.02)])
        ear = np.vstack([ear, (0.2, -0.74)]) * (side, 1)
        brush.fill(ear, shade(coat, 0.8), -0.1)
        inner = ear.mean(axis=0) + (ear - ear.mean(axis=0)) * 0.62
        brush.fill(inner, PINK if rng.random() < 0.8 else shade(coat, 0.6), -0.05)
    _head(brush, (rng.uniform(0.98, 1.1), rng.uniform(0.84, 0.94)), rng.uniform(0.05, 0.16), 0.05)
    muzzle = mix(coat, PALE, rng.uniform(0.25, 0.9))
    brush.blob((0, 0.56), (0.2, 0.16), muzzle, 0.35)
    for side in (-1, 1):
        brush.blob((side * 0.17, 0.42), (0.23, 0.18), muzzle, 0.4)
    wide = rng.uniform(0.025, 0.1)
    _eyes(
        brush, (0.42, -0.08), (rng.uniform(0.19, 0.24), rng.uniform(0.15, 0.21)), (wide, 0.15), 0.2
    )
    nose = PINK if rng.random() < 0.6 else shade(COATS[int(rng.integers(len(COATS)))], 0.5)
    brush.fill([(-0.11, 0.23), (0, 0.2), (0.11, 0.23), (0.02, 0.35), (-0.02, 0.35)], nose, 0.5)
    for side in (-1, 1):
        brush.line([(0, 0.34), (side * 0.04, 0.5), (side * 0.22, 0.49)], DARK, 0.03, 0.48)
    if rng.random() < 0.88:
        hair = PALE if sum(coat) < 400 or rng.random() < 0.4 else shade(coat, 0.35)
        for side in (-1, 1):
            for row in range(int(rng.integers(2, 5))):
                far, y = side * rng.uniform(1.1, 1.5), 0.36 + 0.07 * row
                end = y + (row - 1) * 0.16 + rng.uniform(-0.06, 0.06)
                brush.line([(side * 0.24, y), (far * 0.6, y - 0.03), (far, end)], hair, 0.02, 0.3)


def _dog(brush: Brush) -> None:
    rng, coat = brush.rng, brush.coat
    ears = rng.choice(["hanging", "folded", "pricked"], p=[0.66, 0.3, 0.04])
    colour = shade(brush.second if rng.random() < 0.4 else coat, rng.uniform(0.6, 0.78))
    if ears == "pricked":
        for side in (-1, 1):
            brush.fill(np.asarray([(0.86, -0.3), (0.76, -1.3), (0.22, -0.8)]) * (side, 1), colour)
    _head(brush, (rng.uniform(0.8, 0.92), rng.uniform(0.92, 1.02)), rng.uniform(0, 0.06), 0.14)
    for side in (-1, 1):
        if ears == "hanging":
            _hanging_ear(brush, side, rng.uniform(0.25, 0.95), colour)
        elif ears == "folded":
            ear = np.asarray([(0.88, -0.3), (0.9, -0.86), (0.62, -1.12), (0.26, -0.84)])
            brush.fill(ear * (side, 1), shade(colour, 1.1))
            flap = np.asarray([(0.36, -1.0), (0.66, -1.16), (0.98, -0.84), (1.04, -0.36)])
            brush.fill(flap * (side, 1), shade(colour, 0.8), 0.2)
    muzzle = mix(coat, PALE, rng.uniform(0.15, 0.85))
    long = rng.uniform(0.34, 0.46)
    if rng.random() < 0.45:
        tongue = 0.9 + rng.uniform(0, 0.2)
        brush.blob((0.03, tongue - 0.05), (0.16, 0.26), shade((222, 104, 116), 0.9), 0.5)
        brush.line([(0.03, tongue - 0.2), (0.03, tongue)], (176, 70, 84), 0.03, 0.5)
    brush.blob((0, 0.5), (rng.uniform(0.42, 0.52), long), shade(muzzle, 0.88), 0.4)
    brush.blob((0, 0.4), (0.36, long * 0.9), muzzle, 0.55)
    round_eye = rng.uniform(0.12, 0.17)
    _eyes(brush, (0.38, -0.18), (round_eye, round_eye), (round_eye * 0.6,) * 2, 0)
    if rng.random() < 0.4:
        for side in (-1, 1):
            brush.blob(
                (side * 0.34, -0.42), (0.1, 0.06), mix(coat, PALE, 0.4), 0.3, turn=side * 0.3
            )
    nose = DARK if rng.random() < 0.75 else (112, 66, 58)
    for side in (-1, 1):
        mouth = [(0, 0.42), (side * 0.05, 0.72), (side * 0.34, 0.68)]
        brush.line(mouth, shade(DARK, 1.3), 0.04, 0.6)
        for spot in range(int(rng.integers(0, 4))):
            at = (side * (0.2 + 0.06 * spot), 0.5 + 0.05 * (spot % 2))
            brush.blob(at, (0.018, 0.018), shade(muzzle, 0.5), 0.6)
    wide = rng.uniform(0.18, 0.24)
    brush.fill(
        [
            (-wide, 0.14),
            (0, 0.07),
            (wide, 0.14),
            (wide * 0.8, 0.27),
            (0, 0.38),
            (-wide * 0.8, 0.27),
        ],
        nose,
        0.75,
    )
    brush.blob((0, 0.19), (wide * 0.92, 0.12), nose, 0.76)
    brush.blob((-0.05, 0.14), (0.08, 0.035), mix(nose, (255, 255, 255), 0.5), 0.78)


def _hanging_ear(brush: Brush, side: int, low: float, colour: Colour) -> None:
    ear = [
        (0.42, -0.86),
        (0.8, -0.86),
        (1.08, -0.4),
        (1.16, low * 0.6),
        (1.0, low),
        (0.8, low * 0.7),
    ]
    outline = smooth(np.asarray([*ear, (0.76, -0.3), (0.42, -0.86)]) * (side, 1))
    brush.fill(outline, colour, 0.1)
    shine = outline.mean(axis=0) + (outline - outline.mean(axis=0)) * 0.7
    brush.fill(shine, shade(colour, 1.14), 0.1)
    middle = (float(outline[:, 0].mean()), float(outline[:, 1].mean()))
    brush.fur(middle, (0.16, 0.5), 24)
