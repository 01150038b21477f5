from __future__ import annotations

import numpy as np

from engine.analysis.categories import category_rows
from engine.analysis.clipping import clip_probabilities, touched
from engine.analysis.metrics import (
    accuracy,
    confusion_matrix,
    mean_interval,
    most_confused,
    precision_recall,
)

MATRIX = [[979, 10], [19, 992]]  # rows true, columns predicted, cat then dog


def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2017)
    cells = rng.permutation(np.repeat(np.arange(4), np.ravel(MATRIX)))
    y_true, y_pred = cells // 2, cells % 2
    winning = rng.uniform(0.51, 1, size=2000)
    p_dog = np.where(y_pred == 1, winning, 1 - winning)
    return y_true, np.column_stack([1 - p_dog, p_dog])


def test_the_reference_counts_come_out() -> None:
    y_true, probabilities = images()
    matrix = confusion_matrix(y_true, probabilities.argmax(axis=1), 2)
    assert matrix.tolist() == MATRIX
    assert accuracy(y_true, probabilities) == 0.9855
    assert len(category_rows("random-correct", y_true, probabilities)) == 1971
    assert len(category_rows("random-incorrect", y_true, probabilities)) == 29
    for category, counts in (("most-correct", (979, 992)), ("most-incorrect", (19, 10))):
        for c in (0, 1):
            found = category_rows(category, y_true, probabilities, class_index=c)
            assert len(found) == counts[c]
            p = probabilities[found, c]
            assert (np.diff(p) <= 0).all()
    assert len(category_rows("most-uncertain", y_true, probabilities)) == 2000


def test_the_reference_matrix_reads_as_it_should() -> None:
    precision, recall = precision_recall(np.array(MATRIX))
    np.testing.assert_allclose(precision, [979 / 998, 992 / 1002])
    np.testing.assert_allclose(recall, [979 / 989, 992 / 1011])
    assert most_confused(np.array(MATRIX)) == [(1, 0, 19), (0, 1, 10)]
    low, high = mean_interval(np.arange(2000) < 1971)
    assert 0.979 < low < 0.981
    assert 0.989 < high < 0.991


def test_the_reference_predictions_are_clipped_to_the_written_ones() -> None:
    p_dog = np.array([3e-9, 0.44612, 0.01999, 0.0, 0.99999998])  # 9292, 12026, 9688, 4392, 779
    probabilities = np.column_stack([1 - p_dog, p_dog])
    clipped = clip_probabilities(probabilities, 0.025, 0.975)
    written = [f"{p:.5f}" for p in clipped[:, 1]]
    assert written == ["0.02500", "0.44612", "0.02500", "0.02500", "0.97500"]
    np.testing.assert_allclose(clipped.sum(axis=1), 1, atol=1e-15)
    assert touched(probabilities, 0.025, 0.975) == (3, 1)
