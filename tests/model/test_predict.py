"""Predictions come from the cache, belong to their images, and only from the weights meant."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import accuracy_score, log_loss
from torchvision.models import squeezenet1_1

from engine.data.images import decode
from engine.errors import UserError
from engine.model.backbones import split_network
from engine.model.extractor import open_model
from engine.model.fit import FitResult
from engine.model.predict import predict
from engine.runs.predicted import chosen_table, predicted_tables
from engine.runs.prediction_files import load_predictions
from engine.runs.run import Run
from engine.runs.run_list import open_run
from tests.support.run_folders import run_with
from tests.support.small_fits import home, small_fit, tables
from tests.support.tiny_images import class_folders, csv_list, flat, image_bytes, kaggle, put


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("base")


@pytest.fixture(scope="module")
def of_head(base) -> FitResult:
    with home(base / "workspace"):
        return small_fit(kaggle(base / "data", train=12, test=6))


@pytest.fixture(scope="module")
def of_all(base, of_head) -> FitResult:
    with home(base / "workspace"):
        return small_fit(base / "data", train="all")


@pytest.fixture
def here(base, of_head, of_all, workspace: Path) -> Path:
    """Copy both runs and the cache into the workspace of this test."""
    return Path(shutil.copytree(base / "workspace", workspace))


@pytest.mark.parametrize("kind", ["head", "all"])
def test_the_own_test_images_pass_no_network_and_keep_their_numbers(kind, here, request):
    run = open_run(request.getfixturevalue(f"of_{kind}").run.name)
    before = tables(run)["test"]
    made = predict(run)
    assert made.summary() == {
        "file": str(run.predictions_path("test")), "n": 6, "quarantined": 0, "forward_passes": 0,
    }  # fmt: skip
    assert tables(run)["test"].equals(before)


@pytest.mark.parametrize("kind", ["head", "all"])
def test_new_labelled_images_are_scored(kind, here, request, tmp_path):
    run = open_run(request.getfixturevalue(f"of_{kind}").run.name)
    for label in ("cat", "dog"):
        for n in range(500, 505):
            put(tmp_path / "new ones" / f"{label}.{n}.jpg", image_bytes(label, n))
    summary = predict(run, tmp_path / "new ones").summary()
    made = predicted_tables(run)[0]
    assert re.fullmatch("new-ones-[0-9a-f]{8}", made.name)
    assert (made.folder, made.n) == (str(tmp_path / "new ones"), 10)
    assert summary["file"] == str(run.predictions_path(made.name))
    assert (summary["n"], summary["forward_passes"], summary["quarantined"]) == (10, 10, 0)
    table = pq.read_table(summary["file"])
    p = table.select(["p_cat", "p_dog"]).to_pandas().to_numpy()
    y = table["label"].to_pylist()
    assert y == [id.partition(".")[0] for id in table["id"].to_pylist()]
    assert summary["log_loss"] == pytest.approx(log_loss(y, p), rel=1e-9)
    assert summary["accuracy"] == accuracy_score(y, np.array(["cat", "dog"])[p.argmax(axis=1)])
    assert predict(run, tmp_path / "new ones").forward_passes == 0


def test_a_fine_tuned_run_predicts_what_its_tensors_compute(here, of_all):
    run = open_run(of_all.run.name)
    extractor, head = open_model(run)
    body, _ = split_network(_body_of(run))
    predictions = run.predictions("test")
    with torch.inference_mode():
        for row, path in enumerate(predictions.paths.to_pylist()):
            pixels = extractor.steps.resized(decode((run.data_root / path).read_bytes()))
            features = body(extractor.steps.normalised(pixels[None], torch.float32))
            p = head.probabilities(features)[0].numpy()
            assert predictions.probabilities[row] == pytest.approx(p, abs=1e-3)
    assert predictions.probabilities.std() > 0.01


def _body_of(run: Run) -> torch.nn.Module:
    network = squeezenet1_1()
    tensors = load_file(run.folder / "model.safetensors")
    state = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("body.")}
    assert network.load_state_dict(state, strict=False).unexpected_keys == []
    return network.eval()


def test_odd_files_are_quarantined_and_the_rest_predicted(here, of_head, tmp_path):
    folder = flat(tmp_path / "odd", labelled=2, unlabelled=1)
    whole = image_bytes("cat", 3, size=(300, 200))
    put(folder / "half.jpg", whole[: len(whole) // 2])
    put(folder / "empty.png", b"")
    put(folder / "text.jpg", b"hello")
    made = predict(open_run(of_head.run.name), folder)
    assert len(made.predictions) == 5 and made.summary()["quarantined"] == 3
    assert set(made.dataset.quarantine["path"]) == {"half.jpg", "empty.png", "text.jpg"}
    assert "log_loss" not in made.summary()  # one image has no label


def test_a_folder_without_one_good_image_is_refused(here, of_head, tmp_path):
    whole = image_bytes("cat", 3, size=(300, 200))
    put(tmp_path / "bad" / "half.jpg", whole[: len(whole) // 2])
    with pytest.raises(UserError, match=f"{tmp_path}/bad contains no image that can be decoded"):
        predict(open_run(of_head.run.name), tmp_path / "bad")
    with pytest.raises(UserError, match="nowhere"):
        predict(open_run(of_head.run.name), tmp_path / "nowhere")


def test_only_the_test_images_of_a_csv_are_the_runs_own(tmp_path):
    run = small_fit(csv_list(tmp_path / "data", train=8, test=4)).run
    before = tables(run)["test"]
    assert predict(run).summary()["n"] == 4
    assert tables(run)["test"].equals(before)


def test_a_run_without_test_images_asks_for_some(tmp_path):
    folder = class_folders(tmp_path / "data", each=8)
    run = small_fit(folder).run
    with pytest.raises(UserError, match=f"{run.name} has no test images .* data"):
        predict(run)
    made = predict(run, folder)
    assert made.file != run.predictions_path("test") and not run.predictions_path("test").exists()


def test_new_images_replace_no_other_table(here, of_head, tmp_path):
    run = open_run(of_head.run.name)
    before = tables(run)
    names = ("valid", "test", "folds", "triage", "v1.0", "v1.5", "jan/photos", "feb/photos")
    made = [predict(run, flat(tmp_path / name, labelled=1)).file for name in names]
    put(tmp_path / "jan/photos" / "cat.77.jpg", image_bytes("cat", 77))  # one more than before
    made.append(predict(run, tmp_path / "jan/photos").file)
    assert [len(load_predictions(file)) for file in made] == [2] * 8 + [3]
    assert all(tables(run)[split].equals(table) for split, table in before.items())
    assert {table.name for table in predicted_tables(run)} == {file.stem for file in made}
    assert chosen_table(run, str(tmp_path / "feb/photos")) == made[7].stem
    assert chosen_table(run, "v1.5") == made[5].stem
    with pytest.raises(UserError, match="'photos' fits several tables .* 'photos-"):
        chosen_table(run, "photos")
    with pytest.raises(UserError, match="'nowhere' is not a table of run .* 'test', 'folds-"):
        chosen_table(run, "nowhere")


@pytest.mark.parametrize(("kind", "file"), [("head", "head"), ("all", "model")])
def test_a_changed_model_is_refused(kind, file, here, request):
    run = open_run(request.getfixturevalue(f"of_{kind}").run.name)
    path = run.folder / f"{file}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} is damaged: its checksum"):
        predict(run)
    path.unlink()
    with pytest.raises(UserError, match=f"{path} could not be read"):
        predict(run)


def test_changed_or_moved_weights_are_refused(tmp_path):
    weights = tmp_path / "weights.safetensors"
    save_file(squeezenet1_1().state_dict(), weights)
    run = small_fit(kaggle(tmp_path / "data"), weights=str(weights)).run
    assert predict(run).forward_passes == 0
    moved = weights.rename(tmp_path / "moved.safetensors")
    with pytest.raises(UserError, match=f"{weights}' does not exist"):
        predict(run)
    save_file(squeezenet1_1().state_dict(), weights)
    with pytest.raises(UserError, match=f"weights that differ from {weights} "):
        predict(run)
    moved.replace(weights)
    assert predict(run).forward_passes == 0


def test_a_run_without_a_model_is_refused():
    run = run_with("imported", {"class_names": ["cat", "dog"], "data": "/nowhere"})
    with pytest.raises(UserError, match=f"run {run.name} has no model"):
        predict(run)
