"""What only a machine with a GPU can show; on others these tests are skipped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from engine.model.batches import batches
from engine.model.device import choose_device
from engine.model.head import HeadOptions, train_head, train_heads
from engine.model.preprocessing import Preprocessing
from tests.support.command_line import Engine
from tests.support.tiny_images import image_bytes, put

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
NETWORK = ("--backbone", "squeezenet1_1", "--weights", "none")
STEPS = Preprocessing(36, 32, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for number in range(60):
        put(folder / "train" / f"{'cat' if number % 2 else 'dog'}.{number}.jpg",
            image_bytes("cat" if number % 2 else "dog", number))  # fmt: skip
    for number in range(1, 13):
        put(folder / "test" / f"{number}.jpg", image_bytes("cat", 100 + number))
    return folder


def predicted(
    engine: Engine, workspace: Path, images: Path, device: str, *options: str
) -> np.ndarray:
    """Return the test probabilities of a fit."""
    said = engine("fit", images, *NETWORK, "--device", device, *options, "--json")
    assert said.code == 0, said
    run = workspace / "runs" / json.loads(said.out)["run"]
    table = pd.read_parquet(run / "predictions" / "test.parquet").sort_values("id")
    return table.select_dtypes("float").to_numpy()


@pytest.mark.parametrize("processes", [False, True])
def test_pixels_arrive_on_the_gpu_unchanged(processes, images, monkeypatch):
    monkeypatch.setattr("engine.model.batches.worth_processes", lambda *_: processes)
    files = sorted(images.glob("*/*.jpg"))
    wanted = {hashlib.sha256(p.read_bytes()).hexdigest(): str(p) for p in files}

    def pixels(device: str) -> torch.Tensor:
        chosen = choose_device(device)
        found = batches(images, wanted, STEPS, 8, chosen, {})
        return torch.cat([batch.pixels[batch.rows].cpu().clone() for batch in found])

    assert torch.equal(pixels("cuda"), pixels("cpu"))


@pytest.mark.parametrize("n_classes", [2, 5])
def test_a_head_is_the_same_on_the_gpu(n_classes, monkeypatch):
    monkeypatch.setattr("engine.model.head._WORTH_A_GPU", 0)
    random = torch.Generator().manual_seed(0)
    x = torch.randn(400, 64, generator=random)
    labels = (x[:, :n_classes] + torch.randn(400, n_classes, generator=random)).argmax(1)
    used = torch.ones(3, 400)
    for head in range(3):
        used[head, head::3] = 0
    heads = []
    for device in ("cpu", "cuda"):
        options = HeadOptions(device=device)
        one = train_head(
            (x, labels), (x, labels), n_classes, options, on_epoch=lambda _: None
        )  # fmt: skip
        more = train_heads(x, labels, n_classes, used, options, one.l2, 400)
        heads.append([one, *more])
    for on_cpu, on_gpu in zip(*heads, strict=True):
        assert on_gpu.weight.device.type == "cpu"
        assert on_gpu.l2 == pytest.approx(on_cpu.l2, rel=0.01)
        found, expected = on_gpu.probabilities(x), on_cpu.probabilities(x)
        assert torch.allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("options", [(), ("--folds", "3"), ("--epochs", "2")])
def test_a_fit_in_float32_predicts_as_on_the_cpu(options, engine, workspace, images, monkeypatch):
    monkeypatch.setattr("engine.model.head._WORTH_A_GPU", 0)
    options = (*options, "--precision", "float32")
    gpu, cpu = (
        predicted(engine, workspace, images, device, *options) for device in ("cuda", "cpu")
    )
    assert abs(gpu - cpu).max() < 1e-3


def test_the_whole_network_trains_on_the_gpu(engine, workspace, images):
    options = ("--train", "all", "--epochs", "2", "--image-size", "64")
    p = predicted(engine, workspace, images, "cuda", *options)
    assert p.shape == (12, 2) and np.allclose(p.sum(axis=1), 1)


def test_heat_maps_maps_and_predictions_are_made_on_the_gpu(engine, images):
    run = json.loads(engine("fit", images, *NETWORK, "--json").out)["run"]
    for command in (
        ("explain", run, "1"),
        ("embed", run),
        ("predict", run, "--data", images / "test"),
    ):
        assert engine(*command).code == 0, command
