"""The benchmarks start, at a small size, and their arithmetic is right."""

from __future__ import annotations

import hashlib
import importlib
import io
import sys
import tomllib

import numpy as np
import pytest
import torch
from PIL import Image

from tests.benchmarks import __main__ as command
from tests.benchmarks import (
    clocked,
    decoding,
    gpu,
    gpu_images,
    growth,
    large_images,
    material,
    matrix,
    passes,
    tables,
)
from tests.support.paths import ROOT
from tests.support.synthetic_runs import synthetic_run
from tests.support.tiny_images import image_bytes


@pytest.mark.parametrize("name", command.MODULES)
def test_every_benchmark_has_a_title_and_measures(name):
    module = importlib.import_module(f"tests.benchmarks.{name.partition(':')[0]}")
    assert module.TITLE and callable(module.measure)


def test_an_unknown_benchmark_is_named(capsys):
    assert command.main(["nothing"]) == 2
    assert "nothing is no benchmark" in capsys.readouterr().err


def test_the_rivals_are_pinned():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert {"fastai", "timm"} <= {str(one).split("==")[0] for one in groups["bench"]}


def test_a_process_is_clocked_with_its_memory_and_its_answer():
    code = "import json; kept = bytearray(150_000_000); print('x'); print(json.dumps({'n': 1}))"
    ran = clocked.run_process([sys.executable, "-c", code])
    assert ran.answer == {"n": 1}
    assert 0 < ran.seconds < 60
    assert 150 < ran.peak_mb < 250


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match="it broke"):
        clocked.run_process([sys.executable, "-c", "raise SystemExit('it broke')"])


def test_sides_take_turns():
    calls: list[str] = []
    sides = {name: (lambda name=name: calls.append(name)) for name in "ab"}
    assert clocked.take_turns(sides, 2) == {"a": [None, None], "b": [None, None]}
    assert calls == ["a", "b", "a", "b"]


def test_every_side_gets_the_same_images(tmp_path, monkeypatch):
    monkeypatch.setattr(material, "REAL_DATA", tmp_path / "nothing")
    for n in range(8):
        (tmp_path / f"{'cat' if n % 2 else 'dog'}.{n}.jpg").write_bytes(image_bytes("cat", n))
    monkeypatch.setattr(material, "_drawn", lambda folder, n: sorted(tmp_path.glob("*.jpg")))
    split = material.labelled_split(tmp_path / "set")
    assert len(split.files) == 8
    assert sum(file.parent.parent.name == "valid" for file in split.files) == 2
    assert all(file.name.startswith(file.parent.name) for file in split.files)
    assert "drawn" in split.said


def test_a_straight_line_is_found():
    slope, intercept, r2 = growth.straight_line([500, 1000, 2000], [3.0, 4.0, 6.0])
    assert (slope, intercept, r2) == pytest.approx((0.002, 2.0, 1.0))
    assert growth.straight_line([1, 2, 3], [1.0, 5.0, 1.0])[2] == pytest.approx(0, abs=1e-9)


def test_flops_are_counted_by_hand():
    # ResNet-18: per weight and place one multiply-add, 2 FLOP; the last layer is not a feature's.
    expected = 64 * 3 * 7 * 7 * 112**2 + 4 * 64 * 64 * 9 * 56**2
    for width, side in ((128, 28), (256, 14), (512, 7)):
        half = width // 2
        expected += (half * width * 9 + 3 * width * width * 9 + half * width) * side**2
    assert matrix.flops_per_image("resnet18", 224) == 2 * expected


def test_the_matrix_rate_is_that_of_this_machine():
    assert 1e8 < matrix.matrix_rate(torch.float32, (128,)) < 1e15


def test_a_pass_and_its_network_run(tmp_path):
    model = passes.ready("squeezenet1_1", image_size=64)
    files = [tmp_path / f"{n}.jpg" for n in range(3)]
    for n, file in enumerate(files):
        file.write_bytes(image_bytes("cat", n))
    passes.whole_pass(model, tmp_path, files, passes.checksums(files))
    pixels = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    passes.network_alone(model, pixels)
    shares = matrix.time_by_kind(model, pixels)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["convolution"] > 0 and shares["pooling"] > 0


def test_both_ways_to_decode_end_in_the_same_square():
    content = image_bytes("cat", 1, size=(90, 70))
    steps = passes.preprocessing("squeezenet1_1", 64)
    theirs = decoding.Decoded([content], steps)[0]
    ours = steps.normalised(steps.resized(decoding.decode(content))[None], torch.float32)[0]
    assert theirs.shape == ours.shape
    assert (theirs - ours).abs().mean() < 0.05


def test_large_images_are_of_their_format_and_size():
    for kind in large_images.FORMATS:
        content = large_images.encoded(image_bytes("cat", 1), (40, 30), kind)
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format or "").upper() == kind.split(",")[0].upper()
            assert image.size == (40, 30)


def test_gpu_images_differ_and_are_photo_sized():
    base = np.asarray(Image.effect_noise((600, 450), 40).convert("RGB"))
    contents = [gpu_images.varied(base, number) for number in range(5)]
    assert len({hashlib.sha256(content).hexdigest() for content in contents}) == 5
    assert Image.open(io.BytesIO(contents[0])).size == (500, 375)
    assert gpu_images.varied(base, 3) == contents[3]


def test_without_a_gpu_nothing_is_invented(monkeypatch):
    monkeypatch.delenv("SECONDLOOK_GPU_IMAGES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.measure().startswith("Not measured: no GPU here")


def test_gpu_sizes_keep_their_proportions():
    assert gpu.Size.of(37_500) == gpu.Size(25_000, 2_000, 12_500)
    assert gpu.Size.of(60) == gpu.Size(40, 4, 20)


def test_busy_time_counts_overlaps_once():
    assert gpu.covered([(0, 4), (1, 2), (3, 6), (8, 9)]) == 7


def test_the_tables_benchmark_reads_what_the_pages_read(tmp_path):
    run = synthetic_run(tmp_path, n=60, n_test=20)
    tables._read_as_the_dashboard(run)
