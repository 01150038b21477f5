"""Out-of-fold predictions score as scikit-learn's, and no label reaches the head of its fold."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from threadpoolctl import threadpool_limits

from engine.analysis.near_duplicates import assign_folds, near_identical
from engine.data.dataset import Dataset, load_dataset
from engine.errors import UserError
from engine.model.device import choose_device
from engine.model.extractor import Extractor
from engine.model.features import Features
from engine.model.fit import FitResult
from engine.model.folds import out_of_fold
from engine.model.grouping import grouped
from engine.model.head import HeadOptions
from engine.model.preprocessing import preprocessing
from engine.model.weights import find_weights
from engine.runs.fit_defaults import checked_options
from tests.support.small_fits import home, small_fit, small_options, tables
from tests.support.tiny_images import image_bytes, image_folder, kaggle, put

SETTINGS, L2 = HeadOptions(), 3e-4


def _problem(n: int, width: int, n_classes: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, n)
    latent = 0.55 * rng.normal(size=(n_classes, 12))[y] + rng.normal(size=(n, 12))
    mixed = latent @ rng.normal(size=(12, width)) / 12**0.5 + rng.normal(0, 0.5, (n, width))
    x = np.maximum(mixed, 0) * rng.gamma(1.5, 0.4, width)
    return torch.from_numpy(x).float(), torch.from_numpy(y), assign_folds(y, np.arange(n), 5)


def _peer(x: torch.Tensor, y: torch.Tensor, fold: np.ndarray, l2: float) -> np.ndarray:
    """Return scikit-learn's out-of-fold probabilities under the same penalty.

    Ours is ``l2 * width / 2`` times the squares of both classes' weights, on features scaled to
    unit variance on average; the difference of the two has half of their squares.
    """
    centred = (x - x.mean(dim=0)).numpy()
    n = len(centred)  # the strength is that of a penalty for all rows
    strength = 2 / (n * l2 * centred.shape[1] * np.square(centred).mean())
    model = LogisticRegression(C=strength, tol=1e-8, max_iter=5000)
    with threadpool_limits(1):
        return np.asarray(
            cross_val_predict(
                model, centred, y.numpy(), cv=PredefinedSplit(fold), method="predict_proba"
            )
        )


def test_they_score_as_the_logistic_regression_of_scikit_learn_on_the_same_folds():
    x, y, fold = _problem(900, 64, 2)
    ours = out_of_fold(x, y, 2, fold, SETTINGS, L2, len(y))
    theirs = _peer(x, y, fold, L2)
    assert ours.dtype == np.float64 and np.abs(ours.sum(axis=1) - 1).max() < 1e-12
    assert log_loss(y, theirs) < 0.6
    assert log_loss(y, ours) == pytest.approx(log_loss(y, theirs), rel=1e-3)
    assert np.abs(ours - theirs).max() < 5e-3


def test_they_do_so_on_features_of_real_photographs(real_data: Path):
    weights = real_data / "weights" / "squeezenet1_1.safetensors"
    found = find_weights("squeezenet1_1", str(weights), 0)
    dataset = load_dataset(real_data / "dogs-vs-cats", valid=10)
    images = dataset.images[dataset.images["split"] == "train"].sample(120, random_state=0)
    extractor = Extractor(
        "squeezenet1_1", found, 0, preprocessing("squeezenet1_1", None), choose_device("cpu")
    )
    x = extractor.features(dataset.root, images).of(images["sha256"].tolist())
    y = torch.from_numpy((images["label"] == "dog").to_numpy().astype(np.int64))
    groups = near_identical(x.numpy(), images["sha256"].tolist())
    fold = assign_folds(y.numpy(), groups, 5)
    ours = out_of_fold(x, y, 2, fold, SETTINGS, L2, len(y))
    theirs = log_loss(y, _peer(x, y, fold, L2))
    assert theirs < 0.35 and len(set(groups.tolist())) > 115
    assert log_loss(y, ours) == pytest.approx(theirs, rel=1e-2)


def test_no_label_of_a_fold_reaches_the_head_that_predicts_it():
    x, y, fold = _problem(300, 32, 3)
    before = out_of_fold(x, y, 3, fold, SETTINGS, L2, len(y))
    others = y.clone()
    others[torch.from_numpy(fold == 2)] = 0
    after = out_of_fold(x, others, 3, fold, SETTINGS, L2, len(y))
    assert np.array_equal(before[fold == 2], after[fold == 2])
    assert all(not np.array_equal(before[fold == f], after[fold == f]) for f in (0, 1, 3, 4))


def test_neither_do_its_images():
    x, y, fold = _problem(250, 32, 2)
    before = out_of_fold(x, y, 2, fold, SETTINGS, L2, len(y))
    rows = np.flatnonzero(fold == 1)
    shuffled = x.clone()  # the mean, by which all are centred, stays
    shuffled[rows] = x[np.roll(rows, 1)]
    after = out_of_fold(shuffled, y, 2, fold, SETTINGS, L2, len(y))
    np.testing.assert_allclose(after[rows], before[np.roll(rows, 1)], atol=1e-5)
    assert np.abs(after[fold != 1] - before[fold != 1]).max() > 1e-3


def test_a_run_keeps_which_labelled_images_are_nearly_identical():
    values = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))
    values[7] = values[3] + 0.01
    sha256 = [f"{k:064x}" for k in range(40)]
    images = pd.DataFrame(
        {"id": sha256, "path": sha256, "label": ["a", "b"] * 20, "sha256": sha256, "group": None,
         "split": ["train"] * 30 + ["valid"] * 5 + ["test"] * 5}
    )  # fmt: skip
    dataset = Dataset(Path("."), images.iloc[::-1], images.iloc[:0], ("a", "b"), split_given=True)
    features = Features(values.half(), {name: row for row, name in enumerate(sha256)})
    near = grouped(dataset, features, seed=0).dataset.images["near_duplicate"]
    assert near[3] == near[7] and near.notna().sum() == 2
    features.values[7] = -features.values[3]
    assert "near_duplicate" not in grouped(dataset, features, seed=0).dataset.images


@pytest.mark.parametrize("fold", [[0, 0, 0, 0], [0, 2, 0, 2]])
def test_one_fold_or_an_empty_one_is_refused(fold):
    x, y = torch.rand(4, 3), torch.tensor([0, 1, 0, 1])
    with pytest.raises(ValueError, match="two or more folds"):
        out_of_fold(x, y, 2, np.array(fold), SETTINGS, L2, len(y))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kaggle(tmp_path_factory.mktemp("data"), train=16, test=4)


@pytest.fixture(scope="module")
def crossed(data, tmp_path_factory) -> FitResult:
    with home(tmp_path_factory.mktemp("crossed")):
        return small_fit(data, folds=4)


def test_a_fit_with_folds_predicts_every_labelled_image(crossed):
    made, images = crossed.run.predictions("folds"), crossed.run.images
    labelled = images[images["split"] != "test"].sort_values("id")
    assert made.ids.to_pylist() == labelled["id"].tolist()
    assert made.paths.to_pylist() == labelled["path"].tolist()
    assert [made.class_names[i] for i in made.y_true] == labelled["label"].tolist()
    said = crossed.summary()["folds"]
    assert said.keys() == {"k", "n", "accuracy", "log_loss", "groups", "seconds"}
    assert (said["k"], said["n"]) == (4, 32)
    assert said["accuracy"] == accuracy_score(made.y_true, made.y_pred)
    assert said["log_loss"] == pytest.approx(log_loss(made.y_true, made.probabilities))
    assert asdict(crossed.run.config.out_of_fold) == said and crossed.run.fit_options.folds == 4
    assert crossed.run.labelled_split == "folds"


def test_the_valid_figures_stay_and_the_test_predictions_are_the_final_head_s(
    crossed, data, workspace
):
    plain = small_fit(data)
    theirs, ours = tables(plain.run), tables(crossed.run)
    assert ours["valid"].equals(theirs["valid"])
    assert not ours["test"].equals(theirs["test"])
    assert "folds" not in plain.summary() and plain.run.labelled_split == "valid"
    first, final = (load_file(r.run.folder / "head.safetensors") for r in (plain, crossed))
    assert first["weight"].shape == final["weight"].shape
    assert not torch.equal(first["weight"], final["weight"])


def test_copies_share_a_fold(tmp_path):
    data = kaggle(tmp_path / "data", train=10, test=1)
    for n in range(6):
        put(data / "train" / f"cat.{100 + n}.jpg", image_bytes("cat", 3))
    made = small_fit(data, folds=2)
    assert made.folds and made.folds.groups >= 1
    p = made.run.predictions("folds")
    copies = [i for i, name in enumerate(p.ids.to_pylist()) if name in ("cat.3", "cat.100")]
    assert np.array_equal(p.probabilities[copies[0]], p.probabilities[copies[1]])


def test_images_of_train_and_valid_that_are_numbered_alike_keep_apart(tmp_path):
    data = image_folder(tmp_path / "data", train=5, valid=3)
    made = small_fit(data, folds=2).run
    ids = made.predictions("folds").ids.to_pylist()
    assert len(ids) == 16 and {"train/cat/0", "valid/cat/0"} <= set(ids)
    assert set(made.predictions("valid").ids.to_pylist()) < set(ids)


def test_what_cannot_be_folded_is_refused_in_a_sentence(data, tmp_path):
    for folds in (1, 21):
        with pytest.raises(UserError, match=f"folds={folds} must lie between 2 and 20"):
            checked_options(small_options(data, folds=folds))
    with pytest.raises(UserError, match="folds=5 works only if the head alone is trained"):
        checked_options(small_options(data, folds=5, train="all"))
    few = kaggle(tmp_path / "few", train=4, test=0)
    with pytest.raises(
        UserError, match=r"folds=20 needs at least 20 distinct labelled images; .* 8"
    ):
        small_fit(few, folds=20)


def test_balanced_classes_are_said_in_the_report(data, engine):
    small_fit(data, class_weight="balanced")
    said = engine("report", "latest").out
    assert "class weights balanced: probabilities are not frequencies" in said
    with pytest.raises(
        UserError, match="class_weight='balanced' works only if the head alone is trained"
    ):
        checked_options(small_options(data, class_weight="balanced", train="all"))
