"""The whole network learns, the best epoch is kept, and a broken run ends as an unbroken one."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.metrics import log_loss
from torch import nn

from engine.data.images import decode
from engine.model import finetune as finetune_module
from engine.model import training_images as training_images_module
from engine.model.checkpoint import CHECKPOINT
from engine.model.device import Device
from engine.model.finetune import finetune, one_cycle
from engine.model.head import Head
from engine.model.preprocessing import Preprocessing
from engine.model.start import Start
from engine.model.training_images import Images, TrainingImages
from engine.model.training_options import TrainingOptions
from tests.support.tiny_images import TWO, image_bytes, put

STEPS = Preprocessing(27, 24, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
DEVICE = Device("cpu", torch.float32, 16)
START = Start(Head(torch.linspace(-0.3, 0.3, 16).reshape(2, 8), torch.zeros(2)), 0.75, 0.5)


def _extractor() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1),
        nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def _images(root: Path, first: int, each: int) -> Images:
    paths = [f"{label}.{n}.jpg" for label in TWO for n in range(first, first + each)]
    for path in paths:
        label, number, _ = path.split(".")
        put(root / path, image_bytes(label, int(number)))
    put(root / f"copy{first}.jpg", image_bytes(TWO[0], first))  # one content twice in a split
    paths.append(f"copy{first}.jpg")
    labels = torch.tensor([0] * each + [1] * each + [0])
    sha256 = [hashlib.sha256((root / path).read_bytes()).hexdigest() for path in paths]
    return Images(root, paths, sha256, labels)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Images, Images]:
    root = tmp_path_factory.mktemp("images")
    return _images(root, 0, 12), _images(root, 100, 5)


def _tune(
    splits: tuple[Images, Images],
    folder: Path,
    progress: Callable[[str, int, int], None] = lambda *_: None,
    **options: Any,
) -> list[dict[str, Any]]:
    settings = replace(TrainingOptions(epochs=4, lr=0.01, batch_size=8, seed=0), **options)
    folder.mkdir(exist_ok=True)
    train, valid = (TrainingImages(split, STEPS, DEVICE) for split in splits)
    seen: list[dict[str, Any]] = []
    for lines in finetune(
        _extractor(), START, train, valid, settings, folder=folder, progress=progress
    ):
        seen = list(lines)
    return seen


def _without_time(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def _same_tensors(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _same_end(one: Path, other: Path) -> bool:
    return all(_same_tensors(one / f, other / f) for f in ("model.safetensors", CHECKPOINT))


@pytest.fixture(scope="module")
def unbroken(splits, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, _tune(splits, folder)


def test_the_loss_falls_on_an_easy_set(splits, tmp_path):
    lines = _tune(splits, tmp_path / "run", epochs=8, lr=0.03)
    assert lines[-1]["loss"] < 0.5 * lines[1]["loss"]
    assert lines[-1]["valid_accuracy"] == 1.0 and lines[-1]["valid_loss"] < 0.35
    assert [line["epoch"] for line in lines] == list(range(9))


def test_the_lines_tell_what_the_kept_network_scores(splits, unbroken):
    folder, lines = unbroken
    tensors = load_file(folder / "model.safetensors")
    body = _extractor()
    body.load_state_dict({n[5:]: t for n, t in tensors.items() if n.startswith("body.")})
    valid = splits[1]
    pixels = torch.stack(
        [STEPS.resized(decode((valid.root / path).read_bytes())) for path in valid.paths]
    )
    with torch.inference_mode():
        features = body.eval()(STEPS.normalised(pixels, torch.float32)).double()
    scores = features @ tensors["head.weight"].double().T + tensors["head.bias"].double()
    p = torch.softmax(scores, dim=1).numpy()
    best = min(lines, key=lambda line: line["valid_loss"])
    assert best["valid_loss"] == pytest.approx(log_loss(valid.labels, p), rel=1e-4)
    assert best["valid_accuracy"] == np.mean(p.argmax(axis=1) == valid.labels.numpy())


@pytest.mark.parametrize(
    "losses", [[0.8, 0.5, 0.2, 0.9, 0.3], [1, 0.9, 0.8, 0.7, 0.6], [0.5, 0.1, 0.2, 0.3, 9]]
)
def test_the_epoch_with_the_least_valid_loss_is_kept(losses, splits, tmp_path, monkeypatch):
    told = iter([losses[0], *(loss for each in losses[1:] for loss in (9.5, each))])
    monkeypatch.setattr(finetune_module, "evaluate", lambda *_: (next(told), 0.5))
    after: list[dict[str, torch.Tensor]] = []
    folder = tmp_path / "run"
    save = finetune_module.save_checkpoint

    def watched(path, *state):
        save(path, *state)
        after.append(load_file(path))

    monkeypatch.setattr(finetune_module, "save_checkpoint", watched)
    _tune(splits, folder)
    kept = load_file(folder / "model.safetensors")
    best = after[int(np.argmin(losses)) - 1]
    parts = {"body.": "network.0.", "head.": "network.1."}
    assert all(torch.equal(t, best[parts[name[:5]] + name[5:]]) for name, t in kept.items())
    others = [state for state in after if state is not best]
    assert not any(torch.equal(kept["head.weight"], s["network.1.weight"]) for s in others)


def test_a_start_that_no_epoch_improves_on_is_kept_as_it_is(splits, tmp_path, monkeypatch):
    sent = iter([0.1, *(loss for each in (0.2, 0.3, 0.4, 0.5) for loss in (9.5, each))])
    monkeypatch.setattr(finetune_module, "evaluate", lambda *_: (next(sent), 0.5))
    lines = _tune(splits, tmp_path / "run")
    assert (lines[0]["epoch"], lines[0]["loss"], lines[0]["accuracy"]) == (0, 0.75, 0.5)
    kept = load_file(tmp_path / "run" / "model.safetensors")
    assert torch.equal(kept["head.weight"], START.head.weight)
    initial = _extractor().state_dict()
    assert all(torch.equal(t, initial[n[5:]]) for n, t in kept.items() if n.startswith("body."))


def test_the_average_with_the_start_is_kept_where_it_is_better(splits, tmp_path, monkeypatch):
    sent = iter([0.9, 0.3, 0.8, 0.5, 0.7, 0.6, 0.7, 0.8, 0.9])
    monkeypatch.setattr(finetune_module, "evaluate", lambda *_: (next(sent), 0.5))
    after: list[dict[str, torch.Tensor]] = []
    save = finetune_module.save_checkpoint

    def watched(path, *state):
        save(path, *state)
        after.append(load_file(path))

    monkeypatch.setattr(finetune_module, "save_checkpoint", watched)
    lines = _tune(splits, tmp_path / "run")
    assert [line["valid_loss"] for line in lines] == [0.9, 0.3, 0.5, 0.6, 0.8]
    assert [line["share"] for line in lines] == [1.0, 0.5, 0.5, 0.5, 0.5]
    kept = load_file(tmp_path / "run" / "model.safetensors")
    expected = (START.head.weight + after[0]["network.1.weight"]) / 2
    torch.testing.assert_close(kept["head.weight"], expected)
    initial = _extractor().state_dict()
    expected = (initial["0.weight"] + after[0]["network.0.0.weight"]) / 2
    torch.testing.assert_close(kept["body.0.weight"], expected)


@pytest.mark.parametrize(("least", "moves"), [(10_000, False), (0, True)])
def test_batch_statistics_are_kept_on_small_sets(least, moves, splits, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune_module, "STATISTICS_FROM", least)
    _tune(splits, tmp_path / "run", epochs=1)
    after = load_file(tmp_path / "run" / CHECKPOINT)
    initial = _extractor().state_dict()
    assert moves != torch.equal(after["network.0.1.running_mean"], initial["1.running_mean"])
    assert not torch.equal(after["network.0.1.weight"], initial["1.weight"])


class Killed(BaseException):
    """Stands for a signal."""


@pytest.mark.parametrize(("epoch", "step"), [(1, 2), (2, 1), (3, 3), (4, 1)])
def test_a_run_that_was_killed_ends_as_the_unbroken_one(epoch, step, splits, unbroken, tmp_path):
    folder, lines = unbroken
    at = (epoch - 1) * 24 + step * 8

    def kill(stage: str, done: int, total: int) -> None:
        assert (stage, total) == ("train", 96)
        if done >= at:
            raise Killed

    with pytest.raises(Killed):
        _tune(splits, tmp_path / "run", progress=kill)
    assert not (epoch == 1 and (tmp_path / "run" / CHECKPOINT).exists())
    passed: list[int] = []
    resumed = _tune(splits, tmp_path / "run", progress=lambda _, done, __: passed.append(done))
    assert passed[0] == (epoch - 1) * 24 + 8  # it loses one epoch at most
    assert _without_time(resumed) == _without_time(lines)
    assert _same_end(tmp_path / "run", folder)


def test_a_finished_training_is_not_repeated(splits, unbroken, tmp_path):
    _tune(splits, tmp_path / "run")
    passed: list[int] = []
    _tune(splits, tmp_path / "run", progress=lambda *done: passed.append(done))
    assert passed == [] and _same_end(tmp_path / "run", unbroken[0])


def test_a_damaged_checkpoint_means_beginning_anew(splits, unbroken, tmp_path):
    _tune(splits, tmp_path / "run", epochs=4)
    checkpoint = tmp_path / "run" / CHECKPOINT
    whole = checkpoint.read_bytes()
    for content in (b"", whole[:-9], whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]):
        checkpoint.write_bytes(content)
        lines = _tune(splits, tmp_path / "run")
        assert len(lines) == 5 and _same_end(tmp_path / "run", unbroken[0])


def test_images_that_do_not_fit_in_memory_give_the_same_bits(
    splits, unbroken, tmp_path, monkeypatch
):
    monkeypatch.setattr(training_images_module, "MEMORY_BYTES", 0)
    lines = _tune(splits, tmp_path / "run")
    assert _without_time(lines) == _without_time(unbroken[1])
    assert _same_end(tmp_path / "run", unbroken[0])


def test_another_seed_trains_another_network(splits, unbroken, tmp_path):
    _tune(splits, tmp_path / "run", seed=1)
    assert not _same_tensors(
        tmp_path / "run" / "model.safetensors", unbroken[0] / "model.safetensors"
    )


def test_a_batch_larger_than_the_set_is_the_set(splits, tmp_path):
    lines = _tune(splits, tmp_path / "run", epochs=1, batch_size=1000)
    assert len(lines) == 2 and 0 <= lines[1]["accuracy"] <= 1


def test_what_it_writes_is_safetensors_alone(splits, tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was written")

    monkeypatch.setattr(torch, "save", refuse)
    monkeypatch.setattr(pickle, "dump", refuse)
    monkeypatch.setattr(pickle, "dumps", refuse)
    _tune(splits, tmp_path / "run", epochs=2)
    files = sorted(path.name for path in (tmp_path / "run").rglob("*"))
    assert files == [CHECKPOINT, "model.safetensors"]
    for name in files:
        with safe_open(tmp_path / "run" / name, "pt") as file:
            assert file.metadata()["format_version"] == "1"
    with safe_open(tmp_path / "run" / CHECKPOINT, "pt") as file:
        assert len(json.loads(file.metadata()["epochs"])) == 3


def test_an_image_that_changed_meanwhile_is_named(splits, tmp_path):
    train = splits[0]
    changed = Images(train.root, train.paths, ["0" * 64, *train.sha256[1:]], train.labels)
    with pytest.raises(RuntimeError, match=r"cat\.0\.jpg changed on disk"):
        _tune((changed, splits[1]), tmp_path / "run")


def test_one_cycle_goes_up_a_quarter_of_the_way_then_down_to_nothing():
    assert one_cycle(0) == pytest.approx(1 / 25)
    assert one_cycle(0.125) == pytest.approx((1 + 1 / 25) / 2)
    assert one_cycle(0.25) == pytest.approx(1)
    assert one_cycle(0.625) == pytest.approx(0.5)
    assert one_cycle(1) == pytest.approx(0, abs=1e-12)


@given(st.floats(0, 1), st.floats(0, 1))
def test_one_cycle_is_monotone_on_both_sides(a, b):
    a, b = sorted((a, b))
    assert 0 <= one_cycle(a) <= 1
    if b <= 0.25:
        assert one_cycle(a) <= one_cycle(b) + 1e-12
    if a >= 0.25:
        assert one_cycle(a) >= one_cycle(b) - 1e-12
