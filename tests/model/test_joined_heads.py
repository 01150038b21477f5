"""Several backbones in one fit: features side by side, and the best way to join their heads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import engine
from engine.analysis.metrics import log_loss
from engine.analysis.pools import LOG_ODDS, Pool
from engine.data.images import Reduced, decode
from engine.errors import UserError
from engine.model import joined_heads
from engine.model.explain import Explainer
from engine.model.export import export
from engine.model.extractor import open_model
from engine.model.features import Features
from engine.model.fit import FitResult
from engine.model.head import Head
from engine.model.heat_maps import HeatMaps, open_networks
from engine.model.predict import predict
from engine.model.side_by_side import equal_scales, side_by_side
from engine.runs.fit_defaults import checked_options
from engine.runs.fit_options import FitOptions
from engine.runs.predictions import Predictions
from tests.support.small_fits import home, small_fit, tables
from tests.support.tiny_images import image_bytes, kaggle, put

BOTH = ["squeezenet1_1", "shufflenet_v2_x0_5"]
FOLDS = {"folds": 2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joined")
    kaggle(folder / "data", train=12, test=3)
    return folder


@pytest.fixture(scope="module")
def fits(base: Path) -> dict[str, FitResult]:
    """Return a fit of each backbone alone, and one of both."""
    with home(base / "workspace"):
        made = {name: small_fit(base / "data", backbone=name, **FOLDS) for name in BOTH}
        return {**made, "both": small_fit(base / "data", backbone=BOTH, **FOLDS)}


@pytest.fixture
def here(base: Path, fits: dict[str, FitResult], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_HOME", str(base / "workspace"))


def test_blocks_have_one_weight_around_their_mean():
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(50, 8, generator=generator) * 7 + 100
    other = torch.randn(50, 24, generator=generator) / 30
    scaled = [
        block.numpy().astype(float) * scale
        for block, scale in zip((one, other), equal_scales([one, other]), strict=True)
    ]
    norms = [((block - block.mean(axis=0)) ** 2).sum(axis=1).mean() for block in scaled]
    assert norms == pytest.approx([16, 16], rel=1e-6)  # of 32 columns in two blocks
    assert equal_scales([torch.ones(5, 2), one])[0] == 1  # what does not vary stays as it is


def test_an_image_without_one_block_is_left_out():
    one = Features(torch.tensor([[1.0], [2.0], [4.0]]).half(), {"a": 0, "b": 1, "c": 2}, {}, 3)
    other = Features(torch.tensor([[8.0, 0], [6, 0]]).half(), {"c": 0, "a": 1}, {"b.jpg": "?"}, 2)
    found = side_by_side([one, other], (1.0, 0.5))
    assert found.values.tolist() == [[1, 3, 0], [4, 4, 0]] and found.row_of == {"a": 0, "c": 1}
    assert found.bad == {"b.jpg": "?"} and found.forward_passes == 5
    assert [found.block(each).values.tolist() for each in found.columns] == [
        [[1], [4]],
        [[3, 0], [4, 0]],
    ]
    assert found.of_first_view(["c"]).tolist() == [[4]]  # as a fit of the first one alone


def test_the_sum_of_heads_is_the_pool_of_their_log_odds():
    generator = torch.Generator().manual_seed(1)
    heads = [
        Head(torch.randn(3, width, generator=generator), torch.randn(3, generator=generator))
        for width in (4, 6)
    ]
    x = torch.randn(20, 10, generator=generator)
    parts = [head.probabilities(part) for head, part in zip(heads, x.split([4, 6], 1), strict=True)]
    y = np.zeros(20, dtype=int)
    made = [Predictions(None, None, y, part.numpy(), ("a", "b", "c")) for part in parts]
    pool = Pool(LOG_ODDS, np.array([0.7, 0.3]), 0.8)
    found = joined_heads._summed(heads, [0.7 / 0.8, 0.3 / 0.8], 0.1)
    assert found.probabilities(x).numpy() == pytest.approx(pool.probabilities(made), abs=1e-5)


def test_each_network_passes_once_for_all_fits(base, fits, here):
    assert [fits[name].forward_passes for name in BOTH] == [27, 27]
    assert fits["both"].forward_passes == 0


def test_every_way_is_compared_and_the_best_is_kept(fits, here):
    compared = fits["both"].run.config.compared
    assert compared and set(compared.log_loss) == {"side by side", "blend", *BOTH}
    assert compared.log_loss[compared.kept] == min(compared.log_loss.values())
    assert fits["both"].folds.log_loss == compared.log_loss[compared.kept]
    for name in BOTH:  # with the same folds as its own fit; features are rounded after scaling
        assert compared.log_loss[name] == pytest.approx(fits[name].folds.log_loss, rel=1e-2)
    assert compared.n == 24 and compared.sentence.endswith(f"kept: {compared.kept}.")


@pytest.mark.parametrize("kept", [1, 2])
def test_whatever_is_kept_is_one_head_on_all_features(kept, base, fits, here, monkeypatch):
    losses = iter(np.roll([0.1, 0.2, 0.3, 0.4], kept).tolist())
    monkeypatch.setattr(joined_heads, "_loss", lambda _: next(losses))
    run = small_fit(base / "data", backbone=BOTH, seed=3, name=f"{kept}", **FOLDS).run
    assert run.config.compared.kept == ["side by side", "blend", *BOTH][kept]
    extractor, head = open_model(run)
    features = extractor.kept_features(run.images)
    made, sha256 = run.predictions("test"), dict(run.images[["path", "sha256"]].to_numpy())
    p = head.probabilities(features.of([sha256[path] for path in made.paths.to_pylist()]))
    assert made.probabilities == pytest.approx(p.numpy(), abs=1e-6)
    folds, summary = run.predictions("folds"), run.config.out_of_fold
    assert summary.log_loss == pytest.approx(log_loss(folds.y_true, folds.probabilities), abs=1e-9)
    blocks = [head.weight[:, columns].abs().max() for columns in features.columns]
    assert [bool(block > 0) for block in blocks] == [kept != 3, kept != 2]


def test_without_folds_the_training_images_decide(base, here):
    result = small_fit(base / "data", backbone=BOTH)
    assert result.run.config.compared.n == result.n.train and result.folds is None
    assert result.summary()["backbones"]["n"] == result.n.train


def test_a_run_of_several_predicts_again_and_new_images(fits, here, tmp_path):
    run = fits["both"].run
    assert run.name.split("-", 1)[1].startswith("squeezenet1_1-shufflenet_v2_x0_5-")
    assert run.config.network == "squeezenet1_1+shufflenet_v2_x0_5"
    assert run.fit_options.networks == tuple((name, "none") for name in BOTH)
    before = tables(run)["test"]
    assert predict(run).forward_passes == 0 and tables(run)["test"].equals(before)
    put(tmp_path / "new" / "1.jpg", image_bytes("dog", 900))
    assert predict(run, tmp_path / "new").forward_passes == 2


def test_next_steps_of_several_look_for_more_views_of_each(fits, here):
    run = fits["both"].run
    more = open_model(run)[0].with_views(4)
    assert {each.views for each in more.every} == {4}
    assert more.kept_features(run.images).row_of == {}
    assert any("views" in step.title for step in engine.next_steps(run).steps)


def test_torchvisions_form_holds_one_network(fits, here, tmp_path):
    with pytest.raises(UserError, match="not squeezenet1_1 and shufflenet_v2_x0_5; export as onnx"):
        export(fits["both"].run, tmp_path / "x.safetensors")


def test_the_graph_of_several_gives_the_runs_probabilities(fits, here, tmp_path):
    run = fits["both"].run
    made = export(run, tmp_path / "x.onnx")
    about, card = json.loads(made.description.read_text("utf-8")), made.card.read_text("utf-8")
    assert about["backbone"] == "squeezenet1_1+shufflenet_v2_x0_5" and list(about["input"]) == [
        "image"
    ]
    assert "torchvision's squeezenet1_1 and torchvision's shufflenet_v2_x0_5" in card
    session = onnxruntime.InferenceSession(made.file, providers=["CPUExecutionProvider"])
    rows = run.images.query("split == 'valid'").sort_values("id")
    steps = open_model(run)[0].steps
    pixels = torch.stack(
        [steps.resized(decode((run.data_root / p).read_bytes())) for p in rows["path"]]
    )
    (theirs,) = session.run(None, {"image": pixels.numpy()})
    assert theirs == pytest.approx(run.predictions("valid").probabilities, abs=2e-3)


def test_heat_maps_of_several_explain_the_runs_own_scores(fits, here):
    run = fits["both"].run
    valid = run.predictions("valid")
    found = Explainer(run).explain(valid.ids[0].as_py(), "valid")
    assert found["predicted"] == run.class_names[valid.y_pred[0]] and found["neighbours"]
    extractor, head = open_model(run)
    maps = HeatMaps(extractor, head, open_networks(extractor, "cpu"))
    pixels = decode((run.data_root / valid.paths[0].as_py()).read_bytes())
    heat = maps.of(Reduced(pixels), [0, 1])
    assert heat.probabilities.numpy() == pytest.approx(valid.probabilities[0], abs=2e-3)
    kept = extractor.kept_features(run.images)
    sha256 = dict(run.images[["path", "sha256"]].to_numpy())[valid.paths[0].as_py()]
    assert heat.features == pytest.approx(kept.of([sha256]).numpy(), abs=2e-2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": "all"}, r"backbone='squeezenet1_1\+shufflenet_v2_x0_5' names several"),
        ({"weights": "a.pth"}, "weights='a.pth' must be given once for each of the 2 backbones"),
        (
            {"weights": ["none"] * 2 + ["default"]},
            "weights='none, none, default' must be given once",
        ),
        ({"backbone": "vgg16+vgg16"}, r"backbone='vgg16\+vgg16' names a network twice"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, said):
    with pytest.raises(UserError, match=said):
        checked_options(FitOptions("data", **({"backbone": BOTH} | changes)))


def test_weights_are_given_once_for_all_or_once_each():
    assert FitOptions("data", backbone="a+b", weights="none").networks == (
        ("a", "none"),
        ("b", "none"),
    )
    each = FitOptions("data", backbone=["a", "b"], weights=["a.pth", "default"])
    assert each.networks == (("a", "a.pth"), ("b", "default"))
    assert each.arguments()[1:] == [
        "--backbone=a", "--backbone=b", "--weights=a.pth", "--weights=default",
    ]  # fmt: skip
    assert FitOptions("data", weights=["none", "none"]).weights == ("none",)
