"""Label columns are read as classes, or the other task is named."""

from __future__ import annotations

import pyarrow as pa
import pytest

from engine.data.label_values import is_bits, one_hot, other_task, read_labels


@pytest.mark.parametrize("text", ["", " ", "NaN", "nan", "NA", "n/a", "None", "null", "?", "<NA>"])
def test_no_label_is_no_class(text):
    assert read_labels(pa.array(["cat", text])).to_pylist() == ["cat", None]


def test_labels_are_stripped_composed_and_whole():
    assert read_labels(pa.array([" cafe\u0301", "café "])).to_pylist() == ["café", "café"]
    assert read_labels(pa.array(["1.0", "10.0", "nan"])).to_pylist() == ["1", "10", None]
    assert read_labels(pa.array(["1.0", "1.5"])).to_pylist() == ["1.0", "1.5"]
    assert read_labels(pa.array(["NoF", "nothing"])).to_pylist() == ["NoF", "nothing"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label", ["cat", "dog"]),
        ("breed", ["golden retriever", "labrador retriever", "golden eagle"]),
        ("labels", ["Tomato leaf", "Potato root"]),
        ("class", ["0", "1", "2"]),
        ("category_id", [str(k) for k in range(200)]),
        ("label", ["apple pie", "cherry pie", "apple cake", "cherry cake"]),
        ("label", ["Nail, rusty", "Screw, new"]),
    ],
)
def test_these_are_classes(name, values):
    assert other_task(name, pa.array(values)) is None


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("label", ["cat", "dog", "cat dog"], "several labels"),
        ("Finding Labels", ["Mass", "Mass|Nodule", "Nodule"], "several labels"),
        ("label", ["['cat']", "['cat', 'dog']"], "several labels"),
        ("Target", ["16 0", "5"], "several labels"),
        ("label", ["dog cat", "cat dog"], "several labels"),
        ("label", ["0.25", "1.75"], "continuous"),
        ("age", [str(k) for k in range(60)], "continuous"),
    ],
)
def test_other_tasks_are_named(name, values, said):
    assert said in (other_task(name, pa.array(values)) or "")


def test_one_hot_columns_are_one_class_a_row_or_none():
    cat, dog = pa.array(["1", "0", "1.0"]), pa.array(["0", "1", "0.0"])
    labels = one_hot([cat, dog], ["cat", "dog"])
    assert labels is not None and labels.to_pylist() == ["cat", "dog", "cat"]
    assert one_hot([cat, pa.array(["1", "1", "0"])], ["cat", "dog"]) is None
    assert is_bits(cat) and not is_bits(pa.array(["0", "2"]))
