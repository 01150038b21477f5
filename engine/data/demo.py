"""Draws the demo pictures: cats and dogs in Kaggle's layout, with known planted difficulties."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from engine.errors import Refused

CLASSES = ("cat", "dog")
FORMAT_VERSION = 1  # raise it when the drawings change: an older demo is then not taken as the same

# How many of each 100 pictures are planted; which ones is drawn once a hundred.
_PLANTED_TRAIN = {
    "occlusion": 2,
    "background-clutter": 2,
    "darkness": 2,
    "blur": 2,
    "wrong-label": 2,
    "deformation": 1,
    "both-animals": 1,
    "neither": 1,
}
_PLANTED_TEST = {
    "near-duplicate": 3,
    "occlusion": 2,
    "background-clutter": 2,
    "blur": 2,
    "darkness": 1,
    "deformation": 1,
    "both-animals": 1,
    "neither": 1,
}
KINDS = (*_PLANTED_TRAIN, "near-duplicate", "undecodable")
_TRAIN, _TEST, _CHOICES = 0, 1, 2  # second word of every seed
_MINIMUM_TRAIN = 20
_BATCH = 16

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class DemoSummary:
    """What a demo folder holds; ``planted`` counts the planted pictures by kind."""

    folder: Path
    train: int
    test: int
    planted: dict[str, int]


@dataclass(frozen=True)
class _Picture:
    """One picture to draw: its file, its seed, and what is planted in it."""

    path: str
    split: int
    number: int
    animal: str
    kind: str = ""
    source: _Picture | None = None  # of a near-duplicate


def draw_demo(
    folder: Path,
    train: int = 1200,
    test: int = 300,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> DemoSummary:
    """Draw a labelled and an unlabelled set of cats and dogs into ``folder``, whole or not at all.

    The folder gets ``train/cat.0.jpg``, ``train/dog.0.jpg``, ..., ``test/1.jpg``, ...,
    ``sample_submission.csv``, ``planted.csv`` (path, kind, detail) and ``demo.json``. The same
    seed draws the same bytes; a picture does not depend on how many others there are, except that
    a near-duplicate needs its training picture. The same demo asked for again is left as it is.

    Parameters
    ----------
    train : number of labelled pictures, at least 20, half of them cats
    test : number of unlabelled pictures, at least 1
    progress : called with (pictures done, pictures in all) now and then

    Raises
    ------
    Refused
        On too few pictures, a negative seed, a folder that holds something else, or a disk that
        cannot be written.
    """
    if train < _MINIMUM_TRAIN:
        raise Refused(f"--train {train} is too few: ask for {_MINIMUM_TRAIN} pictures or more.")
    if test < 1:
        raise Refused(f"--test {test} is too few: ask for 1 picture or more.")
    if seed < 0:
        raise Refused(f"--seed {seed} is negative: choose 0 or more.")
    pictures = _plan(train, test, seed)
    counts = Counter(picture.kind for picture in pictures if picture.kind)
    planted = {kind: counts[kind] for kind in KINDS if counts[kind]}
    summary = DemoSummary(folder, train, test, planted)
    try:
        target = folder.resolve()
        if target.exists() and not target.is_dir():
            raise Refused(f"{folder} is a file: name a folder that is new or empty.")
        if target.exists() and any(target.iterdir()):
            if not _holds(target, pictures, _card(summary, seed)):
                raise Refused(f"{folder} is not empty: name a folder that is new or empty.")
            return summary
        with _whole_folder(target) as temporary:
            (temporary / "train").mkdir()
            (temporary / "test").mkdir()
            _draw_all(temporary, pictures, seed, progress)
            _write_tables(temporary, pictures, test, seed)
            card = json.dumps(_card(summary, seed), indent=2) + "\n"
            (temporary / "demo.json").write_text(card, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise Refused(f"{folder} could not be written ({reason}); nothing was kept.") from error
    return summary


# --- the plan: which picture holds what ---------------------------------------------------------


def _plan(train: int, test: int, seed: int) -> list[_Picture]:
    damaged = int(np.random.default_rng([seed, _CHOICES]).integers(_MINIMUM_TRAIN))
    kinds = _kinds(seed, _TRAIN, train, _PLANTED_TRAIN)
    kinds[damaged] = "undecodable"
    labelled = []
    for number, kind in enumerate(kinds):
        name = CLASSES[number % 2]
        animal = CLASSES[1 - number % 2] if kind == "wrong-label" else name
        path = f"train/{name}.{number // 2}.jpg"
        labelled.append(_Picture(path, _TRAIN, number, animal, kind))
    unlabelled = []
    for number, kind in enumerate(_kinds(seed, _TEST, test, _PLANTED_TEST), start=1):
        path = f"test/{number}.jpg"
        if kind == "near-duplicate":
            source = _plain_near(labelled, 4 * number)
            unlabelled.append(_Picture(path, _TEST, number, source.animal, kind, source))
        else:
            animal = CLASSES[int(np.random.default_rng([seed, _TEST, number]).integers(2))]
            unlabelled.append(_Picture(path, _TEST, number, animal, kind))
    return labelled + unlabelled


def _kinds(seed: int, split: int, count: int, planted: dict[str, int]) -> list[str]:
    """Return the kind of each picture, "" for a plain one, the same for any ``count``."""
    hundred = [kind for kind, times in planted.items() for _ in range(times)]
    hundred += [""] * (100 - len(hundred))
    kinds: list[str] = []
    while len(kinds) < count:
        order = np.random.default_rng([seed, _CHOICES, split, len(kinds)]).permutation(100)
        kinds += [hundred[place] for place in order]
    return kinds[:count]


def _plain_near(pictures: list[_Picture], number: int) -> _Picture:
    turn = (pictures[(number + step) % len(pictures)] for step in range(len(pictures)))
    return next(picture for picture in turn if not picture.kind)


def _detail(picture: _Picture, seed: int) -> str:
    """Say in words what a planted picture truly shows."""
    if picture.source is not None:
        return picture.source.path
    if picture.kind == "both-animals":
        return "cat and dog"
    if picture.kind == "neither":
        return "no animal"
    if picture.kind == "occlusion":
        return f"{picture.animal} behind {_occluder(picture, seed)}"
    return picture.animal


def _occluder(picture: _Picture, seed: int) -> str:
    choice = np.random.default_rng([seed, _CHOICES, picture.split, picture.number, 1])
    return _OCCLUDERS[int(choice.integers(len(_OCCLUDERS)))]


# --- the folder ---------------------------------------------------------------------------------


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """Yield a hidden folder beside ``target`` that takes its name once the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name}.tmp-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _card(summary: DemoSummary, seed: int) -> dict[str, object]:
    return {
        "format_version": FORMAT_VERSION,
        "train": summary.train,
        "test": summary.test,
        "seed": seed,
        "planted": summary.planted,
    }


