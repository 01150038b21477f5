"""One forward pass an image, found again by content, whatever interrupts or damages it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine.data.images import decode
from engine.model import features as features_module
from engine.model.backbones import for_inference, load_network, split_network
from engine.model.device import Device
from engine.model.features import Features, FrozenNetwork, ImageFiles, compute_features
from engine.model.preprocessing import Preprocessing
from engine.model.weights import Weights
from tests.support.paths import ROOT
from tests.support.tiny_images import image_bytes, put

STEPS = Preprocessing(36, 32, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
DEVICE = Device("cpu", torch.float32, 4)


class Network:
    """A small extractor that counts how often it is built."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self) -> nn.Module:
        self.built += 1
        torch.manual_seed(0)
        layers = (nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        return for_inference(nn.Sequential(*layers), torch.float32, "cpu")


def _draw(folder: Path, first: int, last: int) -> None:
    for number in range(first, last):
        put(folder / f"{number}.jpg", image_bytes("cat", number))


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    return paths, [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths]


def _compute(
    images: Path, folder: Path, network: Network | None = None, **options: Any
) -> Features:
    paths, sha256 = options.pop("listed", None) or _listed(images)
    progress = options.pop("progress", None)
    settings = {"build": network or Network(), "steps": STEPS, "device": DEVICE} | options
    frozen = FrozenNetwork(folder, **settings)
    return compute_features(ImageFiles(images, paths, sha256), frozen, progress=progress)


def _same(one: Features, other: Features) -> bool:
    return one.row_of == other.row_of and torch.equal(one.values, other.values)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    _draw(tmp_path / "images", 0, 10)
    return tmp_path / "images"


def test_a_feature_is_the_networks_output_for_the_prepared_image(images, tmp_path):
    found = _compute(images, tmp_path / "kept")
    paths, sha256 = _listed(images)
    network = Network()()
    for path, name in zip(paths, sha256, strict=True):
        pixels = STEPS.resized(decode((images / path).read_bytes()))
        with torch.inference_mode():
            alone = network(STEPS.normalised(pixels[None], torch.float32))
        assert torch.allclose(found.of([name]), alone, rtol=2e-3, atol=1e-4)
    assert found.values.dtype == torch.float16 and found.of(sha256).dtype == torch.float32
    assert found.values.std() > 0.01


def test_each_content_passes_once_and_cached_ones_never(images, tmp_path):
    put(images / "copy of 3.jpg", (images / "3.jpg").read_bytes())
    network = Network()
    first = _compute(images, tmp_path / "kept", network)
    assert (first.forward_passes, len(first.values), network.built) == (10, 10, 1)
    again = _compute(images, tmp_path / "kept", network)
    assert (again.forward_passes, network.built) == (0, 1)
    assert _same(first, again)


def test_adding_ten_images_costs_ten_and_renaming_none(images, tmp_path):
    _compute(images, tmp_path / "kept")
    _draw(images, 10, 20)
    assert _compute(images, tmp_path / "kept").forward_passes == 10
    network = Network()
    images.rename(tmp_path / "elsewhere")
    for path in sorted((tmp_path / "elsewhere").iterdir()):
        path.rename(path.with_name(f"dog {path.name}"))
    assert _compute(tmp_path / "elsewhere", tmp_path / "kept", network).forward_passes == 0
    assert network.built == 0


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18"])
def test_neither_order_nor_company_changes_a_bit(name, precision, images, tmp_path):
    _draw(images, 10, 21)
    paths, sha256 = _listed(images)

    def build() -> nn.Module:
        network = load_network(name, Weights("none", "", None), 0, 64)
        return for_inference(split_network(network)[0], precision, "cpu")

    def computed(rows: list[int], folder: str) -> Features:
        listed = [paths[row] for row in rows], [sha256[row] for row in rows]
        return _compute(
            images, tmp_path / folder, listed=listed, build=build,
            steps=Preprocessing(72, 64, "bilinear", STEPS.mean, STEPS.std),
            device=Device("cpu", precision, 16),
        )  # fmt: skip

    rows = list(range(len(paths)))
    whole = computed(rows, "whole")
    assert whole.values.float().std(dim=0).max() > 1e-3  # they differ, so there is what to compare
    assert _same(whole, computed(rows[::-1], "backwards"))
    few = computed(rows[5:9], "few")
    assert torch.equal(few.of(sha256[5:9]), whole.of(sha256[5:9]))


def test_an_interrupted_pass_keeps_what_it_computed(images, tmp_path):
    seen = []

    def stop(stage: str, done: int, total: int) -> None:
        seen.append((stage, done, total))
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _compute(images, tmp_path / "kept", progress=stop)
    assert seen == [("features", 4, 10), ("features", 8, 10)]
    resumed: list[tuple[int, int]] = []
    found = _compute(
        images, tmp_path / "kept", progress=lambda _, done, total: resumed.append((done, total))
    )
    assert found.forward_passes == 2 and resumed[-1] == (10, 10) and resumed[0][0] > 8
    assert _same(found, _compute(images, tmp_path / "unbroken"))


def test_a_failure_of_the_network_keeps_what_went_before(images, tmp_path):
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.calls = Network()(), 0

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 3:
                raise RuntimeError("out of memory")
            return self.inner(batch)

    with pytest.raises(RuntimeError, match="out of memory"):
        _compute(images, tmp_path / "kept", build=Fails)
    found = _compute(images, tmp_path / "kept")
    assert found.forward_passes == 2
    assert _same(found, _compute(images, tmp_path / "unbroken"))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_shard_is_removed_and_computed_again(
    damage, images, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(features_module, "SHARD_ROWS", 4)
    whole = _compute(images, tmp_path / "kept")
    shards = sorted((tmp_path / "kept").glob("*.safetensors"))
    assert len(shards) == 3
    content = bytearray(shards[0].read_bytes())
    content[-5] ^= 1
    shards[0].write_bytes({"flip": content, "cut": content[:-7], "empty": b""}[damage])
    again = _compute(images, tmp_path / "kept")
    assert f"{shards[0]} is damaged" in capsys.readouterr().err
    assert again.forward_passes in (4, 2) and _same(whole, again)
    assert _compute(images, tmp_path / "kept").forward_passes == 0
    assert capsys.readouterr().err == ""


def test_images_that_cannot_be_used_are_bad_with_their_reason(images, tmp_path):
    whole = image_bytes("cat", 2, size=(300, 200))
    put(images / "2.jpg", whole[: len(whole) // 2])
    put(images / "same as 2.jpg", whole[: len(whole) // 2])
    put(images / "4.jpg", b"not an image at all")
    listed = _listed(images)
    put(images / "6.jpg", image_bytes("dog", 6))
    (images / "8.jpg").unlink()
    found = _compute(images, tmp_path / "kept", listed=listed)
    assert found.bad.keys() == {"2.jpg", "same as 2.jpg", "4.jpg", "6.jpg", "8.jpg"}
    assert found.bad["2.jpg"] == found.bad["same as 2.jpg"]
    assert "cut short" in found.bad["2.jpg"] and "not an image" in found.bad["4.jpg"]
    assert found.bad["6.jpg"] == "changed on disk since it was listed"
    assert found.bad["8.jpg"].startswith("cannot be read")
    assert found.forward_passes == len(found.values) == 6


def test_when_every_image_is_bad_each_is_named(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "images" / name, b"no image " + name.encode())
    found = _compute(tmp_path / "images", tmp_path / "kept")
    assert found.bad.keys() == {"a.jpg", "b.jpg"}
    assert (found.forward_passes, len(found.values)) == (0, 0)


def test_values_beyond_float16_stay_finite(images, tmp_path):
    class Extreme(nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            row = torch.tensor([1e30, -1e30, 1.0])
            return row.expand(len(batch), 3)

    found = _compute(images, tmp_path / "kept", build=Extreme)
    assert torch.isfinite(found.values).all()
    assert found.values[0].tolist() == [65504, -65504, 1]


TWO_AT_ONCE = """
    import json, sys, time
    from pathlib import Path
    from tests.model import test_features as t

    images, kept, own, other = map(Path, sys.argv[1:])
    own.touch()
    while not other.exists():
        time.sleep(0.01)
    network = t.Network()
    found = t._compute(images, kept, network, progress=lambda *_: time.sleep(0.05))
    print(json.dumps([found.forward_passes, network.built, found.values.tolist()]))
"""


def test_two_processes_at_once_share_one_result(images, tmp_path):
    flags = [tmp_path / "first", tmp_path / "second"]
    script = [sys.executable, "-c", textwrap.dedent(TWO_AT_ONCE), images, tmp_path / "kept"]
    children = [
        subprocess.Popen(
            [*script, *pair],
            cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE,
        )
        for pair in (flags, flags[::-1])
    ]  # fmt: skip
    results = [json.loads(child.communicate(timeout=100)[0]) for child in children]
    assert sorted(result[:2] for result in results) == [[0, 0], [10, 1]]
    assert results[0][2] == results[1][2]
    assert not list((tmp_path / "kept").glob("*.tmp"))


@pytest.mark.parametrize(("precision", "step"), [("float32", 2**-10), ("bfloat16", 2**-7)])
@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18"])
def test_the_batch_size_changes_features_by_rounding_only(name, precision, step, images, tmp_path):
    """Another shape may take another kernel, which sums in another order.

    In float32 that is far less than a step of the float16 in which features are kept, 2^-10 of
    the largest; in bfloat16 a sum may be rounded to the next number, which is 2^-7 away.
    """
    dtype = getattr(torch, precision)

    def build() -> nn.Module:
        network = load_network(name, Weights("none", "", None), 0, 64)
        return for_inference(split_network(network)[0], dtype, "cpu")

    def computed(size: int, listed: tuple[list[str], list[str]]) -> Features:
        return _compute(
            images, tmp_path / f"{size}", build=build, listed=listed,
            steps=Preprocessing(72, 64, "bilinear", STEPS.mean, STEPS.std),
            device=Device("cpu", dtype, size),
        )  # fmt: skip

    paths, sha256 = _listed(images)
    of_16 = computed(16, (paths, sha256))
    largest = of_16.values.float().abs().amax()
    for size in (1, 3):
        other = computed(size, (paths[::-1], sha256[::-1]))
        assert other.row_of == of_16.row_of
        change = (other.values.float() - of_16.values.float()).abs().amax()
        assert change <= step * largest
    assert of_16.values.float().std(dim=0).amax() > 2 * step * largest  # images differ by more


class Overflowing(nn.Module):
    """Gives infinity for one image, NaN for another, and large numbers for the rest."""

    def __init__(self, odd: dict[int, float]) -> None:
        super().__init__()
        self.odd, self.seen = odd, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = torch.full((len(x), 4), 1e6)
        for row in range(len(x)):
            if (value := self.odd.get(self.seen + row)) is not None:
                values[row, 2] = value
        self.seen += len(x)
        return values


def test_features_that_are_not_finite_put_their_image_aside(images, tmp_path):
    odd = {1: float("nan"), 4: float("inf"), 6: float("-inf")}
    paths, _ = _listed(images)
    computed = _compute(images, tmp_path / "cache", lambda: Overflowing(odd))
    assert set(computed.bad) == {paths[at] for at in odd}
    assert all("not finite" in why for why in computed.bad.values())
    assert computed.values.shape == (len(paths) - 3, 4)
    assert torch.isfinite(computed.values).all() and (computed.values > 60_000).all()
    assert computed.forward_passes == len(paths) - 3
    again = _compute(images, tmp_path / "cache", lambda: Overflowing({0: float("nan")}))
    assert set(again.bad) == {paths[1]}  # nothing of them was kept
