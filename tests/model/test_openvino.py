"""A long pass goes through OpenVINO where that is faster; nothing else changes."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from engine.errors import UserError
from engine.model import openvino_network as openvino_module
from engine.model import pass_executor
from engine.model.device import Device
from engine.model.extractor import Extractor, open_model
from engine.model.fit import FitResult
from engine.model.memory import batch_size
from engine.model.openvino_network import OpenVinoNetwork, OpenVinoUnusable
from engine.model.pass_time import PassTime
from engine.model.precision import exact_extractor
from engine.model.predict import predict
from engine.model.preprocessing import preprocessing
from engine.model.speeds import expected_speed, keep_speeds, kept_speeds
from engine.model.weights import find_weights
from engine.runs.files import read_json, workspace
from engine.runs.run import Run
from tests.support.small_fits import home, small_fit, small_options
from tests.support.tiny_images import image_bytes, kaggle, put

CPU = Device("cpu", torch.float32, 16)
CHOSEN = (
    "OpenVINO computes the features of squeezenet1_1: it was faster than PyTorch on eight images."
)
FACTOR = 2.0  # how much faster OpenVINO pretends to be


def extractor(name: str = "squeezenet1_1", side: int = 64) -> Extractor:
    return Extractor(name, find_weights(name, "none", 0), 0, preprocessing(name, side), CPU)


def pretend(monkeypatch: pytest.MonkeyPatch, factor: float = FACTOR) -> None:
    """Let every pass be long, and OpenVINO so many times as fast as PyTorch."""

    def seconds(network: torch.nn.Module, batch: torch.Tensor) -> float:
        return 1 / factor if isinstance(network, OpenVinoNetwork) else 1.0

    monkeypatch.setattr(pass_executor, "expected_speed", lambda *_: 1e-3)
    monkeypatch.setattr(pass_executor, "_seconds", seconds)


class Report:
    """Stands for the reporter of a fit."""

    def notice(self, sentence: str) -> None:
        assert sentence == CHOSEN


def missing(*_: Any) -> None:
    raise ModuleNotFoundError("No module named 'openvino'")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kaggle(tmp_path_factory.mktemp("openvino") / "data", train=8, test=2)


@pytest.fixture(scope="module")
def fitted(data: Path) -> tuple[FitResult, list[str]]:
    """Return a fit through OpenVINO, and what it said."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch, home(data.parent / "home"):
        pretend(patch)
        return small_fit(data, callbacks={"on_notice": said.append}), said


def refit(data: Path, tmp_path: Path) -> tuple[Run, list[str]]:
    """Fit the same in an empty workspace."""
    said: list[str] = []
    with home(tmp_path / "empty"):
        return small_fit(data, callbacks={"on_notice": said.append}).run, said


def test_the_features_are_those_of_pytorch():
    plain = extractor("mobilenet_v2")
    ours, theirs = plain.build(), replace(plain, openvino=True).build()
    images = torch.randn(5, 3, 64, 64)
    with torch.inference_mode():
        expected, found = ours(images), theirs(images)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.std().item())
        torch.testing.assert_close(theirs(images[:2]), found[:2], rtol=1e-4, atol=1e-5)
        assert torch.equal(found, theirs(images))  # and a later batch does not overwrite it


@pytest.mark.parametrize("size", [1, 8, 11, 16])
def test_every_image_of_a_batch_is_computed_in_its_row(size):
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten())
    network = openvino_module.openvino_network(layers.eval(), CPU, 8)
    images = torch.randn(size, 3, 8, 8)
    with torch.inference_mode():
        for _ in range(2):  # the second time the first shape comes back
            assert torch.allclose(network(images), layers(images), atol=1e-5)


def test_the_trial_takes_rounding_in_bfloat16_for_what_it_is():
    plain = replace(extractor(), device=Device("cpu", torch.bfloat16, 16))
    assert all(
        seconds > 0 for seconds in pass_executor._trial(plain, replace(plain, openvino=True))
    )
    another = replace(plain, openvino=True, seed=1)
    with pytest.raises(OpenVinoUnusable, match=r"its features differ by \d"):
        pass_executor._trial(plain, another)


