"""One folder with every bad and every odd image at once, fitted by the command line."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dashboard.shared import thumbnails as gallery
from engine.model.fit import fit
from engine.runs.run import Run
from engine.runs.run_list import open_run
from tests.support.command_line import SMALL, snapshot
from tests.support.paths import ROOT
from tests.support.small_fits import home, small_options
from tests.support.tiny_images import image_bytes, kaggle, put

PHOTO = image_bytes("cat", 900, size=(300, 200))
PHOTO_PNG = image_bytes("cat", 901, "PNG", size=(300, 200))
MEMORY = 1_500 * 2**20  # of which PyTorch takes half; 400 megapixels would be 1,200 more


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def scene(seed: int = 0) -> Image.Image:
    """Draw an image without any symmetry, so that a wrong turn is seen."""
    x, y = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 64))
    corner = np.where((x < 90) & (y < 90), 255, seed)
    return Image.fromarray(np.stack([x, y, corner], axis=-1).astype(np.uint8))


def blank(width: int, height: int) -> bytes:
    return saved(Image.new("1", (width, height)))


def turned(orientation: int) -> bytes:
    """Store the scene so that this EXIF orientation makes it upright."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions
    image = scene()
    stored = image if orientation == 1 else image.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(stored, exif=exif)


def animation(*colours: str) -> bytes:
    frames = [Image.new("RGB", (64, 64), colour) for colour in colours]
    if len(frames) == 1:
        return saved(frames[0], "GIF")
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


GREY = scene().convert("L")
PALETTE = scene().quantize(64)
SIXTEEN = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
BROKEN_EXIF = b"\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\xff"
SCENE_JPEG = saved(scene(), "JPEG")

