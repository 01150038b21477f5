"""Colours shared by the animals, and functions that derive other colours."""

from __future__ import annotations

import numpy as np

Colour = tuple[int, int, int]

# Cats and dogs share coat and eye colours, so that colour does not reveal the class.
COATS: tuple[Colour, ...] = (
    (222, 146, 76),
    (62, 56, 58),
    (142, 140, 142),
    (234, 206, 164),
    (136, 92, 60),
    (238, 234, 228),
    (98, 66, 48),
    (116, 126, 140),
    (196, 166, 130),
    (178, 98, 56),
)
EYES: tuple[Colour, ...] = (
    (196, 148, 40),
    (120, 150, 66),
    (104, 64, 34),
    (92, 140, 178),
    (150, 96, 44),
)
PINK, DARK, PALE = (226, 142, 142), (36, 30, 32), (246, 238, 226)


def coat_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Return two different coat colours, a little lighter or darker than in the list."""
    first, second = rng.permutation(len(COATS))[:2]
    gain = rng.normal(1, 0.07)
    return shade(COATS[first], gain), shade(COATS[second], gain)


def shade(colour: Colour, gain: float) -> Colour:
    """Return the colour made lighter (``gain`` above 1) or darker."""
    red, green, blue = (min(255, max(0, int(value * gain))) for value in colour)
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return the first colour with ``share`` of the second in it."""
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def soft(rng: np.random.Generator) -> Colour:
    """Return a muted colour, for walls and cloth."""
    grey = rng.uniform(70, 215)
    red, green, blue = (int(np.clip(grey + rng.normal(0, 28), 0, 255)) for _ in range(3))
    return red, green, blue


def vivid(rng: np.random.Generator) -> Colour:
    """Return a bright colour, for toys and flowers."""
    red, green, blue = (int(value) for value in rng.permutation([208, rng.uniform(70, 190), 66]))
    return red, green, blue
