from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.shared import commands
from dashboard.views.train import form, weights_files
from engine.data.dataset import load_dataset
from engine.errors import UserError
from engine.runs import jobs
from engine.runs.files import workspace
from engine.runs.fit_options import FitOptions
from engine.runs.network_speeds import cpu_name, keep_for_machine
from engine.runs.run import Run
from tests.support import pages
from tests.support.pages import assert_harmless, html
from tests.support.run_folders import run_with
from tests.support.tiny_images import image_bytes, image_folder, kaggle, put


def opened(folder: Path | None = None) -> AppTest:
    app = pages.opened("train")
    if folder is not None:
        app.text_input(key="train_data").set_value(str(folder)).run()
    return app


def started(monkeypatch: pytest.MonkeyPatch) -> list[FitOptions]:
    """Catch what would be started."""
    calls: list[FitOptions] = []
    monkeypatch.setattr(commands, "start_fit", calls.append)
    return calls


def job(state: str, **status: Any) -> Run:
    run = run_with("resnet18", {"request": {"name": "mine"}, "name": "mine", "data": "/d"})
    run.set_status(state, **status)
    return run


def test_a_folder_is_told_before_anything_runs(home: Path, tmp_path: Path) -> None:
    data = kaggle(tmp_path / "pets", train=10, test=4)
    put(data / "train" / "cat.99.jpg", b"no image")
    put(data / "train" / "dog.98.jpg", (data / "train" / "cat.0.jpg").read_bytes())
    app = opened(data)
    assert not app.exception
    said = html(app)
    # 21 readable labelled images, a fifth of them held out, each class in proportion.
    assert "<td>All classes</td><td>17</td><td>4</td>" in said
    assert any("4 test images" in c.value for c in app.caption)
    assert said.count("data:image/jpeg") == 21
    assert [e.label for e in app.expander][1:3] == [
        "1 unreadable file",
        "1 image occurs twice, in two splits or with two labels",
    ]
    assert app.dataframe[0].value["path"].tolist() == ["train/cat.99.jpg"]


def test_it_says_where_labels_and_splits_come_from_and_reads_as_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = started(monkeypatch)
    data = tmp_path / "eyes"
    lines = {"labels.csv": ["image,grade,patient_id"], "second.csv": ["image,eye"]}
    for i in range(24):
        put(data / "images" / f"{i}.jpg", image_bytes("cat" if i % 2 else "dog", i))
        lines["labels.csv"].append(f"{i},{i % 3},p{i // 4}")
        lines["second.csv"].append(f"{i},{'left' if i % 2 else 'right'}")
    put(data / "labels.csv", "\n".join(lines["labels.csv"]).encode())
    put(data / "Thumbs.db", b"")
    app = opened(data)
    said = html(app)
    assert "<dt>Labels</dt><dd>labels.csv, columns image and grade</dd>" in said
    assert (
        "<dt>Split</dt><dd>validation images are drawn from train, the same ones for a seed</dd>"
        in said
    )
    assert any("keeps each of its 6 on one side" in each.value for each in app.warning)
    put(data / "second.csv", "\n".join(lines["second.csv"]).encode())
    app.run()
    assert "“Label table”" in app.error[0].value  # two tables: which one?
    app.text_input(key="train_labels").set_value(str(data / "second.csv")).run()
    assert "<td>left</td>" in html(app) and not app.error
    app.text_input(key="train_labels").set_value(str(data / "labels.csv"))
    app.text_input(key="train_group").set_value("patient_id").run()
    assert "<dt>Group</dt><dd>patient_id, 6 values</dd>" in html(app)
    app.button(key="train_start").click().run()
    assert calls[0].changed() == {"labels": str(data / "labels.csv"), "group": "patient_id"}


def test_counts_follow_the_choice_of_valid_images(home: Path, tmp_path: Path) -> None:
    app = opened(kaggle(tmp_path / "pets", train=10))
    app.number_input(key="train_valid").set_value(8).run()
    assert "<td>All classes</td><td>12</td><td>8</td>" in html(app)


