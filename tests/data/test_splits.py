"""The split divides no group and no copies, and every class that can be in valid is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from engine.data.connected import connected
from engine.data.split_words import split_of
from engine.data.splits import components, divided, divided_components, kept_together, stratified
from engine.errors import UserError

DATA = Path("/data")


def made(sizes: dict[str, int], groups: int = 0, copies: int = 0) -> pd.DataFrame:
    """Make labelled images, in so many groups, the first of each class ``copies`` times there."""
    labels = [label for label, size in sizes.items() for _ in range(size)]
    n = len(labels)
    group = [f"g{k % groups}" for k in range(n)] if groups else [None] * n
    sha = [f"{label}-{max(0, k - copies)}" for label, size in sizes.items() for k in range(size)]
    return pd.DataFrame(
        {
            "id": [f"{k:05}" for k in range(n)], "path": [f"{k:05}.jpg" for k in range(n)],
            "split": "train", "label": labels, "group": group, "sha256": sha,
        },
        dtype=object,
    )  # fmt: skip


def held_out(images: pd.DataFrame) -> pd.DataFrame:
    return images[images["split"] == "valid"]


def test_no_group_is_in_train_and_valid():
    images = divided(made({"cat": 80, "dog": 80}, groups=8), DATA, None, False, 0)
    sides = images.groupby("group")["split"].nunique()
    assert (sides == 1).all()
    assert 20 <= len(held_out(images)) <= 60 and set(held_out(images)["label"]) == {"cat", "dog"}


@settings(max_examples=60)
@given(
    st.lists(st.integers(2, 30), min_size=2, max_size=5), st.integers(2, 20), st.integers(0, 5),
    st.integers(0, 9),
)  # fmt: skip
def test_whatever_the_groups_none_is_divided_and_each_class_can_be_learnt(
    sizes, groups, copies, seed
):
    images = made({f"c{k}": size for k, size in enumerate(sizes)}, groups, copies)
    try:
        split = divided(images, DATA, None, False, seed)
    except UserError as error:
        assert "--group" in error.sentence
        return
    assert not len(divided_components(split["split"], components(split)))
    assert set(split.loc[split["split"] == "train", "label"]) == set(images["label"])
    assert len(held_out(split))


def test_copies_stay_on_one_side_and_the_number_stays_exact():
    images = divided(made({"cat": 100, "dog": 100}, copies=6), DATA, 40, False, 3)
    assert not len(divided_components(images["split"], components(images)))
    assert held_out(images)["label"].value_counts().to_dict() == {"cat": 20, "dog": 20}


def test_without_groups_the_split_is_the_stratified_one():
    images = made({"cat": 60, "dog": 40})
    chosen = stratified(images, 20, 5, every_class=True)
    assert held_out(divided(images, DATA, 20, False, 5)).index.tolist() == chosen.tolist()


def test_every_class_that_can_be_in_valid_is():
    images = divided(made({f"c{k:03}": 2 for k in range(300)} | {"one": 1}), DATA, None, False, 0)
    counts = held_out(images)["label"].value_counts()
    assert len(counts) == 300 and set(counts) == {1} and "one" not in counts
    rare = divided(made({"good": 480, "defect": 4}), DATA, None, False, 0)
    assert held_out(rare)["label"].value_counts()["defect"] == 1


def test_the_default_number_is_never_blamed_on_the_person():
    with pytest.raises(UserError) as caught:
        divided(made({"a": 1, "b": 1}), DATA, None, False, 0)
    assert "--valid" not in str(caught.value) and "one image of each" in str(caught.value)
    with pytest.raises(UserError, match="valid=2 must be 1: "):
        divided(made({"a": 1, "b": 2}), DATA, 2, False, 0)


def test_what_near_copies_divide_is_moved_whole_and_made_up_for():
    images = divided(made({"cat": 50, "dog": 50}), DATA, 20, False, 0)
    near = np.arange(100)
    near[:30] = np.arange(30) // 2  # pairs of cats
    component = components(images, also=near)
    assert len(divided_components(images["split"], component))
    whole = kept_together(images, component, 0)
    assert not len(divided_components(whole["split"], component))
    assert held_out(whole)["label"].value_counts().to_dict() == {"cat": 10, "dog": 10}
    assert kept_together(whole, component, 0) is whole


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train training Train TRAIN train_images training_set seg_train cars_train "
                  "stage1_train train2017 Train-jpg trainset TrainingData train_val2019 xTrain"),
        ("valid", "val valid validation Validation valid_set dev val2017 imgs-val validation-224"),
        ("test", "test testing test1 test_stg1 test_images seg_pred Test PublicTest PrivateTest "
                 "testset prediction unlabelled"),
        (None, "latest contest cat training_test trained value devices images protest"),
    ],
)  # fmt: skip
def test_splits_are_known_by_the_words_of_a_name(split, names):
    assert {name: split_of(name) for name in names.split()} == dict.fromkeys(names.split(), split)


def test_a_class_that_is_one_torn_group_goes_to_train_whole():
    images = pd.DataFrame(
        {
            "id": list("abcd"),
            "path": list("abcd"),
            "split": ["train", "valid", "train", "valid"],
            "label": ["cat", "cat", "dog", "dog"],
        }
    )
    whole = kept_together(images, np.array([0, 0, 1, 2]), 0)
    assert whole["split"].tolist() == ["train", "train", "train", "valid"]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 30)), min_size=1, max_size=40))
def test_components_are_scipys(pairs):
    keys = list(np.array(pairs).T)
    n = len(pairs)
    shares = (keys[0][:, None] == keys[0]) | (keys[1][:, None] == keys[1])
    expected = connected_components(shares, directed=False)[1]
    np.testing.assert_array_equal(connected(keys, n), expected)
    chain = [np.arange(2001) // 2, (np.arange(2001) + 1) // 2]
    assert connected([], 3).tolist() == [0, 1, 2]
    assert not connected(chain, 2001).any()


@settings(max_examples=40)
@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30))
def test_copies_are_numbered_as_by_the_general_way(contents):
    images = pd.DataFrame({"sha256": contents, "group": None})
    every = np.zeros(len(images), dtype=np.int64)
    found = components(images)
    np.testing.assert_array_equal(found, components(images, also=np.arange(len(images))))
    assert found.max() + 1 == len(set(contents))
    np.testing.assert_array_equal(components(images, also=every), every)
