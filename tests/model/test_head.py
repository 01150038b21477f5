"""The head reaches scikit-learn's optimum, and scores as its cross-validated regression does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from engine.model import head as head_module
from engine.model import penalty
from engine.model.basis import Basis
from engine.model.head import Head, HeadOptions, train_head, train_heads
from engine.model.solver import Point, Rows, solve
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
    l2, groups = options.pop("l2", None), options.pop("groups", None)
    head = train_head(
        train, valid, n_classes, HeadOptions(**options), l2=l2, groups=groups, on_epoch=lines.append
    )
    return head, lines


def _by_epochs(epochs: int, seed: int = 0) -> TrainingOptions:
    return TrainingOptions(epochs=epochs, lr=3e-3, batch_size=64, seed=seed)


def _objective(head: Head, features: torch.Tensor, labels: torch.Tensor, l2: float) -> float:
    """Return mean log loss and penalty, on features scaled to unit variance on average."""
    p = head.probabilities(features).numpy()
    scale = float((features - features.mean(dim=0)).square().mean().sqrt())
    squares = (scale * head.weight.double()).square().sum().item()
    return (
        float(-np.log(p[np.arange(len(p)), labels]).mean()) + l2 * features.shape[1] / 2 * squares
    )


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("n", "width"), [(300, 24), (60, 80)])
@pytest.mark.parametrize("l2", [3e-2, 3e-4])
def test_it_reaches_the_optimum_of_scikit_learn_at_the_same_penalty(n_classes, n, width, l2):
    (features, labels), valid = _problem(n, width, n_classes, 0)
    head, _ = _train((features, labels), valid, n_classes, l2=l2)
    scaled = (features - features.mean(dim=0)).numpy()
    scaled /= np.sqrt(np.square(scaled).mean())
    strength = (2 if n_classes == 2 else 1) / (l2 * width * len(labels))
    with threadpool_limits(1):
        peer = LogisticRegression(C=strength, tol=1e-9, max_iter=10_000).fit(scaled, labels.numpy())
    theirs = peer.predict_proba(scaled)
    squares = np.square(peer.coef_).sum() / (2 if n_classes == 2 else 1)
    optimum = log_loss(labels, theirs) + l2 * width / 2 * squares
    assert _objective(head, features, labels, l2) == pytest.approx(optimum, rel=1e-5)
    ours = head.probabilities(features).numpy()
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


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
    assert ours <= 1.01 * theirs


@pytest.mark.parametrize("seed", range(3))
def test_a_rare_class_costs_no_more_than_its_share(seed):
    rng = np.random.default_rng(seed)
    y = np.zeros(400, int)
    y[::100] = 1
    x = rng.normal(size=(400, 64)) + 0.3 * y[:, None]
    features, labels = torch.from_numpy(x).float(), torch.from_numpy(y)
    train, valid = (features[:200], labels[:200]), (features[200:], labels[200:])
    head, lines = _train(train, valid, 2)
    shares = log_loss(valid[1], np.tile([0.99, 0.01], (200, 1)))
    assert lines[0]["valid_loss"] == pytest.approx(shares, rel=1e-5)
    assert log_loss(valid[1], head.probabilities(valid[0]).numpy()) <= 1.001 * shares


def test_a_signal_in_small_variances_is_found():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 64)) * 0.1
    x[:, 0] = 10 * rng.normal(size=300)  # most of the variance, and nothing in it
    x[:, 1] += 0.2 * y
    features, labels = torch.from_numpy(x).float(), torch.from_numpy(y)
    train, valid = (features[:200], labels[:200]), (features[200:], labels[200:])
    head, lines = _train(train, valid, 2)
    assert lines[-1]["valid_loss"] < 0.9 * lines[0]["valid_loss"]


def test_balanced_classes_are_weighted_as_scikit_learn_does():
    (features, labels), valid = _problem(400, 24, 3, 0)
    rows = torch.cat([torch.nonzero(labels == k)[: 80 // (k + 1), 0] for k in range(3)])
    features, labels = features[rows], labels[rows]
    head, _ = _train((features, labels), valid, 3, balanced=True, l2=1e-2)
    scale = float((features - features.mean(dim=0)).square().mean().sqrt())
    peer = LogisticRegression(
        C=1 / (1e-2 * 24 * len(labels)), tol=1e-9, max_iter=10_000, class_weight="balanced"
    ).fit(features.numpy() / scale, labels.numpy())
    theirs = peer.predict_proba(valid[0].numpy() / scale)
    np.testing.assert_allclose(head.probabilities(valid[0]).numpy(), theirs, atol=2e-3)


def test_images_of_one_group_are_not_divided_when_the_penalty_is_chosen():
    train, valid = _problem(150, 32, 2, 0)
    twice = torch.cat([train[0]] * 2), torch.cat([train[1]] * 2)
    groups = np.tile(np.arange(100), 2)
    alone, _ = _train(train, valid, 2)
    together, _ = _train(twice, valid, 2, groups=groups)
    apart, _ = _train(twice, valid, 2)
    assert together.l2 > 3 * apart.l2  # a copy in another fold would reward a weak penalty
    assert together.l2 > 0.3 * alone.l2


def test_classes_of_one_image_and_classes_that_a_head_never_saw_have_probabilities():
    train, valid = _problem(90, 16, 30, 0)
    rows = np.unique(train[1].numpy(), return_index=True)[1]
    one_each = train[0][rows], torch.arange(len(rows))
    head, _ = _train(one_each, one_each, len(rows))
    assert torch.isfinite(head.weight).all()
    used = torch.ones(1, len(rows))
    used[0, :3] = 0
    (unseen,) = train_heads(*one_each, len(rows), used, HeadOptions(), head.l2, len(rows))
    p = unseen.probabilities(one_each[0])
    assert torch.isfinite(p).all() and (p.diagonal()[:3] > 1e-4).all()


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    train, valid = _problem(300, 32, 2, 0)
    (one, _), (same, _) = (_train(train, valid, 2, seed=5) for _ in range(2))
    assert torch.equal(one.weight, same.weight) and torch.equal(one.bias, same.bias)
    (one, _), (same, _), (other, _) = (
        _train(train, valid, 2, by_epochs=_by_epochs(5, seed=s)) for s in (5, 5, 6)
    )
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


@pytest.mark.parametrize("solved", [True, False])
def test_the_last_line_tells_what_the_head_scores(solved):
    train, valid = _problem(400, 32, 3, 1)
    epochs = None if solved else _by_epochs(12)
    head, lines = _train(train, valid, 3, by_epochs=epochs)
    first = 0 if solved else 1  # the class shares
    assert [line["epoch"] for line in lines] == list(range(first, first + len(lines)))
    assert solved or len(lines) == 12
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
    assert other.l2 == pytest.approx(head.l2, rel=1e-3) and difference.abs().max().item() < 1e-3


def test_valid_images_do_not_influence_the_head():
    train, valid = _problem(300, 32, 2, 0)
    head, _ = _train(train, valid, 2)
    other, _ = _train(train, (valid[0] * 3, 1 - valid[1]), 2)
    assert torch.equal(head.weight, other.weight) and head.l2 == other.l2


def test_many_classes_are_learnt():
    n_classes = 20
    rng = np.random.default_rng(0)
    y = np.arange(450) % n_classes
    x = rng.normal(size=(n_classes, 48))[y] + 0.4 * rng.normal(size=(450, 48))
    features, labels = torch.from_numpy(x).float(), torch.from_numpy(y)
    head, lines = _train((features[:300], labels[:300]), (features[300:], labels[300:]), n_classes)
    assert head.weight.shape == (n_classes, 48)
    assert lines[-1]["valid_accuracy"] > 0.9


def test_a_handful_of_images_and_constant_features_are_enough():
    features, labels = torch.eye(4)[:, :3], torch.tensor([0, 1, 0, 1])
    head, lines = _train((features, labels), (features, labels), 2)
    assert torch.isfinite(head.weight).all() and np.isfinite(lines[-1]["valid_loss"])
    same = torch.full((8, 5), 2.5)
    head, lines = _train((same, labels.repeat(2)), (same, labels.repeat(2)), 2)
    assert lines[-1]["valid_loss"] == pytest.approx(np.log(2), abs=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_of_many_rows_a_sample_chooses_the_penalty(n_classes, monkeypatch):
    train, valid = _problem(4500, 40, n_classes, 1)
    every, _ = _train(train, valid, n_classes)
    monkeypatch.setattr(penalty, "_ROWS", 1000)
    some, _ = _train(train, valid, n_classes)
    assert some.l2 != every.l2 and 1 / 5 < some.l2 / every.l2 < 5
    losses = [log_loss(valid[1], each.probabilities(valid[0])) for each in (every, some)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_probabilities_of_many_images_are_computed_in_parts(monkeypatch):
    (features, _), _ = _problem(60, 20, 3, 0)
    head = Head(torch.randn(3, 20), torch.randn(3))
    whole = head.probabilities(features)
    monkeypatch.setattr(head_module, "_PREDICTED", 7)
    assert torch.allclose(head.probabilities(features), whole, rtol=1e-13, atol=0)
    assert head.probabilities(features[:0]).shape == (0, 3)


def test_a_head_that_only_rounding_moves_is_finished():
    (features, labels), _ = _problem(3000, 40, 3, 0)
    basis, used = Basis.of(features), torch.full((1, len(labels)), 1 / len(labels))
    rows = Rows(basis.rotated(features), labels, 3, used, torch.zeros_like(used))
    penalty_of = torch.tensor([1e-6 * 40])

    def solved(tolerance: float) -> tuple[Point, int]:
        points: list[Point] = []
        at = solve(
            rows, penalty_of, basis.variances, rows.start(),
            tolerance=tolerance, passes=1000, on_pass=points.append,
        )  # fmt: skip
        return at, len(points)

    (usual, _), (finest, passes) = solved(1e-6), solved(1e-12)
    assert passes < 200  # 550 where only the promised decrease ends it
    assert float(finest.objective) == pytest.approx(float(usual.objective), rel=2e-6)