def test_openvino_reports_nothing_to_its_makers(fitted):
    assert "openvino" in sys.modules and sys.modules["openvino_telemetry"] is None
    assert "openvino.tools.ovc.telemetry_stub" in sys.modules


def test_a_long_pass_takes_it_and_the_run_says_so(fitted, data, tmp_path):
    result, said = fitted
    assert result.run.config.executors == ("openvino",)
    assert said == [CHOSEN]
    environment = read_json(result.run.folder / "environment.json")
    assert environment["openvino"] == version("openvino")
    plain, nothing = refit(data, tmp_path)
    assert plain.config.executors == ("torch",) and nothing == []
    assert plain.config.key == result.run.config.key
    for split in ("valid", "test"):
        ours, theirs = (run.predictions(split).probabilities for run in (plain, result.run))
        np.testing.assert_allclose(theirs, ours, atol=1e-3)


def test_its_features_are_kept_apart_and_used_again(fitted, data, monkeypatch):
    result, _ = fitted
    monkeypatch.setattr(pass_executor, "_trial", missing)
    with home(data.parent / "home"):
        again = small_fit(data, lr=0.01)
        assert again.forward_passes == 0 and again.run.config.executors == ("openvino",)
        (folder,) = workspace().glob("cache/features/rules-*/*")
        opened, _ = open_model(result.run)
        assert len(opened.kept_features(result.run.images).row_of) == 18
        assert not opened.by_torch().kept_features(result.run.images).row_of


def test_predict_uses_it_and_works_without_it(fitted, tmp_path, monkeypatch, capsys):
    result, _ = fitted
    passes: list[int] = []
    real = OpenVinoNetwork.forward

    def counted(self: OpenVinoNetwork, images: torch.Tensor) -> torch.Tensor:
        passes.append(len(images))
        return real(self, images)

    monkeypatch.setattr(OpenVinoNetwork, "forward", counted)
    for number in range(3):
        put(tmp_path / "new" / f"{number}.jpg", image_bytes("cat", 100 + number))
    with home(result.run.folder.parent.parent):
        first = predict(result.run, tmp_path / "new")
        assert first.forward_passes == 3 and passes and capsys.readouterr().err == ""
        for folder in workspace().glob("cache/features/rules-*/*"):
            for file in folder.glob("*.safetensors"):
                file.unlink()
        passes.clear()
        monkeypatch.setattr(openvino_module, "_openvino", missing)
        second = predict(result.run, tmp_path / "new")
    assert second.forward_passes == 3 and passes == []
    assert capsys.readouterr().err == (
        "OpenVINO cannot be used (No module named 'openvino'); PyTorch computes the features of "
        "squeezenet1_1.\n"
    )
    ours, theirs = (made.predictions.probabilities for made in (second, first))
    np.testing.assert_allclose(theirs, ours, atol=1e-3)


@pytest.mark.parametrize(
    ("missing_ours", "missing_theirs", "speed", "factor", "expected"),
    [
        (6_000, 6_000, 100.0, 2.0, "openvino"),  # a minute
        (5_999, 6_000, 100.0, 2.0, "torch"),
        (6_000, 6_000, None, 2.0, "torch"),  # nothing is known of the network
        (6_000, 6_000, 100.0, 1.04, "torch"),
        (6_000, 12_000, 100.0, 2.05, "torch"),
        (6_000, 12_000, 100.0, 2.15, "openvino"),
        (9, 0, 100.0, 0.5, "openvino"),  # computed before
        (0, 9, 100.0, 2.0, "torch"),
    ],
)
def test_the_way_that_ends_first_is_taken(
    missing_ours, missing_theirs, speed, factor, expected, monkeypatch
):
    monkeypatch.setattr(
        Extractor, "missing", lambda self, _: missing_theirs if self.openvino else missing_ours
    )
    monkeypatch.setattr(pass_executor, "expected_speed", lambda *_: speed)
    monkeypatch.setattr(pass_executor, "_trial", lambda *_: (1.0, 1 / factor))
    images, report = pd.DataFrame({"sha256": []}), Report()
    both = replace(extractor(), beside=(extractor(),), scales=(1.0, 2.0))
    chosen = pass_executor.with_faster_executor(both, images, report)  # type: ignore[arg-type]
    assert chosen.executors == (expected, expected) and chosen.scales == (1.0, 2.0)
    monkeypatch.setattr(openvino_module, "find_spec", lambda _: None)
    assert pass_executor.with_faster_executor(both, images, report) is both  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", ["import", "other features"])
