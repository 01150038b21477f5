"""Draws shapes given in head units onto a canvas, as placed by the pose of a head."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import ImageDraw

from engine.data.drawing.colours import Colour


@dataclass
class Pose:
    """Position of a head: maps head units (radius 1, y down, z to the viewer) to canvas pixels."""

    x: float
    y: float
    radius: float
    angle: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    flip: int = 1
    tilt: float = 0.0  # perspective: relative enlargement of the right side
    bend: float = 0.0
    stretch: float = 1.0

    def place(self, points: np.ndarray, z: float) -> np.ndarray:
        """Map points of shape (n, 2)."""
        x = points[:, 0] * np.cos(self.yaw) + z * np.sin(self.yaw)
        y = points[:, 1] + z * np.sin(self.pitch)
        x, y = x / self.stretch + self.bend * np.sin(2.6 * y + 0.6), y * self.stretch
        y = y + self.bend * 0.6 * np.sin(2.2 * x)
        size = self.radius * (1 + self.tilt * x)
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        spun = np.stack([(x * cosine - y * sine) * self.flip, x * sine + y * cosine], axis=1)
        return np.asarray(spun * size[:, None] + (self.x, self.y))


@dataclass
class Brush:
    """Draws shapes given in head units onto the canvas."""

    canvas: ImageDraw.ImageDraw
    pose: Pose
    rng: np.random.Generator
    coat: Colour
    second: Colour
    _circle: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Store the circle from which blobs are made."""
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        self._circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)

    def fill(self, points: object, colour: Colour, z: float = 0.0, alpha: int = 255) -> None:
        """Fill the polygon with corners of shape (n, 2)."""
        placed = self.pose.place(np.asarray(points, dtype=float), z)
        self.canvas.polygon(placed.ravel().tolist(), fill=(*colour, alpha))

    def blob(
        self,
        centre: tuple[float, float],
        size: tuple[float, float],
        colour: Colour,
        z: float = 0.0,
        alpha: int = 255,
        turn: float = 0.0,
    ) -> None:
        """Fill an ellipse with half axes ``size``, turned by an angle in radians."""
        self.fill(turned(self._circle * size, turn) + centre, colour, z, alpha)

    def line(self, points: object, colour: Colour, width: float, z: float = 0.0) -> None:
        """Draw a line through points of shape (n, 2), its corners rounded."""
        placed = self.pose.place(smooth(np.asarray(points, dtype=float)), z)
        pixels = max(1, round(width * self.pose.radius))
        self.canvas.line(placed.ravel().tolist(), fill=colour, width=pixels, joint="curve")

    def fur(self, centre: tuple[float, float], size: tuple[float, float], strokes: int) -> None:
        """Cover an ellipse with short light and dark strokes that run away from the nose."""
        rng, radius = self.rng, np.sqrt(self.rng.uniform(0.02, 0.88, strokes))
        turn = rng.uniform(0, 2 * np.pi, strokes)
        start = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1) * size + centre
        away = start - (0, 0.2)
        away /= np.linalg.norm(away, axis=1, keepdims=True) + 1e-6
        away += rng.normal(0, 0.25, away.shape)
        end = start + away * rng.uniform(0.06, 0.15, (strokes, 1))
        pairs = np.hstack([self.pose.place(start, 0.1), self.pose.place(end, 0.1)]).tolist()
        alphas = rng.integers(16, 52, strokes).tolist()
        for number, (pair, alpha) in enumerate(zip(pairs, alphas, strict=True)):
            self.canvas.line(
                pair, fill=(*((255, 250, 240), (20, 12, 8))[number % 2], alpha), width=3
            )


def random_pose(
    rng: np.random.Generator, size: tuple[int, int], across: float = 0.5, wander: float = 0.12
) -> Pose:
    """Return a random pose near ``across`` (a share of the width) on a canvas of this size."""
    width, height = size
    return Pose(
        x=width * (across + rng.uniform(-wander, wander)),
        y=height * rng.uniform(0.44, 0.6),  # below the middle, to leave room for the ears
        radius=min(size) * rng.uniform(0.26, 0.38),
        angle=float(np.clip(rng.normal(0, 0.22), -0.6, 0.6)),
        yaw=float(rng.uniform(-0.5, 0.5)),
        pitch=float(rng.uniform(-0.22, 0.16)),
        flip=int(rng.choice([-1, 1])),
        tilt=float(rng.uniform(-0.12, 0.12)),
    )


def smooth(points: np.ndarray) -> np.ndarray:
    """Round the corners of a line of shape (n, 2): Chaikin's corner cutting, twice."""
    for _ in range(2):
        near = points[:-1] * 0.75 + points[1:] * 0.25
        far = points[:-1] * 0.25 + points[1:] * 0.75
        middle = np.stack([near, far], axis=1).reshape(-1, 2)
        points = np.vstack([points[:1], middle, points[-1:]])
    return points


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    """Turn points of shape (n, 2) around the origin by an angle in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.asarray([[cosine, sine], [-sine, cosine]]))
