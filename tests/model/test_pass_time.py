"""How long a pass takes is said first, with a network that is better and faster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from typer.testing import CliRunner

import engine
from engine import portable
from engine.cli import main
from engine.errors import UserError
from engine.model import pass_time, speeds
from engine.model.device import Device
from engine.model.pass_time import PassTime
from engine.model.speeds import keep_speeds, kept_speeds, measured_speed
from engine.runs.backbone_facts import all_facts, better_and_faster
from tests.support.small_fits import small_fit
from tests.support.tiny_images import kaggle

CPU = Device("cpu", torch.float32, 16)


class Report:
    """Stands for the reporter of a fit."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.calls = 0

    def notice(self, sentence: str) -> None:
        self.said.append(sentence)

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.calls += 1


def watched(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], known: dict[str, float], **options: Any
) -> tuple[PassTime, Any]:
    """Return a watch and a function that reports images done after so many seconds."""
    clock = [0.0]
    monkeypatch.setattr(pass_time.time, "monotonic", lambda: clock[0])
    report: Any = Report()
    watch = PassTime(names, known, report, **options)

    def at(second: float, done: int, total: int) -> list[str]:
        clock[0] = second
        watch("features", done, total)
        return list(report.said)

    return watch, at


def test_a_long_pass_is_said_once_its_speed_is_known(monkeypatch):
    watch, at = watched(monkeypatch, ("vgg16",), {}, suggest=True)
    assert at(0, 16, 25_000) == at(2, 32, 25_000) == []
    (said,) = at(4, 48, 25_000)  # 8 a second
    assert said.startswith("Extracting features takes about 52 minutes here (vgg16: 8.0 images p")
    assert "more accurate on ImageNet" in said and "not measured here" in said
    assert at(20, 176, 25_000) == [said] and watch.report.calls == 4
    assert watch.rates() == {"vgg16": 8.0}


def test_a_known_speed_is_said_at_once_and_a_short_pass_never(monkeypatch):
    _, at = watched(monkeypatch, ("resnet18",), {"resnet18": 20.0})
    assert "about 20 minutes here (resnet18: 20 images" in at(0, 0, 24_000)[0]
    watch, at = watched(monkeypatch, ("resnet18",), {})
    assert at(0, 0, 100) == at(5, 50, 100) == at(10, 100, 100) == [] and watch.rates() == {
        "resnet18": 10.0
    }


def test_the_time_of_several_networks_counts_those_to_come(monkeypatch):
    """Of an unknown one by its operations: resnet50 needs 4.09 GFLOP, resnet18 1.81."""
    _, at = watched(monkeypatch, ("resnet18", "resnet50"), {"resnet18": 100.0})
    (said,) = at(0, 0, 48_000)
    assert f"about {round((240 + 240 * 4.09 / 1.814) / 60)} minutes" in said
    watch, at = watched(monkeypatch, ("resnet18", "resnet50"), {"resnet18": 10.0, "resnet50": 10.0})
    at(0, 100, 200), at(10, 110, 200), at(40, 200, 200)
    assert watch.rates() == {"resnet50": 3.0}


def test_only_a_better_and_faster_network_is_named():
    facts = all_facts()
    named = better_and_faster("vgg16", {}).split()[0]
    assert facts[named].accuracy > facts["vgg16"].accuracy
    assert facts[named].gflop * 10 <= facts["vgg16"].gflop
    measured = better_and_faster("vgg16", {"vgg16": 4.0, "resnet18": 50.0, "resnet50": 20.0})
    assert measured.startswith("resnet50 is") and "5 times as fast here" in measured  # resnet18 is
    best = next(iter(facts))  # less accurate
    assert better_and_faster(best, {}) == better_and_faster("no_such", {}) == ""


def test_facts_are_those_of_the_default_weights():
    facts = all_facts()
    for name in ("squeezenet1_1", "shufflenet_v2_x0_5"):
        network = torchvision.models.get_model(name, weights=None)
        assert facts[name].parameters == sum(each.numel() for each in network.parameters())
    models = torchvision.models
    names = models.list_models(module=models)
    assert sorted(facts) == sorted(names)
    for name in names:
        weights = models.get_model_weights(name).DEFAULT
        meta, fact = weights.meta, facts[name]
        assert (fact.parameters, fact.gflop) == (meta["num_params"], meta["_ops"])
        assert fact.accuracy == round(meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100, 5)
        assert fact.crop == weights.transforms().crop_size[0]
    assert facts["vgg16"].gflop == 15.47 and facts["vgg16"].accuracy == 0.71592
    accuracies = [fact.accuracy for fact in facts.values()]
    assert accuracies == sorted(accuracies, reverse=True)


def test_speeds_are_kept_by_machine_and_precision(monkeypatch, tmp_path):
    monkeypatch.setenv("SECONDLOOK_HOME", str(tmp_path))
    assert kept_speeds(CPU) == {}
    keep_speeds(CPU, {"vgg16": 8.126})
    keep_speeds(Device("cpu", torch.bfloat16, 16), {"vgg16": 20.0})
    keep_speeds(CPU, {"resnet18": 90.0})
    assert kept_speeds(CPU) == {"vgg16": 8.13, "resnet18": 90.0}
    monkeypatch.setattr(portable, "cpu_model", lambda: "another")
    assert kept_speeds(CPU) == {}
    (tmp_path / "cache" / "backbones" / "speeds.json").write_text('{"another')
    assert kept_speeds(CPU) == {}


def test_a_fit_keeps_its_speed(monkeypatch, tmp_path):
    monkeypatch.setenv("SECONDLOOK_HOME", str(tmp_path / "workspace"))
    monkeypatch.setattr(pass_time, "_FEWEST", 2)
    kaggle(tmp_path / "data", train=8, test=2)
    small_fit(tmp_path / "data", image_size=None)
    assert kept_speeds(CPU)["squeezenet1_1"] > 0
    (row,) = engine.backbones(tmp_path / "data", backbone="squeezenet1_1").rows
    if row.images_per_second is not None:  # where a fit's own precision would be float32
        assert row.minutes == pytest.approx(18 / row.images_per_second / 60, abs=0.01)


def test_the_command_measures_what_it_is_asked_to(monkeypatch, tmp_path):
    monkeypatch.setenv("SECONDLOOK_HOME", str(tmp_path))
    monkeypatch.setattr(speeds, "_SECONDS", 0.0)
    asked = ["backbones", "--backbone", "squeezenet1_1", "--backbone", "resnet18", "--json"]
    rows = json.loads(CliRunner().invoke(main.app, asked).stdout)["rows"]
    assert [row["name"] for row in rows] == ["resnet18", "squeezenet1_1"]
    assert all(row["images_per_second"] is None for row in rows)
    monkeypatch.setattr(speeds, "measured_speed", lambda name, _: {"resnet18": 30.0}.get(name, 60))
    rows = json.loads(CliRunner().invoke(main.app, [*asked, "--measure"]).stdout)["rows"]
    assert [row["images_per_second"] for row in rows] == [30, 60]
    shown = CliRunner().invoke(main.app, ["backbones"]).stdout
    assert "resnet18" in shown and "vgg16" in shown and "--measure measures the networks" in shown
    with pytest.raises(UserError, match="backbone='resnet' is not"):
        engine.backbones(backbone="resnet")


def test_a_measurement_counts_images(monkeypatch):
    monkeypatch.setattr(speeds, "_SECONDS", 0.05)
    assert 0 < measured_speed("shufflenet_v2_x0_5", CPU) < 100_000


def test_data_that_are_not_there_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="nowhere"):
        engine.backbones(tmp_path / "nowhere", backbone="vgg16")