BAD = {  # name: content, and what the reason says
    "zero bytes": (b"", "empty"),
    "text": (b"this is no image", "not an image"),
    "HTML": (b"<!DOCTYPE html><title>404</title>", "not an image"),
    "EPS": (saved(scene(), "EPS"), "PostScript (EPS) is not supported"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a vector drawing (SVG)"),
    "half a JPEG": (PHOTO[: len(PHOTO) // 2], "cut short"),
    "a JPEG without its last two bytes": (PHOTO[:-2], "cut short"),
    "a JPEG with a zero-filled tail": (PHOTO[:5000] + bytes(len(PHOTO) - 5000), "cut short"),
    "half a PNG": (PHOTO_PNG[: len(PHOTO_PNG) // 2], "cannot be decoded"),
    "400 megapixels": (blank(20_000, 20_000), "above 100 megapixels"),
    "101 megapixels": (blank(10_100, 10_000), "above 100 megapixels"),
    "a floating-point TIFF": (saved(Image.new("F", (9, 9), 0.5), "TIFF"), "floating-point"),
}
ODD = {  # name: content, and the plain PNG that it has to equal in the network's eyes, if any
    "CMYK": (saved(scene().convert("CMYK"), "JPEG"), None),
    "grey": (saved(GREY), saved(GREY.convert("RGB"))),
    "palette": (saved(PALETTE), saved(PALETTE.convert("RGB"))),
    "alpha": (saved(scene().convert("RGBA")), saved(scene())),
    "grey with alpha": (saved(GREY.convert("LA")), saved(GREY.convert("RGB"))),
    "16-bit PNG": (saved(SIXTEEN), saved(GREY.convert("RGB"))),
    "16-bit TIFF": (saved(SIXTEEN, "TIFF"), saved(GREY.convert("RGB"))),
    "animation": (animation("red", "lime", "blue"), animation("red")),
    "broken EXIF": (SCENE_JPEG[:2] + BROKEN_EXIF + SCENE_JPEG[2:], SCENE_JPEG),
    "1 x 1": (saved(Image.new("RGB", (1, 1), "teal")), None),
    "1 x 5000": (saved(Image.new("RGB", (1, 5000), "teal"), "JPEG"), None),
    **{f"orientation {n}": (turned(n), saved(scene())) for n in range(1, 9)},
}
NOTED = {
    "animation": "only its first frame",
    "alpha": "its content is PNG, not JPEG as its name suggests",
}


@dataclass(frozen=True)
class Fitted:
    """The run over that folder, and how it went."""

    run: Run
    summary: dict[str, Any]
    workspace: Path
    data: Path
    before: dict[str, Any]
    stderr: bytes
    memory: int
    child_ran: bool
    names: dict[str, str]  # path: name in the tables above


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fitted]:
    folder = tmp_path_factory.mktemp("images")
    data = kaggle(folder / "data", train=12, test=3)
    names = {}
    contents = {name: content for name, (content, _) in [*BAD.items(), *ODD.items()]}
    contents |= {f"{name}, plain": plain for name, (_, plain) in ODD.items() if plain}
    for number, (name, content) in enumerate(contents.items(), 100):
        split, stem = ("test", number) if number % 2 else ("train", f"cat.{number}")
        path = f"{split}/{stem}.jpg"
        put(data / path, content)
        names[path] = name
    put(data / "train" / "dog.99.jpg", (data / "train" / "cat.0.jpg").read_bytes())
    tools = folder / "tools"
    put(tools / "gs", f"#!/bin/sh\ntouch {folder}/ran\n".encode()).chmod(0o755)
    before = snapshot(data)

    environment = os.environ | {
        "SECONDLOOK_HOME": str(folder / "workspace"), "OMP_NUM_THREADS": "1",
        "PATH": f"{tools}:{os.environ['PATH']}",
    }  # fmt: skip
    command = [sys.executable, "-m", "engine", "fit", str(data), *SMALL, "--json"]
    measured = [sys.executable, "-m", "tests.benchmarks.launcher", str(folder / "used"), *command]
    child = subprocess.run(measured, cwd=ROOT, env=environment, capture_output=True)
    used = json.loads((folder / "used").read_text())
    assert used["code"] == 0, child.stderr
    summary = json.loads(child.stdout)
    with home(folder / "workspace"):
        yield Fitted(
            open_run(summary["run"]), summary, folder / "workspace", data, before, child.stderr,
            used["peak_bytes"], (folder / "ran").exists(), names,
        )  # fmt: skip


def path_of(fitted: Fitted, name: str) -> str:
    return next(path for path, known in fitted.names.items() if known == name)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_quarantined_with_path_and_reason(name, fitted):
    quarantine = fitted.run.quarantine.set_index("path")["reason"]
    assert BAD[name][1] in quarantine[path_of(fitted, name)]
    assert path_of(fitted, name) not in set(fitted.run.images["path"])


def test_nothing_else_is_quarantined_and_the_rest_is_processed(fitted):
    assert {fitted.names[path] for path in fitted.run.quarantine["path"]} == BAD.keys()
    n = fitted.summary["n"]
    assert n["quarantined"] == len(BAD)
    used = n["train"] + n["valid"] + n["test"]
    assert used == len(fitted.before) - 2 - len(BAD) == len(fitted.run.images)
    predicted = {split: len(fitted.run.predictions(split)) for split in ("valid", "test")}
    assert predicted == {"valid": n["valid"], "test": n["test"]}


def test_the_originals_are_untouched(fitted):
    assert snapshot(fitted.data) == fitted.before


def test_nothing_spoils_the_output_not_even_a_library_in_c(fitted):
    assert fitted.stderr == b""


def test_no_program_was_started_for_an_image(fitted):
    assert not fitted.child_ran


def test_memory_stays_bounded_by_400_megapixels(fitted):
    assert fitted.memory < MEMORY


@pytest.fixture(scope="module")
def features(fitted: Fitted) -> dict[str, torch.Tensor]:
    """Return what the network saw, by the image's checksum."""
    found: dict[str, torch.Tensor] = {}
    for shard in (fitted.workspace / "cache" / "features").rglob("*.safetensors"):
        tensors = load_file(shard)
        keys = [bytes(row.tolist()).hex() for row in tensors["sha256"]]
        found |= dict(zip(keys, tensors["features"], strict=True))
    return found


@pytest.mark.parametrize("name", ODD)
def test_an_odd_image_is_accepted_as_what_it_shows(name, fitted, features):
    content, plain = ODD[name]
    assert path_of(fitted, name) in set(fitted.run.images["path"])
    seen = features[hashlib.sha256(content).hexdigest()]
    assert torch.isfinite(seen).all()
    if plain:
        assert torch.equal(seen, features[hashlib.sha256(plain).hexdigest()])


@pytest.mark.parametrize("orientation", range(2, 9))
def test_the_gallery_shows_upright_what_was_scored_upright(orientation, fitted):
    shown = []
    for number in (1, orientation):
        path = fitted.data / path_of(fitted, f"orientation {number}")
        shown.append(gallery.small([gallery.ImageFile(path, "")])[0])
    assert shown[0].startswith("data:image/jpeg;base64,") and shown[0] == shown[1]
    upright, sideways = turned(1), saved(scene().transpose(Image.Transpose.ROTATE_90))
    assert hashlib.sha256(upright).digest() != hashlib.sha256(sideways).digest()


@pytest.mark.parametrize("name", NOTED)
def test_what_is_unusual_is_accepted_and_noted(name, fitted):
    assert NOTED[name] in fitted.run.config.notes[path_of(fitted, name)]


def test_the_same_bytes_under_two_labels_are_reported(fitted):
    expected = {
        "paths": ["train/cat.0.jpg", "train/dog.99.jpg"],
        "labels": ["cat", "dog"],
    }
    groups = [{key: group[key] for key in expected} for group in fitted.summary["duplicates"]]
    assert expected in groups


def test_images_changed_or_deleted_since_they_were_listed_are_quarantined(tmp_path):
    data = kaggle(tmp_path / "data", train=8, test=3)

    def meddle(stage: str, done: int, total: int) -> None:
        if stage == "list" and done == total:
            put(data / "train" / "cat.1.jpg", image_bytes("dog", 77))
            (data / "train" / "dog.1.jpg").unlink()
            (data / "test" / "2.jpg").unlink()

    result = fit(small_options(data), progress=meddle)
    reasons = result.run.quarantine.set_index("path")["reason"]
    assert reasons["train/cat.1.jpg"] == "changed on disk since it was listed"
    assert "No such file" in reasons["train/dog.1.jpg"] and "No such" in reasons["test/2.jpg"]
    assert len(reasons) == 3 and result.n.quarantined == 3
    assert result.n.test == 2 and result.n.train + result.n.valid == 14
    lost = pd.read_csv(result.run.folder / "quarantine.csv", dtype=str)
    assert lost.loc[lost["path"] == "test/2.jpg", ["id", "split"]].values.tolist() == [
        ["2", "test"]
    ]