def _holds(folder: Path, pictures: list[_Picture], card: dict[str, object]) -> bool:
    try:
        if json.loads((folder / "demo.json").read_text(encoding="utf-8")) != card:
            return False
    except (OSError, ValueError):
        return False
    found = {path.relative_to(folder).as_posix() for path in folder.glob("*/*")}
    tables = all((folder / name).is_file() for name in ("sample_submission.csv", "planted.csv"))
    return tables and found == {picture.path for picture in pictures}


def _write_tables(folder: Path, pictures: list[_Picture], test: int, seed: int) -> None:
    rows = "".join(f"{number},0.5\n" for number in range(1, test + 1))
    (folder / "sample_submission.csv").write_text("id,label\n" + rows, encoding="utf-8")
    with open(folder / "planted.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "kind", "detail"])
        for picture in pictures:
            if picture.kind:
                writer.writerow([picture.path, picture.kind, _detail(picture, seed)])


def _draw_all(
    folder: Path,
    pictures: list[_Picture],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    batches = [pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH)]
    # Spawned, not forked: the caller may run threads, and a fresh process imports only this module.
    pool = ProcessPoolExecutor(
        min(os.cpu_count() or 1, len(batches), 32), get_context("spawn"), _leave_interrupts
    )
    try:
        done = 0
        for future in as_completed([pool.submit(_draw_batch, folder, b, seed) for b in batches]):
            done += future.result()
            if progress is not None:
                progress(done, len(pictures))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_interrupts() -> None:
    """Let the parent answer Ctrl-C, so that a worker prints no traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw_batch(folder: Path, pictures: list[_Picture], seed: int) -> int:
    for picture in pictures:
        (folder / picture.path).write_bytes(_jpeg(picture, seed))
    return len(pictures)


def _jpeg(picture: _Picture, seed: int) -> bytes:
    shown, quality = picture.source or picture, 78 if picture.source else 88
    rng = np.random.default_rng([seed, shown.split, shown.number])
    image = _image(rng, shown.animal, shown.kind, _occluder(shown, seed))
    if picture.source is not None:
        image = _recropped(image, np.random.default_rng([seed, picture.split, picture.number]))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    content = buffer.getvalue()
    return content[: len(content) // 2] if picture.kind == "undecodable" else content


def _recropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    left, top, right, bottom = rng.uniform(0.005, 0.03, 4)
    width, height = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    copy = image.resize(image.size, Image.Resampling.BICUBIC, box=box)
    gain = float(rng.choice([-1, 1]) * rng.uniform(0.06, 0.12)) + 1
    return copy.point([min(255, int(value * gain)) for value in range(256)] * 3)


# --- the picture --------------------------------------------------------------------------------

_SS = 2  # everything sharp is drawn at twice the size and reduced

# Coats and eyes are shared, so that no colour tells a cat from a dog.
_COATS: tuple[Colour, ...] = (
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
_EYES: tuple[Colour, ...] = (
    (196, 148, 40),
    (120, 150, 66),
    (104, 64, 34),
    (92, 140, 178),
    (150, 96, 44),
)
_PINK, _DARK, _PALE = (226, 142, 142), (36, 30, 32), (246, 238, 226)
_OCCLUDERS = ("a cushion", "a curtain", "leaves", "a fence")


@dataclass
class _Pose:
    """Where a head sits: head units (radius 1, y down, z towards the viewer) to canvas pixels."""

    x: float
    y: float
    radius: float
    angle: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    flip: int = 1
    tilt: float = 0.0  # perspective: how much larger the right side is
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
        turned = np.stack([(x * cosine - y * sine) * self.flip, x * sine + y * cosine], axis=1)
        return np.asarray(turned * size[:, None] + (self.x, self.y))


@dataclass
class _Brush:
    """Draws shapes given in head units onto the canvas."""

    canvas: ImageDraw.ImageDraw
    pose: _Pose
    rng: np.random.Generator
    coat: Colour
    second: Colour
    _circle: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        self._circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)

    def fill(self, points: object, colour: Colour, z: float = 0.0, alpha: int = 255) -> None:
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
        self.fill(_turned(self._circle * size, turn) + centre, colour, z, alpha)

    def line(self, points: object, colour: Colour, width: float, z: float = 0.0) -> None:
        placed = self.pose.place(_smooth(np.asarray(points, dtype=float)), z)
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


def _image(rng: np.random.Generator, animal: str, kind: str, occluder: str) -> Image.Image:
    """Draw one picture: backdrop, animals, what stands before them, light, camera."""
    width, height = (int(size * rng.uniform(0.92, 1.06)) for size in (500, 375))
    if rng.random() < 0.18:
        width, height = height, width
    coat, second = _coat(rng)
    canvas = _backdrop(rng, width, height, coat if kind == "background-clutter" else None)
    draw = ImageDraw.Draw(canvas, "RGBA")
    if kind == "neither":
        _still_life(draw, rng, canvas.size)
    elif kind == "both-animals":
        for place, one in zip((0.28, 0.72), rng.permutation(CLASSES).tolist(), strict=True):
            pose = _pose(rng, canvas.size, across=place, wander=0.04)
            pose.radius *= 0.72
            _animal(_Brush(draw, pose, rng, *_coat(rng)), one)
    else:
        pose = _pose(rng, canvas.size)
        if kind == "deformation":
            pose.bend = float(rng.choice([-1, 1]) * rng.uniform(0.32, 0.45))
            pose.stretch = float(rng.choice([0.68, 1.42]))
            pose.angle += float(rng.choice([0, np.pi / 2, np.pi]))
        if kind == "background-clutter":
            pose.radius *= 0.6
        _animal(_Brush(draw, pose, rng, coat, second), animal)
        if kind == "occlusion":
            _occlude(_Brush(draw, pose, rng, *_coat(rng)), occluder)
        if kind == "background-clutter":
            _litter(draw, rng, canvas.size, 26, (coat, second), 0.05)
    return _camera(canvas.reduce(_SS), rng, kind)


def _coat(rng: np.random.Generator) -> tuple[Colour, Colour]:
    first, second = rng.permutation(len(_COATS))[:2]
    gain = rng.normal(1, 0.07)
    return _shade(_COATS[first], gain), _shade(_COATS[second], gain)


def _pose(
    rng: np.random.Generator, size: tuple[int, int], across: float = 0.5, wander: float = 0.12
) -> _Pose:
    width, height = size
    return _Pose(
        x=width * (across + rng.uniform(-wander, wander)),
        y=height * rng.uniform(0.4, 0.6),
        radius=min(size) * rng.uniform(0.22, 0.34),
        angle=float(np.clip(rng.normal(0, 0.22), -0.6, 0.6)),
        yaw=float(rng.uniform(-0.5, 0.5)),
        pitch=float(rng.uniform(-0.22, 0.16)),
        flip=int(rng.choice([-1, 1])),
        tilt=float(rng.uniform(-0.12, 0.12)),
    )


def _camera(image: Image.Image, rng: np.random.Generator, kind: str) -> Image.Image:
    """Light the picture unevenly, add grain, and spoil it where that is planted."""
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


def _shaken(image: Image.Image, length: float, angle: float) -> Image.Image:
    """Blur along a line of ``length`` pixels: the mean of sixteen shifted copies."""
    total = np.zeros((image.height, image.width, 3), dtype=np.uint16)
    for step in np.linspace(-length / 2, length / 2, 16):
        shift = (round(step * np.cos(angle)), round(step * np.sin(angle)))
        total += np.asarray(ImageChops.offset(image, *shift))
    return Image.fromarray((total // 16).astype(np.uint8))


# --- the animals --------------------------------------------------------------------------------


def _animal(brush: _Brush, animal: str) -> None:
    _bust(brush)
    (_cat if animal == "cat" else _dog)(brush)


def _bust(brush: _Brush) -> None:
    rng, coat = brush.rng, brush.coat
    if rng.random() < 0.6:
        side = float(rng.choice([-1, 1]))
        tail = [(side * 0.7, 3.0), (side * 1.7, 2.9), (side * 1.75, 1.9), (side * 1.35, 1.5)]
        thick = rng.uniform(0.24, 0.34)
        brush.line(tail, _shade(coat, 0.66), thick, -0.5)
        brush.blob(tail[-1], (thick / 2, thick / 2), _shade(coat, 0.66), -0.5)
    brush.blob((0, 2.2), (rng.uniform(0.98, 1.2), 1.75), _shade(coat, 0.74), -0.3)
    brush.blob((0, 2.1), (0.8, 1.4), _shade(coat, 0.84), -0.2)
    if rng.random() < 0.5:
        brush.blob((0, 1.75), (0.42, 0.8), brush.second, -0.1)
    paws = brush.second if rng.random() < 0.4 else _shade(coat, 0.96)
    for side in (-1, 1):
        brush.blob((side * 0.4, 2.75), (0.3, 1.15), _shade(coat, 0.66), -0.08)
        brush.blob((side * 0.39, 2.75), (0.26, 1.13), _shade(coat, 0.9), -0.06)
        brush.blob((side * 0.42, 3.65), (0.36, 0.24), paws, -0.04)
    brush.fur((0, 1.9), (0.85, 1.1), 80)
    if rng.random() < 0.45:
        colour = _vivid(rng)
        brush.line([(-0.78, 0.78), (0, 1.14), (0.78, 0.78)], colour, 0.15, -0.1)
        brush.blob((0, 1.2), (0.12, 0.12), (226, 190, 80), -0.05)


def _head(brush: _Brush, size: tuple[float, float], cheek: float, jaw: float) -> None:
    """Fill a furry head outline, lighter towards the top, and its patches."""
    rng = brush.rng
    turn = np.linspace(0, 2 * np.pi, 150, endpoint=False)
    from_cheek = np.abs(np.abs(turn - np.pi / 2) - 1.05)  # cheeks lie low on both sides
    radius = 1 + cheek * np.exp(-((from_cheek / 0.28) ** 2))
    tufts = rng.uniform(0.02, 0.055) * np.where(np.arange(150) % 2, rng.uniform(0, 1, 150), 0)
    x = np.cos(turn) * size[0] * radius * (1 - jaw * np.maximum(np.sin(turn), 0))
    outline = np.stack([x, np.sin(turn) * size[1] * radius], axis=1)
    brush.fill(outline * (1 + tufts[:, None]), _shade(brush.coat, 0.78))
    for step in range(1, 5):
        shrunk = outline * (1 - 0.085 * step) - (0.03 * step, 0.035 * step)
        brush.fill(shrunk, _shade(brush.coat, 0.78 + 0.065 * step))
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


def _stripes(brush: _Brush, count: int) -> None:
    dark = _shade(brush.coat, 0.52)
    for place in np.linspace(-0.34, 0.34, count):
        wide = 0.055
        tip = (place * 0.7, -0.34 - 0.1 * abs(place))
        brush.fill([(place - wide, -0.82), (place + wide, -0.82), tip], dark, 0.12, 190)
    for side in (-1, 1):
        for low in (0.06, 0.26)[: count - 1]:
            edge = side * 0.93
            brush.fill([(edge, low - 0.06), (edge, low + 0.06), (side * 0.58, low)], dark, 0.1, 170)


def _eyes(
    brush: _Brush,
    place: tuple[float, float],
    size: tuple[float, float],
    pupil: tuple[float, float],
    turn: float,
) -> None:
    rng = brush.rng
    iris = _EYES[int(rng.integers(len(_EYES)))]
    look = rng.uniform(-0.03, 0.03)
    asleep = rng.random() < 0.07
    for side in (-1, 1):
        x, y = side * place[0], place[1]
        if asleep:
            wide = size[0]
            brush.line([(x - wide, y), (x, y + 0.1), (x + wide, y)], _DARK, 0.05, 0.35)
            continue
        outer = (size[0] + 0.04, size[1] + 0.035)
        brush.blob((x, y), outer, _DARK, 0.33, turn=side * turn)
        brush.blob((x, y), size, iris, 0.35, turn=side * turn)
        brush.blob((x + look, y), pupil, (14, 12, 14), 0.37)
        glint = size[1] * 0.28
        brush.blob((x + look - 0.05, y - size[1] * 0.42), (glint, glint), (255, 255, 255), 0.38)


def _cat(brush: _Brush) -> None:
    rng, coat = brush.rng, brush.coat
    folded = rng.random() < 0.04
    spread, tall = rng.uniform(0.68, 0.95), 0.98 if folded else rng.uniform(1.22, 1.5)
    for side in (-1, 1):
        ear = np.asarray([(0.94, -0.22), (spread + 0.08, -0.9), (spread, -tall), (0.5, -1.02)])
        ear = np.vstack([ear, (0.2, -0.74)]) * (side, 1)
        brush.fill(ear, _shade(coat, 0.8), -0.1)
        inner = ear.mean(axis=0) + (ear - ear.mean(axis=0)) * 0.62
        brush.fill(inner, _PINK if rng.random() < 0.8 else _shade(coat, 0.6), -0.05)
    _head(brush, (rng.uniform(0.98, 1.1), rng.uniform(0.84, 0.94)), rng.uniform(0.05, 0.16), 0.05)
    muzzle = _mix(coat, _PALE, rng.uniform(0.25, 0.9))
    brush.blob((0, 0.56), (0.2, 0.16), muzzle, 0.35)
    for side in (-1, 1):
        brush.blob((side * 0.17, 0.42), (0.23, 0.18), muzzle, 0.4)
    wide = rng.uniform(0.025, 0.1)
    _eyes(
        brush, (0.42, -0.08), (rng.uniform(0.19, 0.24), rng.uniform(0.15, 0.21)), (wide, 0.15), 0.2
    )
    nose = _PINK if rng.random() < 0.6 else _shade(_COATS[int(rng.integers(len(_COATS)))], 0.5)
    brush.fill([(-0.11, 0.23), (0, 0.2), (0.11, 0.23), (0.02, 0.35), (-0.02, 0.35)], nose, 0.5)
    for side in (-1, 1):
        brush.line([(0, 0.34), (side * 0.04, 0.5), (side * 0.22, 0.49)], _DARK, 0.03, 0.48)
    if rng.random() < 0.88:
        hair = _PALE if sum(coat) < 400 or rng.random() < 0.4 else _shade(coat, 0.35)
        for side in (-1, 1):
            for row in range(int(rng.integers(2, 5))):
                far, y = side * rng.uniform(1.1, 1.5), 0.36 + 0.07 * row
                end = y + (row - 1) * 0.16 + rng.uniform(-0.06, 0.06)
                brush.line([(side * 0.24, y), (far * 0.6, y - 0.03), (far, end)], hair, 0.02, 0.3)


def _dog(brush: _Brush) -> None:
    rng, coat = brush.rng, brush.coat
    ears = rng.choice(["hanging", "folded", "pricked"], p=[0.66, 0.3, 0.04])
    colour = _shade(brush.second if rng.random() < 0.4 else coat, rng.uniform(0.6, 0.78))
    if ears == "pricked":
        for side in (-1, 1):
            brush.fill(np.asarray([(0.86, -0.3), (0.76, -1.3), (0.22, -0.8)]) * (side, 1), colour)
    _head(brush, (rng.uniform(0.8, 0.92), rng.uniform(0.92, 1.02)), rng.uniform(0, 0.06), 0.14)
    for side in (-1, 1):
        if ears == "hanging":
            _hanging_ear(brush, side, rng.uniform(0.25, 0.95), colour)
        elif ears == "folded":
            ear = np.asarray([(0.88, -0.3), (0.9, -0.86), (0.62, -1.12), (0.26, -0.84)])
            brush.fill(ear * (side, 1), _shade(colour, 1.1))
            flap = np.asarray([(0.36, -1.0), (0.66, -1.16), (0.98, -0.84), (1.04, -0.36)])
            brush.fill(flap * (side, 1), _shade(colour, 0.8), 0.2)
    muzzle = _mix(coat, _PALE, rng.uniform(0.15, 0.85))
    long = rng.uniform(0.34, 0.46)
    if rng.random() < 0.45:
        tongue = 0.9 + rng.uniform(0, 0.2)
        brush.blob((0.03, tongue - 0.05), (0.16, 0.26), _shade((222, 104, 116), 0.9), 0.5)
        brush.line([(0.03, tongue - 0.2), (0.03, tongue)], (176, 70, 84), 0.03, 0.5)
    brush.blob((0, 0.5), (rng.uniform(0.42, 0.52), long), _shade(muzzle, 0.88), 0.4)
    brush.blob((0, 0.4), (0.36, long * 0.9), muzzle, 0.55)
    round_eye = rng.uniform(0.12, 0.17)
    _eyes(brush, (0.38, -0.18), (round_eye, round_eye), (round_eye * 0.6,) * 2, 0)
    if rng.random() < 0.4:
        for side in (-1, 1):
            brush.blob(
                (side * 0.34, -0.42), (0.1, 0.06), _mix(coat, _PALE, 0.4), 0.3, turn=side * 0.3
            )
    nose = _DARK if rng.random() < 0.75 else (112, 66, 58)
    for side in (-1, 1):
        mouth = [(0, 0.42), (side * 0.05, 0.72), (side * 0.34, 0.68)]
        brush.line(mouth, _shade(_DARK, 1.3), 0.04, 0.6)
        for spot in range(int(rng.integers(0, 4))):
            at = (side * (0.2 + 0.06 * spot), 0.5 + 0.05 * (spot % 2))
            brush.blob(at, (0.018, 0.018), _shade(muzzle, 0.5), 0.6)
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
    brush.blob((-0.05, 0.14), (0.08, 0.035), _mix(nose, (255, 255, 255), 0.5), 0.78)


def _hanging_ear(brush: _Brush, side: int, low: float, colour: Colour) -> None:
    ear = [
        (0.42, -0.86),
        (0.8, -0.86),
        (1.08, -0.4),
        (1.16, low * 0.6),
        (1.0, low),
        (0.8, low * 0.7),
    ]
    outline = _smooth(np.asarray([*ear, (0.76, -0.3), (0.42, -0.86)]) * (side, 1))
    brush.fill(outline, colour, 0.1)
    shine = outline.mean(axis=0) + (outline - outline.mean(axis=0)) * 0.7
    brush.fill(shine, _shade(colour, 1.14), 0.1)
    middle = (float(outline[:, 0].mean()), float(outline[:, 1].mean()))
    brush.fur(middle, (0.16, 0.5), 24)


# --- what is around them ------------------------------------------------------------------------


def _backdrop(
    rng: np.random.Generator, width: int, height: int, clutter: Colour | None
) -> Image.Image:
    """Paint a scene small and enlarge it, so that it lies out of focus by a varying amount."""
    coarse = 1.2 if clutter else float(rng.choice([1.2, 2, 3]))
    size = (int(width / coarse), int(height / coarse))
    corners = np.asarray([[_soft(rng), _soft(rng)], [_soft(rng), _soft(rng)]], dtype=np.uint8)
    scene = Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(scene, "RGBA")
    painter = (_room, _garden, _blanket, _bokeh)[int(rng.choice(4, p=[0.4, 0.28, 0.16, 0.16]))]
    painter(draw, rng, size)
    if clutter:
        near = tuple(_shade(clutter, gain) for gain in (0.7, 0.85, 1.0, 1.15))
        _litter(draw, rng, size, 150, (*near, _vivid(rng), _PALE, _DARK), 0.075)
    full = (width * _SS, height * _SS)
    scene = scene.filter(ImageFilter.BoxBlur(0.8))  # polygons have hard edges
    return scene.resize(full, Image.Resampling.BILINEAR)


def _room(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]) -> None:
    width, height = size
    floor = height * rng.uniform(0.6, 0.85)
    paper = _soft(rng)
    if rng.random() < 0.6:
        step = width / rng.integers(7, 22)
        for left in np.arange(0, width, step):
            draw.rectangle((left, 0, left + step * 0.45, floor), fill=(*paper, 130))
    draw.rectangle((0, floor, width, height), fill=_soft(rng))
    for board in np.linspace(floor, height, int(rng.integers(2, 5))):
        draw.line((0, board, width, board), fill=(40, 30, 20, 90), width=2)
    for _ in range(int(rng.integers(2, 6))):
        left, wide = rng.uniform(-0.1, 0.9) * width, rng.uniform(0.14, 0.4) * width
        thing, colour = int(rng.integers(4)), _soft(rng)
        top = rng.uniform(0.02, 0.3) * height
        if thing == 0:  # a window or a picture on the wall
            box = (left, top, left + wide, top + wide * 0.8)
            draw.rectangle(box, fill=_soft(rng), outline=_shade(colour, 0.6), width=4)
            middle = left + wide / 2
            draw.line((middle, top, middle, top + wide * 0.8), fill=_shade(colour, 0.6), width=3)
        elif thing == 1:  # a sofa
            box = (left, floor - wide * 0.5, left + wide * 1.6, height)
            draw.rounded_rectangle(box, wide * 0.15, fill=colour)
            seat = (left + wide * 0.2, floor - wide * 0.1, left + wide * 1.4, height)
            draw.rounded_rectangle(seat, wide * 0.1, fill=_shade(colour, 1.15))
        elif thing == 2:  # a shelf with books
            x, board = left, top + wide * 0.5
            while x < left + wide:
                thick = wide * rng.uniform(0.06, 0.14)
                tall = wide * rng.uniform(0.25, 0.45)
                draw.rectangle((x, board - tall, x + thick, board), fill=_vivid(rng))
                x += thick + 1
            draw.rectangle((left, board, left + wide, board + 4), fill=_shade(colour, 0.5))
        else:  # a lamp
            middle, shade = left + wide / 2, wide * 0.3
            draw.line((middle, top, middle, floor), fill=_shade(colour, 0.5), width=3)
            corners = [middle - shade, top + shade, middle + shade, top + shade]
            draw.polygon([*corners, middle + shade / 2, top, middle - shade / 2, top], fill=colour)


def _garden(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]) -> None:
    width, height = size
    horizon = height * rng.uniform(0.35, 0.7)
    leaf = _mix((88, 132, 62), _soft(rng), rng.uniform(0, 0.5))
    draw.rectangle((0, horizon, width, height), fill=_shade(leaf, 0.85))
    count = int(rng.integers(30, 80))
    spots = rng.uniform((-0.05, 0.1), (1.05, 0.95), (count, 2)) * (width, height)
    for (x, y), radius in zip(spots.tolist(), rng.uniform(0.02, 0.1, count).tolist(), strict=True):
        reach, colour = radius * width, _shade(leaf, rng.uniform(0.55, 1.4))
        draw.ellipse((x - reach, y - reach, x + reach, y + reach * 0.7), fill=(*colour, 210))
    blades = (rng.uniform(0, 1, (90, 2)) * (width, height - horizon) + (0, horizon)).tolist()
    for x, y in blades:
        blade = (*_shade(leaf, rng.uniform(0.7, 1.4)), 160)
        draw.line((x, y, x + rng.normal(0, 4), y - height * 0.07), fill=blade, width=2)
    petal = _vivid(rng)
    for x, y in blades[: int(rng.integers(0, 20))]:
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=petal)


def _blanket(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]) -> None:
    width, height = size
    slope = rng.uniform(-0.5, 0.5)
    for direction in range(int(rng.integers(1, 3))):
        colour, step = _soft(rng), width / rng.uniform(4, 14)
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
    _litter(draw, rng, size, 14, tuple(_soft(rng) for _ in range(4)), 0.14)
    for _ in range(int(rng.integers(15, 40))):
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        reach = rng.uniform(0.02, 0.09) * size[0]
        box = (x - reach, y - reach, x + reach, y + reach)
        draw.ellipse(box, fill=(*_vivid(rng), int(rng.integers(50, 140))))


def _litter(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    size: tuple[int, int],
    count: int,
    colours: tuple[Colour, ...],
    largest: float,
) -> None:
    """Strew triangles, balls and sticks of the given colours."""
    width, height = size
    for number in range(count):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        reach = rng.uniform(0.25, 1) * largest * width
        colour = _shade(colours[int(rng.integers(len(colours)))], rng.uniform(0.8, 1.2))
        if number % 3 == 0:
            turn = rng.uniform(0, 2 * np.pi) + np.asarray([0, 2.0, 4.2])
            corners = np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn)], axis=1)
            draw.polygon(corners.ravel().tolist(), fill=colour)
        elif number % 3 == 1:
            box = (x - reach, y - reach * 0.8, x + reach, y + reach * 0.8)
            draw.ellipse(
                box, fill=colour, outline=_shade(colour, 0.6), width=max(1, int(reach / 8))
            )
        else:
            end = (x + rng.normal(0, 2) * reach, y + rng.normal(0, 2) * reach)
            draw.line((x, y, *end), fill=colour, width=max(2, int(reach / 4)))


def _still_life(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]) -> None:
    """Put a potted plant, a ball and a mug where the animal would be."""
    reach = min(size) * 0.2
    brush = _Brush(
        draw, _Pose(size[0] * rng.uniform(0.35, 0.65), size[1] * 0.55, reach), rng, _PALE, _PALE
    )
    leaf, pot = _shade((84, 132, 70), rng.uniform(0.7, 1.2)), _soft(rng)
    for turn in np.linspace(-1.3, 1.3, int(rng.integers(7, 12))):
        tip = np.asarray([np.sin(turn), -np.cos(turn)]) * rng.uniform(0.8, 1.3)
        across = np.asarray([-tip[1], tip[0]]) * 0.16
        blade = _smooth(
            np.asarray([(0, 0.3), tip * 0.5 + across, tip, tip * 0.5 - across, (0, 0.3)])
        )
        brush.fill(blade, _shade(leaf, rng.uniform(0.75, 1.25)))
    brush.fill([(-0.55, 0.25), (0.55, 0.25), (0.4, 1.2), (-0.4, 1.2)], pot)
    brush.fill([(-0.62, 0.15), (0.62, 0.15), (0.62, 0.38), (-0.62, 0.38)], _shade(pot, 0.85))
    side, ball = float(rng.choice([-1, 1])), _vivid(rng)
    brush.blob((side * 1.3, 0.9), (0.42, 0.42), ball)
    brush.line(
        [(side * 1.3 - 0.4, 0.85), (side * 1.3, 1.02), (side * 1.3 + 0.4, 0.85)], _PALE, 0.08
    )
    brush.blob((side * 1.3 - 0.14, 0.74), (0.1, 0.08), (255, 255, 255), alpha=170)


def _occlude(brush: _Brush, thing: str) -> None:
    """Cover about half of the face and more."""
    rng, pose = brush.rng, brush.pose
    colour = _soft(rng)
    front = _Brush(brush.canvas, _Pose(pose.x, pose.y, pose.radius), rng, colour, colour)
    if thing == "a cushion":
        across = rng.uniform(-0.35, 0.35)
        box = np.asarray(
            [(-1.6, -0.1), (0, 0.05), (1.6, -0.1), (1.5, 1.2), (1.7, 2.6), (-1.7, 2.6)]
        )
        outline = _smooth(np.vstack([box, (-1.5, 1.2), box[0]]))
        front.fill(outline + (across, 0), colour)
        for stripe in np.linspace(-1.2, 1.2, 6):
            band = [(stripe, 0.06), (stripe + 0.18, 0.06), (stripe + 0.18, 2.4), (stripe, 2.4)]
            front.fill(np.asarray(band) + (across, 0), _shade(colour, 0.8))
    elif thing == "a curtain":
        side = float(rng.choice([-1, 1]))
        for fold in np.arange(-0.1, 3.4, 0.22):
            band = [(fold, -6), (fold + 0.24, -6), (fold + 0.24, 6), (fold, 6)]
            shade = 0.85 + 0.15 * np.cos(fold * 9)
            front.fill(np.asarray(band) * (side, 1), _shade(colour, shade))
    elif thing == "leaves":
        for _ in range(46):
            at, turn = rng.normal(0, 0.75, 2), rng.uniform(0, np.pi)
            leaf = _shade((84, 128, 60), rng.uniform(0.6, 1.3))
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
                _shade(colour, 0.75),
            )
        for rail in (-0.75, 0.7):
            front.fill(
                [(-9, rail), (9, rail), (9, rail + 0.26), (-9, rail + 0.26)], _shade(colour, 0.9)
            )


# --- small helps --------------------------------------------------------------------------------


def _shade(colour: Colour, gain: float) -> Colour:
    red, green, blue = (min(255, max(0, int(value * gain))) for value in colour)
    return red, green, blue


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _soft(rng: np.random.Generator) -> Colour:
    """Return a muted colour, as walls and cloth have."""
    grey = rng.uniform(70, 215)
    red, green, blue = (int(np.clip(grey + rng.normal(0, 28), 0, 255)) for _ in range(3))
    return red, green, blue


def _vivid(rng: np.random.Generator) -> Colour:
    red, green, blue = (int(value) for value in rng.permutation([208, rng.uniform(70, 190), 66]))
    return red, green, blue


def _turned(points: np.ndarray, angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.asarray([[cosine, sine], [-sine, cosine]]))


def _smooth(points: np.ndarray) -> np.ndarray:
    """Round the corners of a line of shape (n, 2): Chaikin's corner cutting, twice."""
    for _ in range(2):
        near = points[:-1] * 0.75 + points[1:] * 0.25
        far = points[:-1] * 0.25 + points[1:] * 0.75
        middle = np.stack([near, far], axis=1).reshape(-1, 2)
        points = np.vstack([points[:1], middle, points[-1:]])
    return points
