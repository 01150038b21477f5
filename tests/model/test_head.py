"""The head scores as scikit-learn's cross-validated logistic regression does, every time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from engine.model.head import Head, train_head
from engine.model.training_options import TrainingOptions

Split = tuple[torch.Tensor, torch.Tensor]


def _problem(n: int, width: int, n_classes: int, seed: int) -> tuple[Split, Split]:
    """Draw features like a network's (correlated, cut at zero, of uneven scale); a third valid."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    latent = 0.55 * rng.normal(size=(n_classes, 12))[y] + rng.normal(size=(n, 12))
    mixed = latent @ rng.normal(size=(12, width)) / 12**0.5 + rng.normal(0, 0.5, (n, width))
    x = np.maximum(mixed, 0) * rng.gamma(1.5, 0.4, width)
    features, labels = torch.from_numpy(x).half().float(), torch.from_numpy(y)
    cut = 2 * n // 3
    return (features[:cut], labels[:cut]), (features[cut:], labels[cut:])


def _train(train: Split, valid: Split, n_classes: int, **options: Any) -> tuple[Head, list[Any]]:
    lines: list[dict[str, Any]] = []
    settings = replace(TrainingOptions(epochs=40, lr=3e-3, batch_size=64, seed=0), **options)
    head = train_head(train, valid, n_classes, settings, on_epoch=lines.append)
    return head, lines


@pytest.mark.parametrize(("n_classes", "seed"), [(2, 0), (2, 1), (2, 2), (3, 0)])
def test_its_log_loss_is_that_of_a_cross_validated_logistic_regression(n_classes, seed):
    train, valid = _problem(1000, 64, n_classes, seed)
    head, _ = _train(train, valid, n_classes)
    with threadpool_limits(1):
        peer = LogisticRegressionCV(
            Cs=10, cv=5, scoring="neg_log_loss", max_iter=5000, l1_ratios=(0,),
            use_legacy_attributes=False,
        ).fit(train[0].numpy(), train[1].numpy())  # fmt: skip
    ours = log_loss(valid[1], head.probabilities(valid[0]).numpy())
    theirs = log_loss(valid[1], peer.predict_proba(valid[0].numpy()))
    guessing = np.log(n_classes)
    assert theirs < 0.9 * guessing
    assert ours <= 1.05 * theirs


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    train, valid = _problem(300, 32, 2, 0)
    (one, _), (same, _), (other, _) = (_train(train, valid, 2, seed=s) for s in (5, 5, 6))
    assert torch.equal(one.weight, same.weight) and torch.equal(one.bias, same.bias)
    assert not torch.equal(one.weight, other.weight)


def test_it_leaves_the_global_random_state_and_the_number_of_threads_alone():
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    _train(*_problem(100, 16, 2, 0), 2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


def test_probabilities_are_float64_and_sum_to_one():
    train, valid = _problem(300, 32, 3, 0)
    head, _ = _train(train, valid, 3)
    p = head.probabilities(valid[0])
    assert p.dtype == torch.float64 and p.shape == (len(valid[1]), 3)
    assert ((p >= 0) & (p <= 1)).all()
    assert (p.sum(dim=1) - 1).abs().max().item() <= 1e-12


def test_confident_probabilities_keep_what_float32_would_lose():
    head = Head(torch.tensor([[0.0], [30.0]]), torch.zeros(2))
    p = head.probabilities(torch.ones(1, 1))
    assert p[0, 0].item() == pytest.approx(np.exp(-30) / (1 + np.exp(-30)), rel=1e-12)
    assert p[0, 1].item() < 1


def test_the_last_line_tells_what_the_head_scores():
    train, valid = _problem(400, 32, 3, 1)
    head, lines = _train(train, valid, 3, epochs=12)
    assert [line["epoch"] for line in lines] == list(range(1, 13))
    p = head.probabilities(valid[0]).numpy()
    assert lines[-1]["valid_loss"] == pytest.approx(log_loss(valid[1], p), rel=1e-9)
    assert lines[-1]["valid_accuracy"] == np.mean(p.argmax(axis=1) == valid[1].numpy())
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert all(line["seconds"] >= 0 for line in lines)


def test_features_moved_and_scaled_give_the_same_probabilities():
    train, valid = _problem(400, 32, 2, 2)
    head, _ = _train(train, valid, 2)
    moved = [(4 * x + 7, y) for x, y in (train, valid)]
    other, _ = _train(*moved, 2)
    difference = head.probabilities(valid[0]) - other.probabilities(moved[1][0])
    assert head.l2 == other.l2 and difference.abs().max().item() < 1e-3


def test_valid_images_do_not_influence_the_head():
    train, valid = _problem(300, 32, 2, 0)
    head, _ = _train(train, valid, 2)
    other, _ = _train(train, (valid[0] * 3, 1 - valid[1]), 2)
    assert torch.equal(head.weight, other.weight) and head.l2 == other.l2


def test_many_classes_are_learnt():
    n_classes = 60
    rng = np.random.default_rng(0)
    y = np.arange(900) % n_classes
    x = rng.normal(size=(n_classes, 48))[y] + 0.4 * rng.normal(size=(900, 48))
    features, labels = torch.from_numpy(x).float(), torch.from_numpy(y)
    head, lines = _train((features[:600], labels[:600]), (features[600:], labels[600:]), n_classes)
    assert head.weight.shape == (n_classes, 48)
    assert lines[-1]["valid_accuracy"] > 0.9


def test_a_handful_of_images_and_constant_features_are_enough():
    features, labels = torch.eye(4)[:, :3], torch.tensor([0, 1, 0, 1])
    head, lines = _train((features, labels), (features, labels), 2, epochs=3)
    assert torch.isfinite(head.weight).all() and np.isfinite(lines[-1]["valid_loss"])
    same = torch.full((8, 5), 2.5)
    head, lines = _train((same, labels.repeat(2)), (same, labels.repeat(2)), 2, epochs=3)
    assert lines[-1]["valid_loss"] == pytest.approx(np.log(2), abs=1e-3)