@pytest.mark.parametrize("valid", [None, 60])
@pytest.mark.parametrize("sample", [False, True])
@pytest.mark.parametrize("seed", [None, 7])
def test_the_split_shown_is_the_one_that_fit_makes(
    home: Path, tmp_path: Path, valid: int | None, sample: bool, seed: int | None
) -> None:
    # 101 cats and 199 dogs, so that a rehearsal has to leave out and shares do not come out even.
    data = tmp_path / "pets"
    for name, n in (("cat", 101), ("dog", 199)):
        for i in range(n):
            put(data / "train" / f"{name}.{i}.jpg", image_bytes(name, i))
    app = opened(data)
    if valid is not None:
        app.number_input(key="train_valid").set_value(valid)
    if seed is not None:
        app.number_input(key="train_seed").set_value(seed)
    app.toggle(key="train_sample").set_value(sample)
    app.run()
    images = load_dataset(data, valid=valid, sample=sample, seed=seed or 0).images
    for name in ("cat", "dog"):
        n = [((images["label"] == name) & (images["split"] == s)).sum() for s in ("train", "valid")]
        assert f"<td>{name}</td><td>{n[0]}</td><td>{n[1]}</td>" in html(app)


def test_too_many_valid_images_are_refused_in_words(home: Path, tmp_path: Path) -> None:
    app = opened(kaggle(tmp_path / "pets", train=10))
    app.number_input(key="train_valid").set_value(19).run()
    assert not app.exception and len(app.error) == 1
    assert "Validation images 19 must lie between 1 and 18" in app.error[0].value


def test_a_folder_with_valid_images_keeps_them(home: Path, tmp_path: Path) -> None:
    app = opened(image_folder(tmp_path / "pets", train=6, valid=3))
    assert "<td>All classes</td><td>12</td><td>6</td>" in html(app)
    assert app.number_input(key="train_valid").disabled


