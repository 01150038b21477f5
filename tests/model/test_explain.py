"""Explanations of a real fit's images: the maps' place, neighbours, refusals, the worker."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.cli import main as command_line
from engine.cli.explain import draw
from engine.data.overlays import laid_over, overlay
from engine.errors import UserError
from engine.model.embed import embed
from engine.model.explain import Explainer
from engine.model.extractor import open_model
from engine.model.heat_maps import crop_box
from engine.model.preprocessing import Preprocessing
from engine.model.try_image import ImagePredictor
from engine.runs.explanations import explanations_folder
from engine.runs.maps import making, save_map, write_progress
from engine.runs.run import Run
from engine.runs.worker import Worker
from tests.support.paths import ROOT
from tests.support.small_fits import home, small_fit
from tests.support.tiny_images import image_bytes, kaggle


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("explained")
    with home(folder / "workspace"):
        yield small_fit(kaggle(folder / "data", train=10, test=3)).run


@pytest.fixture
def at_home(fitted, monkeypatch) -> Run:
    monkeypatch.setenv("SECONDLOOK_HOME", str(fitted.folder.parents[1]))
    return fitted


def test_an_image_is_explained_and_kept(at_home):
    explainer = Explainer(at_home)
    predictions = at_home.predictions()
    image = predictions.ids[0].as_py()
    found = explainer.explain(image)
    names = at_home.class_names
    assert found["predicted"] == names[predictions.y_pred[0]]
    assert found["true"] == names[predictions.y_true[0]]
    assert {role for each in found["maps"] for role in each["roles"]} == {"predicted", "true"}
    for each in found["maps"]:
        with Image.open(each["file"]) as drawn:
            assert drawn.mode == "RGBA" and drawn.size == (40, 30)
    images = at_home.images.set_index("id")
    assert {each["split"] for each in found["neighbours"]} == {"train"}
    assert all(images.loc[n["id"], "label"] == n["label"] for n in found["neighbours"])
    before = Path(found["maps"][0]["file"]).stat().st_mtime_ns
    assert explainer.explain(image) == found
    assert Path(found["maps"][0]["file"]).stat().st_mtime_ns == before


def test_the_neighbours_are_the_nearest_features(at_home):
    image = at_home.predictions().ids[3].as_py()
    found = Explainer(at_home).explain(image)["neighbours"]
    extractor, _ = open_model(at_home)
    images = at_home.images
    features = extractor.kept_features(images)
    train = images[images["split"] == "train"]
    own = images.loc[images["id"] == image, "sha256"].tolist()
    similarity = torch.cosine_similarity(features.of(own), features.of(train["sha256"].tolist()))
    order = np.argsort(1 - similarity.numpy(), kind="stable")[: len(found)]
    np.testing.assert_allclose(
        [n["distance"] for n in found], 1 - similarity.numpy()[order], atol=1e-4
    )
    assert {n["id"] for n in found} == set(train["id"].iloc[order])


def test_a_training_image_is_not_its_own_neighbour(at_home):
    train = at_home.images.query("split == 'train'")["id"].iloc[0]
    found = Explainer(at_home).explain(train)
    assert found["split"] == "train" and found["predicted"]
    assert train not in {n["id"] for n in found["neighbours"]}


def test_a_prediction_that_is_not_the_models_own_is_said(at_home, monkeypatch):
    valid = at_home.predictions()
    image, own = valid.ids[0].as_py(), int(valid.y_pred[0])
    agreed, _ = Explainer(at_home).explain(image), shutil.rmtree(explanations_folder(at_home))
    monkeypatch.setattr("engine.model.explain._known_prediction", lambda *_: 1 - own)
    found = Explainer(at_home).explain(image)
    shutil.rmtree(explanations_folder(at_home))
    assert agreed["model_note"] == "" and found["predicted"] == at_home.class_names[1 - own]
    right = valid.y_true[0] == own
    start = "gets this image right" if right else "predicts another class"
    assert f"The model shown here {start} ({at_home.class_names[own]} " in found["model_note"]


def test_a_tuned_network_finds_neighbours_once_its_images_have_passed(tmp_path, workspace):
    run = small_fit(kaggle(tmp_path / "data", train=6, test=0), train="all", epochs=1).run
    image = run.predictions().ids[0].as_py()
    found = Explainer(run).explain(image)
    assert found["maps"] and not found["neighbours"] and f"embed {run.name}" in found["note"]
    embed(run, "pca")
    with making(run, "pca"):  # some features may be missing until the process ends
        write_progress(run, "pca", "features", 1, 6)
        assert Explainer(run).explain(image)["note"]
    save_map(run, "pca", ["valid"], [image], np.zeros((1, 2)))
    found = Explainer(run).explain(image)
    assert found["neighbours"] and not found["note"]


@pytest.mark.parametrize("id", ["../../etc/passwd", "", "\0", "x" * 9000, "cat.0\n", "<b>"])
def test_a_strange_id_is_no_image(at_home, id):
    with pytest.raises(UserError, match="has no image with the id"):
        Explainer(at_home).explain(id)


def test_a_changed_or_missing_image_is_refused_by_name(at_home):
    row = at_home.images.query("split == 'test'").iloc[0]
    file = at_home.data_root / row["path"]
    kept = file.read_bytes()
    try:
        file.write_bytes(kept + b"\0")
        with pytest.raises(UserError, match=f"{file.name} has changed"):
            Explainer(at_home).explain(row["id"], "test")
        file.unlink()
        with pytest.raises(UserError, match=f"{file.name} cannot be read"):
            Explainer(at_home).explain(row["id"], "test")
    finally:
        file.write_bytes(kept)


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (50, 50), (400, 30)])
def test_the_box_is_what_the_preprocessing_leaves(size):
    width, height = size
    steps = Preprocessing(36, 32, "bilinear", (0, 0, 0), (1, 1, 1))
    left, top, right, bottom = crop_box(height, width, steps.resize, steps.crop)
    ramp = torch.arange(width).float().expand(height, width) / width * 255
    across = steps.resized(ramp[None].expand(3, -1, -1).to(torch.uint8))[0].float() / 255
    assert across[:, 0].mean() == pytest.approx(left, abs=0.05)
    assert across[:, -1].mean() == pytest.approx(right, abs=0.05)
    ramp = torch.arange(height).float()[:, None].expand(height, width) / height * 255
    down = steps.resized(ramp[None].expand(3, -1, -1).to(torch.uint8))[0].float() / 255
    assert down[0].mean() == pytest.approx(top, abs=0.05)
    assert down[-1].mean() == pytest.approx(bottom, abs=0.05)


def test_heat_lies_where_the_network_saw_it():
    heat = np.zeros((4, 4), dtype=np.float32)
    heat[:, 2:] = 1  # the right half of the crop
    with Image.open(io.BytesIO(overlay(heat, (400, 200), (0.25, 0, 0.75, 1)))) as image:
        pixels = np.asarray(image)  # (height, width, 4)
    assert pixels.shape == (200, 400, 4)
    assert pixels[100, 110, 3] == 0  # cold
    assert pixels[100, 280, 3] > 190 and pixels[100, 280, 0] > 240  # hot
    assert (pixels[100, 20] == pixels[100, 380]).all() and pixels[100, 20, 3] > 100  # not seen
    out = io.BytesIO()
    Image.new("RGB", (400, 200), (200, 200, 200)).save(out, "PNG")
    drawn = overlay(heat, (400, 200), (0.25, 0, 0.75, 1))
    with Image.open(io.BytesIO(laid_over(out.getvalue(), drawn))) as over:
        assert over.size == (400, 200)
        assert over.getpixel((20, 100))[0] < 150 < over.getpixel((110, 100))[0]


def test_the_command_serves_until_its_questions_end(at_home, capsys, monkeypatch):
    image = at_home.predictions().ids[1].as_py()
    question = {"run": at_home.name, "id": image, "split": "valid"}
    questions = [question, {**question, "id": "../x"}, {**question, "run": "nothing"}, {"run": 3}]
    content = base64.b64encode(image_bytes("dog", 99)).decode()
    questions += [{"run": at_home.name, "image": content}, {"run": at_home.name, "image": "AAAA"}]
    questions.append({"run": at_home.name, "open": True})
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write("".join(json.dumps(each) + "\n" for each in questions))
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        command_line.app(["explain", "latest", "--serve"], standalone_mode=False)
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert answers[0]["id"] == image and len(answers[0]["neighbours"]) == 8
    first, second, third = (answer["error"] for answer in answers[1:4])
    assert len(answers[4]["neighbours"]) == 8 and len(answers[4]["classes"]) == 2
    assert "the image cannot be decoded" in answers[5]["error"]
    assert answers[6] == {"opened": at_home.name}
    assert "has no image" in first and "is not a run" in second and "a run, and an id" in third


def echoing(idle: float = 60) -> list[str]:
    """Return the command of a worker that says its own process and what it was asked."""
    script = (
        "import os\nfrom engine.runs import worker\n"
        "worker.serve(lambda question: {'pid': os.getpid(), 'n': question['n']}, "
        f"idle={idle})"
    )
    return [sys.executable, "-c", script]


def started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_worker_that_died_is_started_again(monkeypatch):
    worker = Worker([])
    monkeypatch.setattr(worker, "_started", lambda: started(echoing()))
    try:
        first = worker.ask({"n": 1})
        assert first == {"pid": worker.pid, "n": 1}
        assert worker.ask({"n": 2}) == {"pid": worker.pid, "n": 2}
        with pytest.raises(UserError, match="KeyError"):
            worker.ask({})
        assert worker.pid == first["pid"]
        os.kill(first["pid"], signal.SIGKILL)
        os.waitid(os.P_PID, first["pid"], os.WEXITED | os.WNOWAIT)
        again = worker.ask({"n": 3})
        assert again["n"] == 3 and again["pid"] == worker.pid != first["pid"]
    finally:
        worker.stop()
    assert worker.pid is None


def test_a_worker_goes_home_when_nobody_asks_or_nobody_is_left():
    with started(echoing(idle=0.1)) as alone:
        assert alone.wait(30) == 0
    with started(echoing()) as left:
        left.communicate(b"nonsense\n", timeout=30)
        assert left.returncode == 0


def test_a_worker_that_gives_no_answer_is_ended(tmp_path, monkeypatch):
    worker = Worker([])
    asleep = subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    monkeypatch.setattr(worker, "_started", lambda: asleep)
    with pytest.raises(UserError, match="did not answer in time"):
        worker.ask({}, timeout=0.1)
    assert asleep.poll() is not None and worker.pid is None


def test_a_run_without_a_model_is_refused(tmp_path, workspace):
    folder = workspace / "runs" / "bare"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps(
            {
                "format_version": 1,
                "backbone": "resnet18",
                "class_names": ["a", "b"],
                "root": str(tmp_path),
            }
        )
    )
    with pytest.raises(UserError, match="has no model"):
        Explainer(Run(folder))


def asked(capsys, *arguments: str) -> dict:
    """Run a command in this process and return its JSON, which is all that it prints."""
    assert command_line.app([*arguments, "--json"], standalone_mode=False) in (None, 0)
    printed: dict = json.loads(capsys.readouterr().out)
    return printed


def test_the_commands_answer_in_json(at_home, capsys):
    image = at_home.predictions().ids[2].as_py()
    found = asked(capsys, "explain", at_home.name, image, "--split", "valid")
    assert found["id"] == image and found["run"] == at_home.name
    with Image.open(found["maps"][0]["over"]) as over:
        assert over.mode == "RGB" and over.size == (40, 30)
    made = asked(capsys, "embed", at_home.name, "--method", "pca")
    assert made["n"] == len(at_home.images)
    assert Path(made["file"]).name == "map-pca.parquet"


def test_people_read_names_as_they_are(at_home, capsys):
    image = at_home.predictions().ids[2].as_py()
    command_line.app(["explain", at_home.name, image], standalone_mode=False)
    said = capsys.readouterr().out
    assert image in said and "nearest training image" in said
    found = Explainer(at_home).explain(image)
    draw({**found, "id": "[red]x[/]\x1b[2J", "note": "[b]none[/]", "maps": []})
    said = capsys.readouterr().out
    assert "[red]x[/]" in said and "\x1b" not in said and "[b]none[/]" in said


def test_an_image_of_the_run_is_predicted_as_if_it_were_dropped(at_home):
    trial, predictions = ImagePredictor(at_home), at_home.predictions()
    near = set()
    for row in range(3):
        content = (at_home.data_root / predictions.paths[row].as_py()).read_bytes()
        found = trial.of(content)
        expected = dict(zip(at_home.class_names, predictions.probabilities[row], strict=True))
        assert dict(found.classes) == pytest.approx(expected, abs=2e-3)
        assert found.classes[0][0] == max(expected, key=lambda name: expected[name])
        assert [name for name, _ in found.maps] == [name for name, _ in found.classes[:2]]
        for _, image in found.maps:
            if image:
                with Image.open(io.BytesIO(base64.b64decode(image))) as drawn:
                    assert drawn.size == (40, 30)
        near |= {one["id"] for one in found.neighbours}
        assert found.neighbours[0]["distance"] <= found.neighbours[-1]["distance"]
    assert near <= set(at_home.images.query("split == 'train'")["id"])
    assert (found.map_note, found.note) == ("", "")
    train = at_home.images.query("split == 'train'").iloc[0]
    (same, *_) = trial.of((at_home.data_root / train["path"]).read_bytes()).neighbours
    assert same["id"] == train["id"] and same["distance"] < 1e-3


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8\xff\xe0 no image", b"%PDF-1.7"])
def test_what_is_no_image_is_refused_in_one_sentence(at_home, content):
    with pytest.raises(UserError, match="^the image cannot be decoded: .*\\.$"):
        ImagePredictor(at_home).of(content)
