"""The table of probabilities: sorted by id, the same after saving, and checked on every way in."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UserError
from engine.runs.prediction_files import load_predictions, save_predictions
from engine.runs.predictions import UNKNOWN, Predictions, label_indices, likeliest, make_predictions

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> Predictions:
    classes = sorted(draw(st.sets(TEXT, min_size=2, max_size=5)))
    ids = draw(st.lists(TEXT, max_size=12, unique=True))
    n, k = len(ids), len(classes)
    labels = draw(st.lists(st.integers(UNKNOWN, k - 1), min_size=n, max_size=n))
    weights = draw(
        st.lists(
            st.lists(st.floats(0, 1, width=32), min_size=k, max_size=k).filter(sum),
            min_size=n,
            max_size=n,
        )
    )
    p = np.array(weights, dtype=np.float64).reshape(n, k)
    p /= p.sum(axis=1, keepdims=True)
    return make_predictions(ids, [f"test/{id}" for id in ids], np.array(labels, int), p, classes)


def assert_same(one: Predictions, other: Predictions) -> None:
    assert one.class_names == other.class_names
    assert one.ids.equals(other.ids)
    assert one.paths.equals(other.paths)
    assert np.array_equal(one.y_true, other.y_true)
    assert np.array_equal(one.probabilities, other.probabilities)
    assert other.probabilities.dtype == np.float64


def two(ids: list[str], p_dog: list[float]) -> Predictions:
    p = np.array(p_dog)
    n = len(ids)
    columns = np.column_stack([1 - p, p])
    return make_predictions(ids, ids, np.zeros(n, int), columns, ["cat", "dog"], source="p.csv")


def refusal(*arguments: object, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        make_predictions(*arguments, source="p.csv", **options)
    message = str(caught.value)
    assert message.startswith("p.csv") and "\n" not in message
    return message


@settings(max_examples=60)
@given(tables())
def test_saving_and_loading_is_identity(table):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deep" / "valid.parquet"
        save_predictions(path, table)
        assert_same(table, load_predictions(path))


@settings(max_examples=60)
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(table, random):
    order = list(range(len(table)))
    random.shuffle(order)
    mixed = make_predictions(
        [table.ids[i].as_py() for i in order],
        [table.paths[i].as_py() for i in order],
        table.y_true[order],
        table.probabilities[order],
        table.class_names,
    )
    assert_same(table, mixed)
    ids = table.ids.to_pylist()
    assert ids == sorted(ids)


def test_a_prediction_belongs_to_its_id():
    table = two(["b", "10", "9", "001", "1"], [0.1, 0.2, 0.3, 0.4, 0.5])
    assert table.ids.to_pylist() == ["001", "1", "10", "9", "b"]
    assert table.probabilities[:, 1].tolist() == [0.4, 0.5, 0.2, 0.3, 0.1]


def test_what_follows_from_the_columns():
    p = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    table = make_predictions(["a", "b"], ["a", "b"], np.array([1, UNKNOWN]), p, ["x", "y", "z"])
    assert table.y_pred.tolist() == [1, 0]
    assert len(table) == 2
    assert not table.labelled
    assert table.take(np.array([True, False])).labelled
    assert not table.take(np.array([], int)).labelled
    assert_same(table.take(np.array([1])), table.take(np.array([False, True])))
    assert table.take(np.array([1])).ids.to_pylist() == ["b"]


def test_doubles_survive_to_the_last_bit(tmp_path):
    p = np.array([np.nextafter(0.1, 1), 5e-324, 1.0, 1 - 2**-53])
    save_predictions(tmp_path / "p.parquet", two(["a", "b", "c", "d"], list(p)))
    assert np.array_equal(load_predictions(tmp_path / "p.parquet").probabilities[:, 1], p)


def test_the_file_is_what_the_design_says(tmp_path):
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    table = make_predictions(["7", "8"], ["7.jpg", "8.jpg"], np.array([1, UNKNOWN]), p, ("c", "d"))
    save_predictions(tmp_path / "p.parquet", table)
    assert pq.read_table(tmp_path / "p.parquet").to_pylist() == [
        {"id": "7", "path": "7.jpg", "label": "d", "p_c": 0.25, "p_d": 0.75},
        {"id": "8", "path": "8.jpg", "label": None, "p_c": 0.5, "p_d": 0.5},
    ]


def test_repeated_ids_are_refused_and_the_first_ten_named():
    ids = [f"{n:02}" for n in range(12)] * 3
    message = refusal(ids, ids, np.zeros(36, int), np.full((36, 2), 0.5), ["a", "b"])
    assert all(repr(f"{n:02}") in message for n in range(10))
    assert "'10'" not in message and "2 more" in message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.1, 1.1])
def test_impossible_probabilities_are_refused_and_the_first_ten_named(bad):
    p = np.full((20, 2), 0.5)
    p[3:18, 1] = bad
    ids = [f"{n:02}" for n in range(20)]
    message = refusal(ids, ids, np.zeros(20, int), p, ["a", "b"])
    assert all(repr(f"{n:02}") in message for n in range(3, 13))
    assert "'02'" not in message and "'13'" not in message and "5 more" in message
    assert "outside [0, 1]" in message


def test_rows_must_sum_to_one():
    ids = ["a", "b", "c"]
    p = np.array([[0.5, 0.5], [0.5, 0.5 + 2e-6], [0.5, 0.5 + 5e-7]])
    message = refusal(ids, ids, np.zeros(3, int), p, ["x", "y"])
    assert "'b'" in message and "'c'" not in message


@pytest.mark.parametrize("classes", [["a"], [], ["b", "a"], ["a", "a"]])
def test_class_names_must_be_sorted_and_different(classes):
    p = np.full((1, len(classes)), 1.0 / max(1, len(classes)))
    assert "class names" in refusal(["1"], ["1"], np.array([0]), p, classes)


@pytest.mark.parametrize(
    ("ids", "labels", "shape"),
    [
        (["1"], [0, 0], (2, 2)),
        (["1", "2"], [0], (2, 2)),
        (["1", "2"], [0, 0], (1, 2)),
        (["1", "2"], [0, 0], (2, 3)),
    ],
)
def test_columns_must_fit_together(ids, labels, shape):
    message = refusal(ids, ids, np.array(labels), np.full(shape, 1 / shape[1]), ["a", "b"])
    assert "differ" in message


@pytest.mark.parametrize("label", [-2, 2])
def test_a_label_must_be_a_class(label):
    assert "label" in refusal(["1"], ["1"], np.array([label]), np.full((1, 2), 0.5), ["a", "b"])


def test_missing_ids_are_refused():
    ids = pa.array(["1", None], pa.string())
    message = refusal(ids, ids, np.zeros(2, int), np.full((2, 2), 0.5), ["a", "b"])
    assert "1 rows have no id" in message


def test_labels_become_indices():
    labels = pa.array(["dog", None, "cat"], pa.string())
    assert label_indices(labels, ["cat", "dog"], source="p").tolist() == [1, UNKNOWN, 0]
    with pytest.raises(UserError, match="p: labels that are not a class: 'owl'"):
        label_indices(pa.array(["owl", "cat", "owl"]), ["cat", "dog"], source="p")


def load_refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_predictions(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "valid.parquet"
    assert "does not exist" in load_refusal(path)
    drawn = random.Random(0)
    ids = [f"{n:03}" for n in range(200)]
    save_predictions(path, two(ids, [drawn.random() for _ in ids]))
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:-8], whole[100:]):
        path.write_bytes(content)
        assert "damaged" in load_refusal(path)


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"label": None},
        {"p_dog": None},
        {"p_dog": ["half", "half"]},
        {"p_dog": [0.5, None]},
        {"p_dog": [0.5, 0.6]},
        {"p_dog": [[0.5], [0.5]]},
        {"id": ["1", "1"]},
        {"id": [["1"], ["2"]]},
        {"label": ["cat", "owl"]},
        {"p_cat": None, "p_dog": None},
    ],
)
def test_a_table_that_breaks_a_rule_is_refused(tmp_path, change):
    columns = {
        "id": ["1", "2"],
        "path": ["1.jpg", "2.jpg"],
        "label": ["cat", None],
        "p_cat": [0.5, 0.5],
        "p_dog": [0.5, 0.5],
    }
    path = tmp_path / "valid.parquet"
    pq.write_table(pa.table(columns), path)
    assert len(load_predictions(path)) == 2
    changed = {name: column for name, column in {**columns, **change}.items() if column}
    pq.write_table(pa.table(changed), path)
    assert load_refusal(path)


def test_a_failed_write_keeps_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "valid.parquet"
    old = two(["a"], [0.5])
    save_predictions(path, old)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(UserError, match=str(path)):
        save_predictions(path, two(["a", "b"], [0.1, 0.2]))
    assert_same(load_predictions(path), old)
    assert [file.name for file in tmp_path.glob("*parquet*")] == ["valid.parquet"]


@pytest.mark.parametrize("shape", [(0, 2), (1, 2), (5000, 3), (700, 1000)])
def test_the_likeliest_class_is_argmax_of_tables_that_may_not_be_written_to(shape):
    probabilities = np.random.default_rng(0).integers(0, 9, shape) / 9  # with ties
    probabilities.setflags(write=False)
    assert np.array_equal(likeliest(probabilities), probabilities.argmax(axis=1))
