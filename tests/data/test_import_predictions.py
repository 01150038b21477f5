"""A run from another tool's predictions: rows find their images, and none is lost silently."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from engine.data.import_predictions import import_run as make_run
from engine.errors import UserError
from engine.runs.run import Run
from engine.runs.run_list import list_runs, open_run
from engine.runs.run_results import ImageCounts
from tests.support import tiny_images as tiny


@pytest.fixture
def write(tmp_path: Path):
    def write(content: str) -> Path:
        path = tmp_path / "predictions.csv"
        path.write_text(content)
        return path

    return write


def import_run(*arguments, **options) -> Run:
    return make_run(*arguments, **options).run


def reasons(run: Run) -> dict[str, str]:
    return dict(zip(run.quarantine["id"], run.quarantine["reason"], strict=True))


def paths(run: Run, split: str) -> dict[str, str]:
    table = run.predictions(split)
    return dict(zip(table.ids.to_pylist(), table.paths.to_pylist(), strict=True))


def test_labelled_rows_are_valid_and_the_others_test(tmp_path, write):
    data = tiny.kaggle(tmp_path / "data", train=2, test=2)
    file = write(
        "id,label,cat,dog\n"
        "dog.1,dog,0.25,0.75\ncat.0,cat,0.9,0.1\ncat.1,cat,0.4,0.6\n"
        "2,,0.5,0.5\n1,,0.125,0.875\n"
    )
    run = import_run(file, data, "from elsewhere")
    assert open_run("latest") == run
    valid, test = run.predictions("valid"), run.predictions("test")
    assert valid.ids.to_pylist() == ["cat.0", "cat.1", "dog.1"]
    assert valid.y_true.tolist() == [0, 0, 1]
    assert test.ids.to_pylist() == ["1", "2"]
    assert test.probabilities[:, 1].tolist() == [0.875, 0.5]
    assert paths(run, "test") == {"1": "test/1.jpg", "2": "test/2.jpg"}
    config = run.config
    assert config.n == ImageCounts(train=0, valid=3, test=2, quarantined=0)
    assert config.name == "from elsewhere"
    assert config.source.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    expected = np.array([[0.9, 0.1], [0.4, 0.6], [0.25, 0.75]])
    assert config.scores.log_loss == pytest.approx(log_loss([0, 0, 1], expected))
    assert config.scores.accuracy == accuracy_score([0, 0, 1], expected.argmax(axis=1))
    images = run.images
    assert images["id"].tolist() == ["1", "2", "cat.0", "cat.1", "dog.1"]
    assert images["split"].tolist() == ["test"] * 2 + ["valid"] * 3
    first = images.set_index("id").loc["cat.0"]
    content = (run.data_root / first["path"]).read_bytes()
    assert first["sha256"] == hashlib.sha256(content).hexdigest()
    assert (first["width"], first["height"]) == (40, 30)


def test_one_column_for_the_positive_class(tmp_path, write):
    data = tiny.kaggle(tmp_path / "data", train=1, test=0)
    run = import_run(write("id,label,p\ncat.0,cat,0.25\ndog.0,dog,0.75\n"), data)
    assert run.class_names == ("cat", "dog")
    assert run.predictions().probabilities.tolist() == [[0.75, 0.25], [0.25, 0.75]]


@pytest.mark.parametrize(
    "row",
    [
        ("path", "train/cat/1.jpg"),
        ("path", "elsewhere/train-cat-one.jpg"),
        ("id", "train-cat-one.jpg"),
        ("id", "train-cat-one"),
        ("id", "cat/sub/train-cat-one.jpg"),
    ],
)
def test_an_image_is_found_by_path_name_or_stem(tmp_path, write, row):
    column, value = row
    data = tmp_path / "data"
    for path in ("train/cat/1.jpg", "train/dog/1.jpg", "valid/dog/2.jpg"):
        tiny.put(data / path, tiny.image_bytes(path))
    tiny.put(data / "train/cat/train-cat-one.jpg", tiny.image_bytes("cat"))
    expected = value if value.startswith("train/") else "train/cat/train-cat-one.jpg"
    run = import_run(write(f"{column},cat,dog\n{value},0.5,0.5\n"), data)
    assert list(paths(run, "test").values()) == [expected]
    assert run.images["path"].tolist() == [expected]


def test_a_name_that_fits_two_images_fits_none(tmp_path, write):
    data = tiny.class_folders(tmp_path / "data", each=2)
    tiny.put(data / "cat" / "own.jpg", tiny.image_bytes("cat", 9))
    made = make_run(write("id,cat,dog\n0,0.5,0.5\nown,0.5,0.5\n"), data)
    assert made.run.images["id"].tolist() == ["own"]
    assert reasons(made.run) == {"0": f"fits several images in {data}"}
    assert (made.found, made.missing, made.ambiguous) == (1, 0, 1)


def test_a_deleted_image_is_not_taken_from_another_folder(tmp_path, write):
    data = tiny.class_folders(tmp_path / "data", each=3)
    (data / "cat" / "2.jpg").unlink()
    rows = [f"/home/me/{name}/{n}.jpg,{name},0.5,0.5" for name in tiny.TWO for n in range(3)]
    made = make_run(write("\n".join(["path,label,cat,dog", *rows])), data)
    assert (made.found, made.missing) == (5, 1)
    assert len(made.run.images) == 5


def test_a_submission_with_its_own_header(tmp_path, write, engine):
    data = tiny.kaggle(tmp_path / "data", train=0, test=2)
    sample = tiny.put(tmp_path / "sample_submission.csv", b"Id,Expected\n1,0.5\n2,0.5\n")
    file = write("Id,Expected,comment\n1,0.25,a\n2,1,b\n")
    done = engine(
        "import", file, "--images", data, "--sample", sample, "--positive", "dog", "--json"
    )
    assert json.loads(done.out)["images"] == {"found": 2, "missing": 0, "ambiguous": 0}
    table = open_run("latest").predictions("test")
    assert table.class_names == ("dog", "not dog")
    assert table.probabilities[:, 0].tolist() == [0.25, 1]
    other = write("id,p\n1,0.25\n")
    with pytest.raises(UserError, match="no column 'Id', 'Expected', which the sample file has"):
        import_run(other, data, sample=sample, positive="dog")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("image,y_true,fold,cat,dog\ncat.0,0,1,0.9,0.1\ndog.0,1,0,0.4,0.6\n", ("cat", "dog")),
        (
            "Filename,Target,Cat,Dog\nold/cat.0.jpg,Cat,.9,.1\nold/dog.0.jpg,Dog,.4,.6\n",
            ("Cat", "Dog"),
        ),
        ("ID,y_true,y_pred,P\ncat.0,0,0,0.1\ndog.0,1,1,0.6\n", ("cat", "dog")),
    ],
)
def test_out_of_fold_tables_as_they_are_kept(tmp_path, write, content, expected):
    data = tiny.kaggle(tmp_path / "data", train=1, test=0)
    single = "P\n" in content
    made = make_run(write(content), data, positive="dog" if single else None)
    table = made.run.predictions("valid")
    expected = ("dog", "not dog") if single else expected
    assert table.class_names == expected
    names = [table.class_names[label].casefold() for label in table.y_true]
    assert names == (["not dog", "dog"] if single else ["cat", "dog"])
    assert made.run.config.scores.accuracy == 1
    assert bool(made.renamed) == ("y_true" in content)


def test_a_submissions_label_column_holds_probabilities(tmp_path, write):
    data = tiny.kaggle(tmp_path / "data", train=0, test=2)
    run = import_run(write("id,label\n1,0.25\n2,0.9\n"), data, positive="dog")
    assert run.predictions("test").probabilities[:, 0].tolist() == [0.25, 0.9]
    with pytest.raises(UserError, match="name the class of this one with positive"):
        import_run(write("id,label\n1,0.25\n2,0.9\n"), data)
    with pytest.raises(UserError, match="positive='bird' must be one of the two labels"):
        import_run(write("id,label,p\n1,cat,0.25\n2,dog,0.9\n"), data, positive="bird")


def test_missing_and_bad_images_are_quarantined_but_keep_their_rows(tmp_path, write):
    data = tiny.kaggle(tmp_path / "data", train=1, test=1)
    tiny.put(data / "test" / "2.jpg", b"")
    run = import_run(
        write("id,label,cat,dog\ncat.0,cat,0.5,0.5\n1,,0.5,0.5\n2,,0.5,0.5\n3,,0.5,0.5\n"), data
    )
    found = reasons(run)
    assert set(found) == {"2", "3"}
    assert "empty" in found["2"]
    assert f"not found in {data}" in found["3"]
    assert run.predictions("test").ids.to_pylist() == ["1", "2", "3"]
    assert run.config.n.quarantined == 2
    assert run.images["id"].tolist() == ["1", "cat.0"]


def test_without_labels_there_is_no_score_and_an_empty_valid_table(tmp_path, write):
    data = tiny.kaggle(tmp_path / "data", train=0, test=2)
    run = import_run(write("id,cat,dog\n1,0.5,0.5\n2,0.25,0.75\n"), data)
    assert len(run.predictions("valid")) == 0
    assert run.config.scores is None
    assert run.status.state == "done"


def test_nothing_found_is_refused_and_leaves_no_run(tmp_path, write):
    data = tiny.kaggle(tmp_path / "data")
    file = write("id,cat,dog\n901,0.5,0.5\n902,0.5,0.5\n")
    with pytest.raises(UserError) as caught:
        import_run(file, data)
    message = str(caught.value)
    assert str(data) in message and str(file) in message and "'901', '902'" in message
    with pytest.raises(UserError, match="nowhere"):
        import_run(file, tmp_path / "nowhere")
    with pytest.raises(UserError, match="missing.csv"):
        import_run(tmp_path / "missing.csv", data)
    assert list_runs() == []


def test_the_images_and_the_table_are_only_read(tmp_path, write):
    data = tiny.kaggle(tmp_path / "data", train=1, test=1)
    file = write("id,cat,dog\n1,0.5,0.5\n")
    before = {path: path.stat().st_mtime_ns for path in [data, *data.rglob("*"), file]}
    import_run(file, data)
    assert {path: path.stat().st_mtime_ns for path in [data, *data.rglob("*"), file]} == before
