"""Plain torchvision loads an exported model and gives the run's probabilities."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torchvision
from safetensors.torch import load_file

from engine.data.images import decode
from engine.errors import UserError
from engine.library.exporting import export as library_export
from engine.model import export as export_module
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
    assert about["correction"] is None and about["format"] == "torchvision"
    with pytest.raises(UserError, match=r"out='.*model.pth' must end in .safetensors for torchv"):
        export(run, tmp_path / "model.pth")


@pytest.mark.parametrize("views", [1, 4])
def test_onnxruntime_gives_the_runs_probabilities_from_pixels(views: int, data, tmp_path):
    run = small_fit(data, views=views).run
    made = library_export(run, tmp_path / "model.onnx")
    assert made.largest_difference < 1e-4 and made.checked == len(run.predictions("valid"))
    session = onnxruntime.InferenceSession(made.file, providers=["CPUExecutionProvider"])
    about = json.loads(made.description.read_text("utf-8"))
    assert about["correction"]["fitted"]["name"] and about["correction"]["sentence"]
    steps = from_json(Preprocessing, about["preprocessing"], "")
    ways = {"image": steps, "whole": replace(steps, whole=True)}
    assert list(about["input"]) == [each.name for each in session.get_inputs()]
    rows = run.images.query("split == 'valid'").sort_values("id")
    decoded = [decode((run.data_root / path).read_bytes()) for path in rows["path"]]
    given = {
        each.name: torch.stack([ways[each.name].resized(pixels) for pixels in decoded]).numpy()
        for each in session.get_inputs()
    }
    (theirs,) = session.run(None, given)
    np.testing.assert_allclose(theirs, run.predictions("valid").probabilities, atol=2e-3)
    kept = session.get_modelmeta().custom_metadata_map
    assert json.loads(kept["class_names"]) == list(run.class_names)
    card = made.card.read_text("utf-8")
    assert "onnxruntime" in card and about["input"]["image"] in card
    assert f"Correction of the probabilities: {about['correction']['sentence']}" in card


def test_a_graph_that_differs_is_not_written(data, tmp_path, monkeypatch):
    run = small_fit(data).run
    monkeypatch.setattr(
        export_module, "probabilities_by_onnx", lambda *_: np.full((1, 2), [0.2, 0.8])
    )
    monkeypatch.setattr(export_module, "write_onnx", lambda *_: None)
    with pytest.raises(UserError, match="probabilities differ from the run's by 0"):
        export(run, form="onnx", out=tmp_path / "model.onnx")
    assert list(tmp_path.glob("model*")) == []
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with home(run.folder.parents[1]), pytest.raises(UserError, match=r"second-look\[onnx\]"):
        export(run, form="onnx", out=tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"must end in .* .onnx for onnx"):
        export(run, form="onnx", out=tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="format='h5' must be torchvision or onnx"):
        export(run, form="h5")


def test_the_command_prints_the_files(data, tmp_path, engine):
    run = small_fit(data).run
    said = engine("export", run.name, "--out", tmp_path / "m.safetensors", "--json")
    assert "must end in" in engine("export", run.name, "--format=onnx", "--out=m.pt").refusal
    made = json.loads(said.out)
    assert {"file", "description", "card", "largest_difference", "checked"} == made.keys()
    assert all(Path(made[key]).is_file() for key in ("file", "description", "card"))
    with home(tmp_path / "elsewhere"):
        assert "no finished run" in engine("export", "latest").refusal


def test_a_network_that_wants_more_than_tensors_is_refused(data, tmp_path):
    run = small_fit(data, backbone="mnasnet0_5").run
    with pytest.raises(UserError, match="MNASNet loads only tensors with its version number"):
        export(run, tmp_path / "model.safetensors")