def test_the_choices_become_the_options_of_fit(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = started(monkeypatch)
    data = kaggle(tmp_path / "pets")
    app = opened(data)
    app.selectbox(key="train_backbone").set_value("resnet18")
    app.selectbox(key="train_weights").set_value("none")
    app.segmented_control(key="train_what").set_value("all")
    app.toggle(key="train_sample").set_value(True)
    app.text_input(key="train_name").set_value("first try")
    app.number_input(key="train_epochs").set_value(2)
    app.number_input(key="train_lr").set_value(0.01)
    app.run()
    app.button(key="train_start").click().run()
    assert not app.exception and calls[0].path == data
    assert calls[0].changed() == {
        "backbone": "resnet18", "weights": "none", "train": "all", "sample": True,
        "name": "first try", "epochs": 2, "lr": 0.01,
    }  # fmt: skip
    assert app.text_input(key="train_data").value == str(data)  # for another try
    assert "has started" in app.toast[0].value


def test_views_are_an_option_of_the_page(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = started(monkeypatch)
    app = opened(kaggle(tmp_path / "pets"))
    app.selectbox(key="train_views").set_value(2).run()
    app.button(key="train_start").click().run()
    assert not app.exception and calls[0].changed() == {"views": 2}


def test_a_refusal_to_start_is_one_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(options: FitOptions) -> None:
        raise UserError("--backbone '<b>' is not the name of a model.")

    monkeypatch.setattr(commands, "start_fit", refuse)
    app = opened(kaggle(tmp_path / "pets"))
    app.button(key="train_start").click().run()
    assert (
        not app.exception
        and "name of a model" in app.error[0].value
        and "<b>" not in app.error[0].value
    )


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_images_is_refused_in_one_sentence(home: Path, tmp_path, name) -> None:
    (tmp_path / "empty").mkdir()
    app = opened(tmp_path / name)
    assert not app.exception and len(app.error) == 1
    assert not any(b.key == "train_start" for b in app.button)


def test_a_running_fit_shows_where_it_is_and_can_be_cancelled(home: Path) -> None:
    run = job("running")
    with run.held():
        run.set_status("running", stage="features", done=300, total=1200, images_per_second=45.0)
        run.write_epochs([_epoch(1), _epoch(2)])
        app = opened()
        said = html(app)
        assert "300 of 1,200" in said and "45 images a second" in said and "20 s left" in said
        assert '<span class="now">Extracting features</span>' in said
        assert len(app.get("plotly_chart")) == 2
        app.button(key=f"cancel_{run.name}").click().run()
        assert run.cancel_requested and "Stopping" in html(app)
        assert html(opened()).count("300 of 1,200") + html(opened()).count("Stopping") > 0


def test_a_killed_worker_is_lost_with_its_last_lines(home: Path) -> None:
    run = job("running", stage="features", done=300, total=1200)
    (run.folder / jobs.LOG).write_text("began <b>\nlibjpeg warned\n")
    app = opened()
    said = html(app)
    assert "Lost." in said and "300 of 1,200" in said
    assert "began &lt;b&gt;\nlibjpeg warned" in said
    app.button(key=f"dismiss_{run.name}").click().run()
    assert "Lost." not in html(app)


def test_a_fit_that_ended_early_goes_on_in_its_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(jobs, "start_job", lambda run, arguments: started.append(arguments))
    run = job("cancelled")
    jobs.cancel(run)
    app = opened()
    app.button(key=f"again_{run.name}").click().run()
    assert not app.exception and run.status.state == "queued" and not run.cancel_requested
    assert started == [["fit", "/d", "--name=mine", "--into", run.name, "--json"]]
    commands.start_again(run)
    assert len(started) == 1  # it is under way


@pytest.mark.parametrize("keys", [{"data": "--help"}, {"request": {"no": 1}}, {"request": None}])
def test_what_a_strange_run_asks_for_is_not_started(
    home: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    monkeypatch.setattr(jobs, "start_job", lambda *_: pytest.fail("started"))
    run = job("failed")
    run.update_config(**keys)
    with pytest.raises(UserError, match="start a new fit below"):
        commands.start_again(run)
    assert run.status.state == "failed"


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        ("queued", {}, "loading PyTorch"),
        ("running", {}, "Finding the images and the weights"),
        ("running", {"stage": "features", "done": 9, "total": 9, "images_per_second": 4.0},
         "All 9 done; preparing the next step"),
        ("running", {"stage": "train", "done": 0, "total": 0}, "Solving the last layer"),
    ],
)  # fmt: skip
def test_progress_says_what_runs_and_promises_no_second(
    home: Path, state: str, status: dict[str, Any], said: str
) -> None:
    run = job(state)
    with run.held():
        run.set_status(state, **status)
        shown = html(opened())
        assert said in shown and "s left" not in shown


def test_a_failed_fit_says_why(home: Path) -> None:
    message = (
        "--weights x.pt is <no> safetensors file; set --train to head, or start with random "
        "weights: --weights none."
    )
    run = job("failed", message=message)
    (run.folder / jobs.LOG).write_text(f"python -m engine fit\nError: {message}\n")
    said = html(opened())
    assert "Failed." in said and "“Initial weights” x.pt is &lt;no&gt; safetensors" in said
    assert "set “Train” to head" in said
    assert "start with random weights: “Initial weights”, random initialisation." in said
    assert "--weights" not in said and "python -m engine" not in said  # it says no more
    (run.folder / jobs.LOG).write_text("Killed\n")
    assert "Killed" in html(opened())


def test_what_cannot_be_fitted_is_refused_before_it_starts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = started(monkeypatch)
    app = opened(kaggle(tmp_path / "pets"))
    app.selectbox(key="train_views").set_value(2)
    app.segmented_control(key="train_what").set_value("all").run()
    app.button(key="train_start").click().run()
    assert not calls and "Views 2 works only if the head alone" in app.error[0].value


def test_weights_files_near_the_data_can_be_chosen(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = kaggle(tmp_path / "pets")
    for name in ("weights/mine.safetensors", "pets/a.pth", "deep/1/2/3/far.pt", "not.txt"):
        put(tmp_path / name, b"-")
    put(workspace() / "runs" / "r" / "model.safetensors", b"-")
    (tmp_path / "link.pt").symlink_to(tmp_path / "not.txt")
    app = opened(data)
    offered = app.selectbox(key="train_weights").options
    names = [Path(each).name for each in offered[2:]]
    assert names == ["a.pth", "mine.safetensors"]

    calls = started(monkeypatch)  # each of several backbones has weights of its own
    monkeypatch.setitem(form.BACKBONES, "resnet18+densenet121", "typed in the browser")
    app.run().selectbox(key="train_backbone").set_value("resnet18+densenet121").run()
    boxes = [app.selectbox(key=key) for key in ("train_weights", "train_weights_1")]
    labels = [f"Initial weights of {name}" for name in ("resnet18", "densenet121")]
    assert [box.label for box in boxes] == labels
    mine = str(tmp_path / "weights" / "mine.safetensors")
    boxes[1].set_value(mine).run()
    app.button(key="train_start").click().run()
    assert not app.exception and not app.error
    assert calls[0].networks == (("resnet18", "default"), ("densenet121", mine))
    for i in range(200):
        (data / "train" / f"{i}.txt").touch()
    monkeypatch.setattr(weights_files, "_MOST_IN_FOLDER", 20)
    monkeypatch.setattr(weights_files, "_MOST_ENTRIES", 100)
    st.cache_resource.clear()
    found = weights_files.weights_files(data)  # folders of many images leave room for others
    assert "mine.safetensors" in {Path(each).name for each in found}


def test_the_page_says_how_long_it_takes_and_what_is_faster(home: Path, tmp_path: Path) -> None:
    data = kaggle(tmp_path / "pets", train=10, test=4)
    app = opened(data)
    said = [each.value for each in app.caption]
    assert any("24 images has not been measured here yet" in each for each in said)
    assert any("more accurate on ImageNet" in each and "“Network”" in each for each in said)
    speeds = {"vgg16": 0.1, "resnet50": 24.0}
    keep_for_machine(cpu_name(4, "float32"), speeds)
    keep_for_machine(cpu_name(2, "float32"), {"vgg16": 0.05})
    keep_for_machine("another CPU, 8 threads, float32", {"vgg16": 99.0})
    app.run()
    said = [each.value for each in app.caption]
    assert any("between 4 min and 8 min, as measured here" in each for each in said)
    assert any("resnet50" in each and "as fast here" in each for each in said)
    app.selectbox(key="train_backbone").set_value("resnet50").run()
    said = [each.value for each in app.caption]
    assert any("takes about 1 s, as measured here" in each for each in said)
    app.segmented_control(key="train_what").set_value("all").run()
    assert any("more than 7 s here" in each.value for each in app.caption)


def test_a_finished_fit_is_one_click_away(make_run) -> None:
    run = make_run()
    run.update_config(request={"backbone": "vgg16"})
    app = opened()
    assert "Finished." in html(app)
    app.button(key=f"open_{run.name}").click().run()
    assert not app.exception and run.name in app.query_params["run"]
    assert not any(b.key and b.key.startswith("open_") for b in app.button)  # on another page now


def test_folders_used_before_are_one_click_away(home: Path, tmp_path: Path) -> None:
    data = kaggle(tmp_path / "pets")
    run_with("vgg16", {"data": str(data)}).set_status("cancelled")
    run_with("vgg16", {"data": str(tmp_path / "gone")}).set_status("cancelled")
    app = opened()
    assert len(app.pills(key="train_recent").options) == 1
    app.pills(key="train_recent").set_value(str(data)).run()
    assert app.text_input(key="train_data").value == str(data)
    assert "data:image/jpeg" in html(app)


def test_many_classes_fold_the_table(home: Path, tmp_path: Path) -> None:
    classes = tuple(f"class {i:03}" for i in range(40))
    app = opened(image_folder(tmp_path / "many", train=3, classes=classes))
    assert not app.exception and "and 28 more" in html(app)


def test_hostile_names_are_text(home: Path, tmp_path: Path) -> None:
    classes = ("<script>alert(1)<", "![x](http:evil)", "🐈 emoji", "x" * 200)
    data = image_folder(tmp_path / "<b>bold", train=3, classes=classes)
    put(data / "train" / classes[0] / "<img src=x onerror=alert(1)>.jpg", b"no image")
    run = job("failed", message="<img src=x onerror=alert(1)>\nline")
    (run.folder / jobs.LOG).write_text("<script>alert(1)</script>\n")
    app = opened(data)
    assert not app.exception
    assert_harmless(app)
    assert "&lt;script&gt;" in html(app)


def _epoch(number: int) -> dict[str, Any]:
    return {
        "epoch": number, "loss": 0.5, "accuracy": 0.8, "valid_loss": 0.4, "valid_accuracy": 0.9,
        "seconds": 1.0,
    }  # fmt: skip
