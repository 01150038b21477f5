"""A fit in another precision says how far it lies from float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from engine.data.images import decode
from engine.model import extractor as extractor_module
from engine.model import precision as precision_module
from engine.model.device import choose_device
from engine.model.extractor import open_model
from engine.model.fit import FitResult
from engine.model.predict import predict
from engine.runs.run import Run
from tests.support.small_fits import home, small_fit
from tests.support.tiny_images import kaggle


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("precision")


@pytest.fixture(scope="module")
def data(workspace: Path) -> Path:
    return kaggle(workspace / "data", train=10, test=2)


@pytest.fixture(scope="module", params=["head", "all"])
def fitted(request: pytest.FixtureRequest, workspace: Path, data: Path) -> FitResult:
    with home(workspace / request.param):
        return small_fit(data, precision="bfloat16", train=request.param, epochs=2)


def by_hand(run: Run) -> dict[str, float]:
    """Pass the valid images one by one through the network in float32."""
    extractor, head = open_model(run, choose_device("cpu", "float32"))
    network, kept = extractor.network(), run.predictions("valid")
    probabilities = []
    images = run.images
    for path in images[images["split"] == "valid"].sort_values("id")["path"]:
        pixels = extractor.steps.resized(decode((run.data_root / path).read_bytes()))
        with torch.inference_mode():
            features = network(extractor.steps.normalised(pixels[None], torch.float32))
        probabilities.append(head.probabilities(features)[0].numpy())
    theirs = np.array(probabilities)
    return {
        "largest_probability_change": np.abs(kept.probabilities - theirs).max(),
        "log_loss_change": log_loss(kept.y_true, kept.probabilities, labels=[0, 1])
        - log_loss(kept.y_true, theirs, labels=[0, 1]),
    }


def test_it_is_what_the_network_says_in_float32(fitted, workspace):
    check = fitted.summary()["precision_check"]
    assert check and check["images"] == fitted.n.valid
    with home(fitted.run.folder.parent.parent):
        expected = by_hand(fitted.run)
    assert expected["largest_probability_change"] > 0
    for key, value in expected.items():  # features are kept in float16, here they are not
        assert check[key] == pytest.approx(value, abs=2e-4)


def test_it_is_recorded_and_counts_neither_as_passes_nor_as_their_seconds(fitted):
    check = json.loads(json.dumps(fitted.summary()["precision_check"]))
    assert check["seconds"] > 0
    for file in ("config.json", "environment.json"):
        assert json.loads((fitted.run.folder / file).read_text())["precision_check"] == check
    scored = fitted.n.valid + fitted.n.test
    head = fitted.run.fit_options.train == "head"
    assert fitted.forward_passes == scored + (fitted.n.train if head else 0)
    assert fitted.seconds["precision"] >= check["seconds"]


def test_a_second_fit_passes_nothing_and_builds_nothing(data, workspace, monkeypatch):
    with home(workspace / "second"):
        first = small_fit(data, precision="bfloat16")

        def built(*_: Any, **__: Any) -> None:
            raise AssertionError("a network was built")

        monkeypatch.setattr("engine.model.extractor.load_extractor", built)
        second = small_fit(data, precision="bfloat16", lr=0.01)
    assert first.precision_check and second.precision_check
    assert second.forward_passes == 0
    assert second.precision_check.images == first.precision_check.images


def test_only_so_many_images_are_compared_and_always_the_same(data, workspace, monkeypatch):
    monkeypatch.setattr(precision_module, "IMAGES", 3)
    with home(workspace / "few"):
        for lr in (0.003, 0.01):
            result = small_fit(data, precision="bfloat16", lr=lr)
            assert result.precision_check and result.precision_check.images == 3
        exact, _ = open_model(result.run, choose_device("cpu", "float32"))
        kept = exact.kept_features(result.run.images)
    valid = result.run.images.query("split == 'valid'")["sha256"]
    assert set(kept.row_of) == set(sorted(valid)[:3])


class _Negative(torch.nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return -values


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with bfloat16, and comparisons of few images."""
    monkeypatch.setattr("engine.model.device._computes_bfloat16", lambda device: True)
    monkeypatch.setattr(precision_module, "_SHARE", 2)
    monkeypatch.setattr(precision_module, "_FEWEST", 2)


@pytest.fixture
def wrong(faster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor whose bfloat16 gives other features."""
    real = extractor_module.for_inference

    def made(network: torch.nn.Module, dtype: torch.dtype, device: str) -> torch.nn.Module:
        exact = real(network, dtype, device)
        return exact if dtype == torch.float32 else torch.nn.Sequential(exact, _Negative())

    monkeypatch.setattr(extractor_module, "for_inference", made)


def test_auto_keeps_the_faster_precision_within_noise(faster, data, tmp_path):
    with home(tmp_path):
        result = small_fit(data, precision="auto")
    check = result.precision_check
    assert check and check.within_noise and check.precision == "bfloat16"
    assert result.run.fit_options.precision == "bfloat16"
    assert check.log_loss and check.log_loss_float32
    assert check.log_loss - check.log_loss_float32 == pytest.approx(check.log_loss_change)
    said = result.summary()["precision"]
    assert said.startswith(f"Computed in bfloat16: on {check.images} validation images the log")
    assert f"{check.log_loss:.4f}" in said and f"{check.log_loss_float32:.4f} in float32" in said


@pytest.mark.parametrize("train", ["head", "all"])
def test_auto_computes_in_float32_what_the_faster_precision_changes(wrong, tmp_path, train):
    data = kaggle(tmp_path / "data", train=80, test=2)
    with home(tmp_path / "workspace"):
        result = small_fit(data, precision="auto", train=train, valid=80, epochs=2)
        check = result.precision_check
        assert check and not check.within_noise and check.precision == "bfloat16"
        said = result.summary()["precision"]
        assert said.startswith("Computed in float32, because on ")
        assert f"{check.log_loss:.4f} in bfloat16 and {check.log_loss_float32:.4f} in float" in said
        assert result.run.fit_options.precision == "float32"
        environment = json.loads((result.run.folder / "environment.json").read_text())
        assert environment["precision"] == "float32"
        assert predict(result.run).forward_passes == 0
        expected = by_hand(result.run)
    assert expected["largest_probability_change"] < 2e-3


def test_auto_computes_a_small_data_set_in_float32(data, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.model.device._computes_bfloat16", lambda device: True)
    with home(tmp_path):
        result = small_fit(data, precision="auto")
    assert result.precision_check is None and result.run.fit_options.precision == "float32"


def test_in_float32_there_is_nothing_to_compare(data, workspace):
    with home(workspace / "float32"):
        result = small_fit(data)
    assert result.precision_check is None and result.summary()["precision_check"] is None


def test_an_image_lost_meanwhile_is_left_out(data, workspace, monkeypatch, tmp_path):
    copy = kaggle(tmp_path / "data", train=10, test=2)
    real = precision_module.precision_check

    def lost(extractor, features, head, dataset, progress=None):
        (dataset.root / dataset.of("valid")["path"].iloc[0]).unlink()
        return real(extractor, features, head, dataset, progress)

    monkeypatch.setattr("engine.model.fit.precision_check", lost)
    with home(workspace / "lost"):
        result = small_fit(copy, precision="bfloat16")
    assert result.precision_check
    assert result.precision_check.images == result.n.valid - 1
