"""The change by a refit on fixed labels, and the loss by cause, by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from engine.analysis.causes import loss_by_cause
from engine.analysis.label_edit_effect import change_on_fixed_labels
from engine.runs.predictions import UNKNOWN, Predictions, make_predictions


def _made(ids: list[str], labels: list[int], p_dog: list[float]) -> Predictions:
    p = np.array(p_dog)
    return make_predictions(ids, ids, np.array(labels), np.column_stack([1 - p, p]), ("cat", "dog"))


def test_by_hand():
    before = _made(["a", "b", "c", "d"], [0, 1, 1, 0], [0.4, 0.8, 0.5, 0.3])
    after = _made(["a", "b", "d"], [1, 1, 0], [0.9, 0.8, 0.1])  # c was left out
    change = change_on_fixed_labels(before, after, np.array([1, 1, UNKNOWN, 0]))
    assert change is not None and (change.n, change.excluded) == (3, 1)
    assert change.log_loss_before == pytest.approx(log_loss([1, 1, 0], [0.4, 0.8, 0.3]))
    assert change.log_loss_after == pytest.approx(log_loss([1, 1, 0], [0.9, 0.8, 0.1]))
    assert change.difference == pytest.approx(change.log_loss_before - change.log_loss_after)
    assert change.low <= change.difference <= change.high
    assert change.summary()["interval"] == [change.low, change.high]


@settings(max_examples=15)
@given(st.integers(5, 40), st.integers(0, 100), st.data())
def test_leaving_images_out_or_changing_labels_alone_is_no_progress(n, seed, data):
    rng = np.random.default_rng(seed)
    ids = [f"{i:03}" for i in range(n)]
    labels, p = rng.integers(0, 2, n), rng.uniform(0.05, 0.95, n)
    before = _made(ids, labels.tolist(), p.tolist())
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    kept[0] = True
    changed = np.where(rng.random(n) < 0.3, 1 - labels, labels)
    after = _made([i for i, k in zip(ids, kept, strict=True) if k], changed[kept].tolist(),
                  p[kept].tolist())  # fmt: skip
    change = change_on_fixed_labels(before, after, changed)
    assert change is not None and change.n == kept.sum()
    assert (change.difference, change.low, change.high) == (0, 0, 0)


def test_images_of_one_group_count_as_one():
    rng = np.random.default_rng(0)
    five, labels = np.repeat(np.arange(60), 5), rng.integers(0, 2, 60)
    p, better = rng.uniform(0.05, 0.95, (2, 60))
    names = [f"{i:03}" for i in range(300)]
    once = [_made(names[:60], labels.tolist(), each.tolist()) for each in (p, better)]
    copies = [_made(names, labels[five].tolist(), each[five].tolist()) for each in (p, better)]
    alone = change_on_fixed_labels(*once, labels)
    grouped = change_on_fixed_labels(*copies, labels[five], groups=five)
    assert alone is not None and grouped is not None and grouped.n == 300
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))


def test_nothing_to_compare():
    before = _made(["a"], [0], [0.4])
    assert change_on_fixed_labels(before, _made(["b"], [0], [0.4]), np.array([0])) is None
    assert change_on_fixed_labels(before, before, np.array([UNKNOWN])) is None
    other = make_predictions(["a"], ["a"], np.array([0]), np.array([[0.5, 0.5]]), ("cat", "fox"))
    assert change_on_fixed_labels(before, other, np.array([0])) is None


def test_loss_by_cause():
    losses = np.array([1.0, 3.0, 0.5, 0.1, 0.2, np.nan])
    found = loss_by_cause(losses, ["scale", "scale", "occlusion", "", "", "scale"], 4.0)
    assert [(each.cause, each.n) for each in found] == [("scale", 2), ("occlusion", 1), ("", 2)]
    assert [each.log_loss for each in found] == pytest.approx([2.0, 0.5, 0.15])
    assert all(each.low <= each.log_loss <= each.high for each in found)
    assert loss_by_cause(losses, [""] * 6, 4.0) == []
    assert loss_by_cause(np.array([np.nan]), ["scale"], 4.0) == []