def test_a_network_that_it_cannot_compute_stays_with_pytorch(broken, data, tmp_path, monkeypatch):
    pretend(monkeypatch)
    if broken == "import":
        monkeypatch.setattr(openvino_module, "_openvino", missing)
    else:
        real = OpenVinoNetwork.forward
        monkeypatch.setattr(OpenVinoNetwork, "forward", lambda *a: real(*a).flip(1))
    run, (said,) = refit(data, tmp_path)
    assert run.config.executors == ("torch",) and run.status.state == "done"
    why = {"import": "No module named 'openvino'", "other features": "its features differ by"}
    assert said.startswith(f"OpenVINO cannot be used ({why[broken]}")
    assert said.endswith("; PyTorch computes the features of squeezenet1_1.")


def test_an_operation_that_it_does_not_know_is_named():
    class Strange(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(images).flatten(1)

    with pytest.raises(OpenVinoUnusable, match=r"^OpenVINO cannot be used \("):
        with torch.inference_mode():
            openvino_module.openvino_network(Strange(), CPU, 8)(torch.zeros(2, 3, 8, 8))


def test_a_gpu_has_its_own_networks(data):
    there = replace(extractor(), device=Device("cuda", torch.bfloat16, 256))
    assert pass_executor.with_faster_executor(there, None, None) is there  # type: ignore[arg-type]
    with pytest.raises(OpenVinoUnusable, match="for a CPU, not cuda"):
        replace(there, openvino=True).build()


def test_the_comparison_with_float32_is_with_pytorch():
    there = replace(extractor(), device=Device("cpu", torch.bfloat16, 16), openvino=True)
    exact = exact_extractor(replace(there, beside=(there,)))
    assert exact.executors == ("torch", "torch") and exact.device.dtype == torch.float32


def test_a_config_with_too_many_executors_is_damaged(fitted, make_run):
    run = fitted[0].run
    run.update_config(executors=("openvino", "openvino"))
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        open_model(run)
    run.update_config(executors=("openvino",))


def test_short_memory_counts_the_layers_of_the_network_that_it_computes(monkeypatch):
    ours = extractor()
    monkeypatch.setattr("engine.model.memory.free_bytes", lambda _: 12_000_000)
    size, fewer = (
        batch_size(each.build(), ours.steps, CPU) for each in (ours, replace(ours, openvino=True))
    )
    assert 0 < fewer <= size < CPU.batch_size  # a ReLU by itself reads and writes once more


def test_its_speeds_are_kept_apart():
    keep_speeds(CPU, {"squeezenet1_1": 50.0})
    keep_speeds(CPU, {"squeezenet1_1": 90.0}, openvino=True)
    assert kept_speeds(CPU) == {"squeezenet1_1": 50.0}
    assert kept_speeds(CPU, openvino=True) == {"squeezenet1_1": 90.0}
    options, report = small_options(Path("."), image_size=None), None
    for used, speed in ((False, 50.0), (True, 90.0)):
        each = replace(extractor(), openvino=used)
        assert PassTime.of(each, options, report).known == {"squeezenet1_1": speed}  # type: ignore[arg-type]


def test_an_unmeasured_speed_follows_from_the_operations():
    keep_speeds(CPU, {"resnet18": 12.0})
    assert expected_speed("resnet18", 224, CPU) == 12.0
    threads = torch.get_num_threads()
    assert expected_speed("resnet50", 224, CPU) == pytest.approx(25 * threads / 4.089)
    assert expected_speed("resnet50", 112, CPU) == pytest.approx(100 * threads / 4.089)
    assert expected_speed("timm/resnet10t.c3_in1k", 224, CPU) is None
