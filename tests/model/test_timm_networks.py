"""Networks of timm: its own preprocessing, weights from a file or its download, its embedding."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from engine.data.images import decode
from engine.errors import UserError
from engine.model.backbones import check_backbone, load_extractor
from engine.model.explain import Explainer
from engine.model.export import export
from engine.model.extractor import open_model
from engine.model.predict import predict
from engine.model.preprocessing import Preprocessing, preprocessing
from engine.model.weights import Weights, find_weights
from engine.runs.run import Run
from engine.runs.typed_json import from_json
from tests.support.small_fits import home, small_fit, tables
from tests.support.tiny_images import image_bytes, kaggle

RESNET, VIT = "timm/test_resnet.r160_in1k", "timm/test_vit.r160_in1k"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with data, and a file with the weights of a network of 1,000 classes."""
    folder = tmp_path_factory.mktemp("timm")
    kaggle(folder / "data", train=8, test=2)
    torch.manual_seed(5)
    save_file(timm.create_model(RESNET[5:]).state_dict(), folder / "resnet.safetensors")
    return folder


@pytest.fixture(scope="module")
def run(base: Path) -> Run:
    with home(base / "workspace"):
        return small_fit(
            base / "data", backbone=RESNET, weights=str(base / "resnet.safetensors"), folds=2,
            image_size=64,
        ).run  # fmt: skip


@pytest.fixture
def here(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_HOME", str(base / "workspace"))


def assert_predicted_by_its_network(run: Run) -> None:
    extractor, head = open_model(run)
    network, made = extractor.network(), run.predictions("test")
    for row, path in enumerate(made.paths.to_pylist()):
        pixels = decode((run.data_root / path).read_bytes())
        steps = extractor.steps
        with torch.inference_mode():
            features = network(steps.normalised(steps.resized(pixels)[None], torch.float32))
        p = head.probabilities(features)[0].numpy()
        assert made.probabilities[row] == pytest.approx(p, abs=1e-3)


@pytest.mark.parametrize("name", [RESNET, "timm/vit_base_patch16_siglip_224.webli"])
def test_images_are_prepared_as_timm_does(name):
    steps = preprocessing(name)
    transform = timm.data.create_transform(
        **timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name[5:]).to_dict())
    )
    content = image_bytes("cat", 1, size=(240, 180))
    theirs = transform(Image.open(io.BytesIO(content)).convert("RGB"))
    ours = steps.normalised(steps.resized(decode(content))[None], torch.float32)[0]
    assert ours.shape == theirs.shape == (3, steps.crop, steps.crop)
    assert (ours - theirs).abs().max() < 2.01 / 255 / min(steps.std)  # rounded in another order
    assert from_json(Preprocessing, json.loads(json.dumps(steps.described())), "") == steps


@pytest.mark.parametrize("name", [RESNET, VIT])
def test_features_are_the_embedding_before_the_classifier(name, tmp_path):
    network = timm.create_model(name[5:]).eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    weights = find_weights(name, str(tmp_path / "w.safetensors"), 0)
    extractor = load_extractor(name, weights, 0, preprocessing(name).crop)
    x = torch.randn(2, 3, 160, 160)
    with torch.inference_mode():
        features = extractor(x)
        assert torch.allclose(network.get_classifier()(features), network(x), atol=1e-5)
    assert features.ndim == 2


def test_a_run_predicts_again_and_takes_another_size(run, base, here):
    extractor, _ = open_model(run)
    assert extractor.steps.crop == 64 and run.fit_options.backbone == (RESNET,)
    assert run.name.split("-", 1)[1].startswith("timm-test_resnet.r160_in1k-")
    assert_predicted_by_its_network(run)
    before = tables(run)["test"]
    assert predict(run).forward_passes == 0 and tables(run)["test"].equals(before)


def test_heat_maps_and_onnx_work_and_torchvision_does_not(run, here, tmp_path):
    found = Explainer(run).explain("1", "test")
    assert len(found["maps"]) == 1 and len(found["neighbours"]) == 8
    with pytest.raises(UserError, match="torchvision has no timm/test_resnet.r160_in1k"):
        export(run, tmp_path / "x.safetensors")
    assert export(run, tmp_path / "x.onnx", "onnx").largest_difference < 1e-4


def test_beside_another_backbone_and_trained_whole(base, here):
    both = small_fit(base / "data", backbone=[RESNET, "squeezenet1_1"], image_size=64, epochs=1)
    assert len(open_model(both.run)[0].every) == 2
    tuned = small_fit(base / "data", backbone=RESNET, train="all", image_size=64, epochs=1)
    assert_predicted_by_its_network(tuned.run)


def test_default_weights_are_downloaded_once_and_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("SECONDLOOK_HOME", str(tmp_path))
    created, calls = timm.create_model, []

    def create(name: str, pretrained: bool = False, **options: object) -> torch.nn.Module:
        calls.append(pretrained)
        return created(name, **options)

    monkeypatch.setattr(timm, "create_model", create)
    first, again = (find_weights(RESNET, "default", 0) for _ in range(2))
    assert calls == [True] and first == again and first.source == "default"
    assert load_extractor(RESNET, first, 0, 160)(torch.zeros(1, 3, 160, 160)).shape[0] == 1

    def fail(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(UserError, match=r"could not be downloaded by timm \(no route to host"):
        find_weights(VIT, "default", 0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm/test_resnext", "is not a model of timm; did you mean timm/test_resnet"),
        ("timm/qqqqqq", "is not a model of timm; see its list"),
        ("timm/test_resnet.bla", "is not known: Invalid pretrained tag"),
    ],
)
def test_an_unknown_name_is_refused(name, said):
    with pytest.raises(UserError, match=f"backbone='{name}' {said}"):
        check_backbone(name)


def test_other_weights_and_other_forms_of_images_are_refused(base, tmp_path):
    with pytest.raises(UserError, match="does not fit timm/test_vit"):
        file = base / "resnet.safetensors"
        load_extractor(VIT, Weights(str(file), "", file), 0, 160)
    with pytest.raises(UserError, match="weights='x.pth' does not exist; give a .* or default, no"):
        find_weights(RESNET, "x.pth", 0)
    odd = next(
        name for name in timm.list_models(pretrained=True)
        if timm.get_pretrained_cfg(name).crop_mode == "border"
    )  # fmt: skip
    with pytest.raises(UserError, match="mode border; only squares"):
        preprocessing(f"timm/{odd}")


def test_without_timm_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"needs the package timm; install second-look\[timm\]"):
        check_backbone(RESNET)
