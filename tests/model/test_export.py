"""Plain torchvision loads an exported model and gives the run's probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file

from engine.data.images import decode
from engine.errors import UserError
from engine.model.export import export
from engine.model.preprocessing import Preprocessing
from engine.runs.run import Run
from engine.runs.typed_json import from_json
from tests.support.small_fits import home, small_fit
from tests.support.tiny_images import kaggle


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kaggle(tmp_path_factory.mktemp("data"), train=12, test=2)


def loaded_elsewhere(run: Run, file: Path) -> np.ndarray:
    """Return the validation images' probabilities by torchvision and the description alone."""
    about = json.loads(file.with_suffix(".json").read_text("utf-8"))
    network = torchvision.models.get_model(about["backbone"], **about["model_arguments"]).eval()
    network.load_state_dict(load_file(file), strict=True)
    steps = from_json(Preprocessing, about["preprocessing"], "")
    rows = run.images.query("split == 'valid'").sort_values("id")
    pixels = torch.stack(
        [steps.resized(decode((run.data_root / path).read_bytes())) for path in rows["path"]]
    )
    mean, std = (torch.tensor(each)[:, None, None] for each in (steps.mean, steps.std))
    with torch.inference_mode():
        return torch.softmax(network((pixels / 255 - mean) / std).double(), dim=1).numpy()


@pytest.mark.parametrize(
    "options",
    [{}, {"backbone": "resnet18"}, {"train": "all", "epochs": 1}],
)
def test_torchvision_gives_the_runs_probabilities(options: dict[str, Any], data, tmp_path):
    run = small_fit(data, **options).run
    made = export(run, tmp_path / "model.safetensors")
    assert made.largest_difference < 1e-4 and made.checked == len(run.predictions("valid"))
    theirs = loaded_elsewhere(run, made.file)
    np.testing.assert_allclose(theirs, run.predictions("valid").probabilities, atol=2e-3)


def test_the_card_and_the_description_say_what_it_is_and_nothing_is_overwritten(data, tmp_path):
    run = small_fit(data, name="cats *and* dogs").run
    made = export(run, tmp_path / "model.safetensors")
    about = json.loads(made.description.read_text("utf-8"))
    assert about["class_names"] == ["cat", "dog"] and about["model_arguments"]["num_classes"] == 2
    assert about["scores"]["valid"]["log_loss"] == run.config.scores.log_loss
    card = made.card.read_text("utf-8")
    assert (
        card.startswith("# cats \\*and\\* dogs\n") and f"{run.config.scores.log_loss:.4f}" in card
    )
    with pytest.raises(UserError, match="would overwrite"):
        export(run, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"out='.*model.pth' must end in .safetensors"):
        export(run, tmp_path / "model.pth")


def test_the_command_prints_the_files(data, tmp_path, engine):
    run = small_fit(data).run
    said = engine("export", run.name, "--out", tmp_path / "m.safetensors", "--json")
    made = json.loads(said.out)
    assert {"file", "description", "card", "largest_difference", "checked"} == made.keys()
    assert all(Path(made[key]).is_file() for key in ("file", "description", "card"))
    with home(tmp_path / "elsewhere"):
        assert "no finished run" in engine("export", "latest").refusal


def test_a_network_that_wants_more_than_tensors_is_refused(data, tmp_path):
    run = small_fit(data, backbone="mnasnet0_5").run
    with pytest.raises(UserError, match="MNASNet loads only tensors with its version number"):
        export(run, tmp_path / "model.safetensors")
