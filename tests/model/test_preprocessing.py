"""What is remembered of torchvision is what torchvision says, and spares a warm fit its import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torchvision

from engine.model.preprocessing import backbone_names, preprocessing, published
from tests.support.paths import ROOT
from tests.support.small_fits import home
from tests.support.tiny_images import kaggle


@pytest.mark.parametrize("name", ["vgg16", "efficientnet_b3", "vit_b_16", "inception_v3"])
def test_what_is_remembered_is_what_torchvision_says(name, tmp_path):
    said = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    with home(tmp_path):
        for _ in range(2):  # asked, then remembered
            known = preprocessing(name)
            assert ([known.resize], [known.crop]) == (said.resize_size, said.crop_size)
            assert known.interpolation == said.interpolation.value
            assert (list(known.mean), list(known.std)) == (list(said.mean), list(said.std))


def test_what_is_damaged_is_asked_again(tmp_path):
    with home(tmp_path):
        before = published("vgg16")
        assert published("vgg17") is None
        (file,) = (tmp_path / "cache" / "backbones").iterdir()
        for damage in ("", "[]", "{}", '{"vgg16": {"resize": 1}}', '{"vgg16": 3}'):
            file.write_text(damage)
            assert published("vgg16") == before
            assert all(published(name) for name in backbone_names())


def test_a_fit_from_the_cache_imports_neither_torchvision_nor_torchs_compiler(tmp_path):
    script = """
import sys
from pathlib import Path
from engine.model.fit import FitOptions, fit
options = FitOptions(Path(sys.argv[1]), backbone="squeezenet1_1", weights="none", image_size=32,
                     epochs=int(sys.argv[2]), device="cpu")
fit(options)
print(*(name in sys.modules for name in ("torchvision", "torch._dynamo", "sympy")))
"""
    data = kaggle(tmp_path / "data", train=8, test=2)
    environment = os.environ | {"SECONDLOOK_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    said = [
        subprocess.run(
            [sys.executable, "-c", script, str(data), epochs],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
        ).stdout.split()
        for epochs in ("2", "3")
    ]  # fmt: skip
    assert said[0] == ["True", "False", "False"]
    assert said[1] == ["False"] * 3
