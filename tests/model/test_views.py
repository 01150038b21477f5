"""Views of an image: each is cached by itself, and predictions are of their average."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from engine.data.images import decode
from engine.errors import UserError
from engine.model.extractor import open_model
from engine.model.features import Features
from engine.model.head import train_head
from engine.model.predict import predict
from engine.model.preprocessing import Preprocessing
from engine.model.views import averaged, views_of
from engine.runs.run_list import open_run
from tests.support.small_fits import home, small_fit, tables
from tests.support.tiny_images import image_bytes, kaggle, put

STEPS = Preprocessing(36, 32, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with data, and a workspace with fits of one, two and four views."""
    folder = tmp_path_factory.mktemp("views")
    kaggle(folder / "data", train=10, test=4)
    return folder


@pytest.fixture(scope="module")
def fits(base: Path) -> dict[int, object]:
    with home(base / "workspace"):
        return {n: small_fit(base / "data", views=n, folds=2) for n in (1, 2, 4)}


@pytest.fixture
def here(base, fits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_HOME", str(base / "workspace"))


def test_more_views_pass_only_the_new_ones(base, fits, here):
    assert [fits[n].forward_passes for n in (1, 2, 4)] == [24, 24, 48]
    assert small_fit(base / "data", views=2, lr=0.01).forward_passes == 0


def test_each_view_is_what_its_name_says():
    pixels = decode(image_bytes("cat", 1, size=(60, 40)))
    centre, mirror, whole, whole_mirror = (
        steps.normalised(steps.resized(pixels)[None], torch.float32) for steps in views_of(STEPS, 4)
    )
    assert torch.equal(centre.flip(3), mirror) and torch.equal(whole.flip(3), whole_mirror)
    assert centre.is_contiguous(memory_format=torch.channels_last)
    assert mirror.is_contiguous(memory_format=torch.channels_last)
    squeezed = interpolate(
        pixels[None].float(), size=(32, 32), mode="bilinear", antialias=True, align_corners=False
    )
    expected = STEPS.normalised(squeezed.round().clamp(0, 255).byte(), torch.float32)
    assert (whole - expected).abs().max() < 1.01 / 255 / min(STEPS.std)
    assert not torch.equal(whole, centre)


def test_the_average_is_over_the_images_that_have_every_view():
    ones, others = torch.ones(3, 2).half(), torch.full((2, 2), 3.0).half()
    found = averaged(
        [
            Features(ones, {"a": 0, "b": 1, "c": 2}, {}, 3),
            Features(others, {"c": 0, "a": 1}, {"b.jpg": "changed"}, 2),
        ]
    )
    assert found.row_of == {"a": 0, "c": 1} and found.bad == {"b.jpg": "changed"}
    assert found.values.tolist() == [[2, 2], [2, 2]] and found.forward_passes == 5
    assert [view.tolist() for view in found.views] == [[[1, 1], [1, 1]], [[3, 3], [3, 3]]]


@pytest.mark.parametrize("views", [2, 4])
def test_every_prediction_is_that_of_the_averaged_features(views, base, fits, here, tmp_path):
    run = open_run(fits[views].run.name)
    extractor, head = open_model(run)
    network = extractor.network()
    root, made = run.data_root, run.predictions("test")
    for row, path in enumerate(made.paths.to_pylist()):
        pixels = decode((root / path).read_bytes())
        with torch.inference_mode():
            each = [
                network(steps.normalised(steps.resized(pixels)[None], torch.float32))
                for steps in views_of(extractor.steps, views)
            ]
        p = head.probabilities(torch.stack(each).mean(dim=0))[0].numpy()
        assert made.probabilities[row] == pytest.approx(p, abs=1e-3)
    assert len(run.predictions("folds")) == 20
    again = predict(run)
    assert again.forward_passes == 0 and tables(run)["test"].equals(tables(fits[views].run)["test"])
    for n in (700 + views, 800 + views):
        put(tmp_path / "new" / f"{n}.jpg", image_bytes("dog", n))
    assert predict(run, tmp_path / "new").forward_passes == 2 * views


def test_more_views_keep_the_split_and_the_folds(fits, here):
    def split(n: int) -> dict[str, str]:
        return fits[n].run.images.set_index("path")["split"].to_dict()

    assert split(1) == split(2) == split(4)
    assert fits[1].folds.groups == fits[2].folds.groups == fits[4].folds.groups


def test_a_head_is_trained_on_every_view(base, fits, here, monkeypatch):
    seen = []

    def watched(train, *others, **options):
        seen.append((train[0].clone(), train[1], options["groups"]))
        return train_head(train, *others, **options)

    monkeypatch.setattr("engine.model.training.train_head", watched)
    run = small_fit(base / "data", views=2, seed=1).run
    ((x, y, groups),) = seen
    n = run.config.n.train
    assert len(x) == len(y) == len(groups) == 2 * n
    assert torch.equal(y[:n], y[n:]) and np.array_equal(groups[:n], groups[n:])
    train = run.images.query("split == 'train'")["sha256"].tolist()
    features = open_model(run)[0].kept_features(run.images)
    assert torch.equal(x, features.rows(train)) and not torch.equal(x[:n], x[n:])
    assert torch.allclose((x[:n] + x[n:]) / 2, features.of(train), atol=1e-3, rtol=1e-3)


def test_views_change_the_predictions_and_are_recorded(fits, here):
    tests = [fits[n].run.predictions("test").probabilities for n in (1, 2, 4)]
    assert all(np.abs(tests[0] - other).max() > 1e-6 for other in tests[1:])
    config = open_run(fits[2].run.name).config
    assert config.options and config.options.views == 2
    assert config.network == "squeezenet1_1, 2 views"
    assert open_run(fits[1].run.name).config.network == "squeezenet1_1"
    assert len({open_run(fits[n].run.name).config.inputs_key for n in (1, 2, 4)}) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"views": 3}, "views=3 is unknown; choose 1, 2 or 4"),
        ({"views": 2, "train": "all"}, "head"),
    ],
)
def test_other_numbers_of_views_are_refused(changes, said, base, tmp_path):
    with pytest.raises(UserError, match=said):
        small_fit(base / "data", **changes)
