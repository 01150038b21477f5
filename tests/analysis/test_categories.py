from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.categories import CATEGORIES, category_rows, highest_loss_rows, margin

# row:                0     1     2     3     4     5     6     7
P_DOG = np.array([0.10, 0.90, 0.40, 0.80, 0.10, 0.95, 0.55, 0.02])
Y_TRUE = np.array([0, 1, 1, 0, 0, 1, -1, 1])
PROBABILITIES = np.column_stack([1 - P_DOG, P_DOG])


def rows(category: str, class_index: int | None = None, seed: int = 0) -> list[int]:
    found = category_rows(category, Y_TRUE, PROBABILITIES, class_index=class_index, seed=seed)
    assert found.dtype == np.int64
    return found.tolist()


def test_the_ordered_categories_by_hand() -> None:
    assert rows("most-correct", 0) == [0, 4]  # equal: in the order of the rows
    assert rows("most-correct", 1) == [5, 1]
    assert rows("most-correct") == [5, 0, 1, 4]
    assert rows("most-incorrect", 0) == [7, 2]  # "cats" that are dogs
    assert rows("most-incorrect", 1) == [3]  # "dogs" that are cats
    assert rows("most-incorrect") == [7, 3, 2]
    assert rows("most-uncertain") == [6, 2, 3, 0, 1, 4, 5, 7]  # with the unlabelled row 6
    assert rows("most-uncertain", 1) == [6, 3, 1, 5]


def test_random_categories_shuffle_all_of_their_rows_and_no_other() -> None:
    assert sorted(rows("random-correct")) == [0, 1, 4, 5]
    assert sorted(rows("random-incorrect")) == [2, 3, 7]
    assert sorted(rows("random-incorrect", 0)) == [2, 7]
    first = {rows("random-correct", seed=seed)[0] for seed in range(50)}
    assert first == {0, 1, 4, 5}
    assert rows("random-correct", seed=3) == rows("random-correct", seed=3)


def test_a_random_order_is_pinned_for_every_machine() -> None:
    y_true = np.zeros(10, dtype=int)
    probabilities = np.tile([0.9, 0.1], (10, 1))
    found = category_rows("random-correct", y_true, probabilities, seed=0).tolist()
    assert found == [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]


def test_more_than_two_classes_by_hand() -> None:
    probabilities = np.array(
        [[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.34, 0.33, 0.33], [0.6, 0.1, 0.3], [0.2, 0.7, 0.1]]
    )
    y_true = np.array([0, 2, 1, 0, 1])
    np.testing.assert_allclose(margin(probabilities), [0.2, 0.7, 0.01, 0.3, 0.5])
    found = {c: category_rows(c, y_true, probabilities).tolist() for c in CATEGORIES}
    assert found["most-correct"] == [4, 3, 0]
    assert found["most-incorrect"] == [1, 2]
    assert found["most-uncertain"] == [2, 0, 3, 4, 1]
    assert category_rows("most-incorrect", y_true, probabilities, class_index=2).tolist() == []


def test_margin_over_several_blocks_agrees_with_sorting() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), size=9000)
    ordered = np.sort(probabilities, axis=1)
    np.testing.assert_array_equal(margin(probabilities), ordered[:, -1] - ordered[:, -2])


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), st.sampled_from([-1, 0, 1])),
        max_size=30,
    ),
    st.integers(0, 5),
)
def test_right_and_wrong_share_out_the_labelled_rows(
    drawn: list[tuple[float, int]], seed: int
) -> None:
    p = np.array([row[0] for row in drawn])
    y_true = np.array([row[1] for row in drawn], dtype=int)
    probabilities = np.column_stack([1 - p, p])
    found = {c: category_rows(c, y_true, probabilities, seed=seed).tolist() for c in CATEGORIES}
    labelled = np.flatnonzero(y_true >= 0).tolist()
    assert sorted(found["random-correct"] + found["random-incorrect"]) == labelled
    assert sorted(found["most-correct"]) == sorted(found["random-correct"])
    assert sorted(found["most-incorrect"]) == sorted(found["random-incorrect"])
    assert sorted(found["most-uncertain"]) == list(range(len(drawn)))
    for c in ("most-correct", "most-incorrect"):
        keys = [(-max(p[i], 1 - p[i]), i) for i in found[c]]
        assert keys == sorted(keys)
    for c in CATEGORIES:
        split = [category_rows(c, y_true, probabilities, class_index=k, seed=seed) for k in (0, 1)]
        y_pred = probabilities.argmax(axis=1)
        for k in (0, 1):
            assert split[k].tolist() == [i for i in found[c] if y_pred[i] == k]


@pytest.mark.parametrize(("category", "class_index"), [("most-wrong", None), ("most-correct", 2)])
def test_what_does_not_exist_is_named(category: str, class_index: int | None) -> None:
    with pytest.raises(ValueError, match="most-wrong" if class_index is None else "class 2"):
        rows(category, class_index)


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, np.inf, np.nan]), max_size=12), st.integers(1, 8)
)
def test_the_highest_losses_are_the_first_of_all_sorted(values, k) -> None:
    losses = np.array(values, dtype=np.float64)
    assert highest_loss_rows(losses, k).tolist() == np.argsort(-losses, kind="stable")[:k].tolist()
