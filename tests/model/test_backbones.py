"""A backbone's features are what its last layer read; its preprocessing is the published one."""

from __future__ import annotations

import copy
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.models import get_model_weights

from engine.data.images import decode
from engine.errors import UserError
from engine.model.backbones import (
    check_backbone,
    feature_key,
    for_inference,
    last_layer,
    load_network,
    split_network,
)
from engine.model.preprocessing import Preprocessing, backbone_names, preprocessing
from engine.model.weights import Weights
from engine.runs.typed_json import from_json

NOTHING = Weights("none", "none-0", None)
FAMILIES = {  # name: (side of the crop, path of the last layer)
    "convnext_tiny": (32, "classifier.2"),
    "densenet121": (32, "classifier"),
    "efficientnet_b0": (32, "classifier.1"),
    "googlenet": (32, "fc"),
    "mnasnet0_5": (32, "classifier.1"),
    "mobilenet_v3_small": (32, "classifier.3"),
    "regnet_x_400mf": (32, "fc"),
    "resnet18": (32, "fc"),
    "shufflenet_v2_x0_5": (32, "fc"),
    "swin_t": (32, "head"),
    "vgg11": (32, "classifier.6"),
    "vit_b_32": (32, "heads.head"),
}


def _alive(name: str, crop: int) -> nn.Module:
    """Return an untrained network whose scores differ between images.

    Its batch normalisations have seen random images, so that folding them is no identity.
    """
    network = load_network(name, NOTHING, 0, crop)
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    with torch.inference_mode():
        network.train()(torch.randn(16, 3, crop, crop))
    nn.init.normal_(last_layer(network)[1].weight, std=0.1)
    return network.eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_features_are_what_the_last_layer_reads_and_folding_keeps_them(name):
    crop, path = FAMILIES[name]
    network = _alive(name, crop)
    images = torch.randn(3, 3, crop, crop)
    layer = copy.deepcopy(network.get_submodule(path))
    with torch.inference_mode():
        scores = network(images)  # (3, 1000)
        extractor, width = split_network(network)
        features = extractor(images)
        folded = for_inference(extractor, torch.float32, "cpu")(images)
        again = layer(features)
    spread = (scores - scores.mean(dim=0)).std().item()
    assert features.shape == (3, width) and spread > 1e-6
    assert (again - scores).abs().max().item() <= 1e-4 * max(spread, scores.std().item())
    assert (folded - features).abs().max().item() <= 1e-3 * features.std().item()


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_squeezenet_features_are_averaged_before_its_last_convolution(name):
    network = _alive(name, 64)
    images = torch.randn(3, 3, 64, 64)
    layer = copy.deepcopy(network.classifier[1])
    with torch.inference_mode():
        scores = layer(network.features(images)).mean(dim=(2, 3))  # without the ReLU
        extractor, width = split_network(network)
        features = extractor(images)
        folded = for_inference(extractor, torch.float32, "cpu")(images)
        again = features @ layer.weight.flatten(1).T + layer.bias
    assert features.shape == (3, width) == (3, 512)
    assert torch.allclose(again, scores, rtol=1e-4, atol=1e-5) and scores.std() > 1e-3
    assert torch.allclose(folded, features, rtol=1e-4, atol=1e-5)


def test_every_classifier_of_torchvision_ends_in_a_layer_of_its_classes(monkeypatch):
    for drawn in ("normal_", "uniform_"):  # slow where nothing is stored
        monkeypatch.setattr(torch.Tensor, drawn, lambda weight, *_, **__: weight)
    names = backbone_names()
    assert {"vgg16", "resnet50", "vit_b_16", "maxvit_t", "googlenet"} <= set(names)
    assert not any("quantized" in name or "fasterrcnn" in name for name in names)
    found = {}
    for name in names:
        if name.startswith("regnet"):  # computes with its widths, which need real numbers
            continue
        arguments = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        with torch.device("meta"):
            network = torchvision.models.get_model(name, weights=None, **arguments)
        path, layer = last_layer(network)
        found[name] = len(layer.weight)
        assert path.split(".")[0] in ("classifier", "fc", "head", "heads"), name
    assert set(found.values()) == {1000} and len(found) > 60


@pytest.mark.parametrize("name", ["vgg16", "efficientnet_b0", "inception_v3", "swin_t", "resnet50"])
def test_preprocessing_has_the_published_values(name):
    published = get_model_weights(name).DEFAULT.transforms()
    assert asdict(preprocessing(name)) == {
        "resize": published.resize_size[0],
        "crop": published.crop_size[0],
        "interpolation": published.interpolation.value,
        "mean": tuple(published.mean),
        "std": tuple(published.std),
        "mirrored": False,
        "whole": False,
    }


def _random_and_gradient_images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    images = []
    for width, height in [(500, 375), (375, 499), (1050, 702), (200, 200), (97, 300)]:
        images.append(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        y, x = np.mgrid[:height, :width]
        gradient = np.stack([x * 255 / width, y * 255 / height, (x + y) % 256], axis=-1)
        images.append(gradient.astype(np.uint8))
    return images


def _difference(name: str, pixels: torch.Tensor, image: Image.Image) -> torch.Tensor:
    """Return how far we are from torchvision's own transform, in steps of 1/255."""
    steps = preprocessing(name)
    ours = steps.normalised(steps.resized(pixels)[None], torch.float32)[0]
    theirs = get_model_weights(name).DEFAULT.transforms()(image)
    return ((ours - theirs) * torch.tensor(steps.std).view(3, 1, 1) * 255).abs()


# Pillow and torch round their intermediate rows differently: by one step at few pixels, by two
# where bicubic overshoots.
@pytest.mark.parametrize(
    ("name", "most"), [("vgg16", 1), ("inception_v3", 1), ("efficientnet_b0", 2), ("swin_t", 2)]
)
def test_preprocessing_is_torchvisions_within_rounding(name, most):
    for array in _random_and_gradient_images():
        pixels = torch.from_numpy(array).permute(2, 0, 1).contiguous()
        difference = _difference(name, pixels, Image.fromarray(array))
        assert difference.max().item() <= most + 0.001
        assert difference.mean().item() <= 0.02


@pytest.mark.parametrize(("name", "most"), [("mobilenet_v2", 1), ("efficientnet_b0", 2)])
def test_preprocessing_of_photographs_is_torchvisions_within_rounding(name, most, real_data):
    paths = sorted((real_data / "dogs-vs-cats" / "train").glob("*.jpg"))[::150]
    assert len(paths) >= 5
    for path in paths:
        with Image.open(path) as image:
            difference = _difference(name, decode(path.read_bytes()), image.convert("RGB"))
        assert difference.max().item() <= most + 0.001
        assert difference.mean().item() <= 0.02


def test_another_image_size_scales_the_resize_with_the_crop():
    assert preprocessing("vgg16").resize == 256 and preprocessing("vgg16").crop == 224
    smaller = preprocessing("vgg16", 112)
    assert (smaller.resize, smaller.crop) == (128, 112)
    assert smaller.resized(torch.zeros(3, 300, 200, dtype=torch.uint8)).shape == (3, 112, 112)


@pytest.mark.parametrize("size", [0, 31, 1025, -224])
def test_an_impossible_image_size_is_refused(size):
    with pytest.raises(UserError, match=f"image_size={size} "):
        preprocessing("vgg16", size)


@pytest.mark.parametrize(("name", "size"), [("alexnet", 32), ("vit_b_32", 40), ("maxvit_t", 100)])
def test_a_size_the_network_cannot_read_is_refused(name, size):
    with pytest.raises(UserError, match=f"^image_size={size} cannot be used with {name} .* 224"):
        load_network(name, NOTHING, 0, size)


def test_a_vision_transformer_reads_the_size_that_was_asked_for():
    network = load_network("vit_b_32", NOTHING, 0, 64)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_preprocessing_survives_json():
    steps = preprocessing("efficientnet_b0")
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(steps).items()}
    assert from_json(Preprocessing, values, "") == steps


def test_untrained_networks_follow_the_seed_and_leave_the_global_one_alone():
    before = torch.random.get_rng_state()
    one, same, other = (load_network("squeezenet1_1", NOTHING, s, 224) for s in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    key = "features.0.weight"
    assert torch.equal(one.state_dict()[key], same.state_dict()[key])
    assert not torch.equal(one.state_dict()[key], other.state_dict()[key])


@pytest.mark.parametrize("name", ["vgg_16", "fasterrcnn_resnet50_fpn", "", "quantized_resnet18"])
def test_a_name_that_is_no_classifier_is_refused(name):
    with pytest.raises(UserError, match=f"backbone='{name}' is not a classification model"):
        check_backbone(name)


def test_a_misspelt_name_gets_suggestions():
    with pytest.raises(UserError, match="did you mean .*vgg16"):
        check_backbone("vgg_16")


def test_the_feature_key_depends_on_all_that_changes_a_feature():
    steps = preprocessing("vgg16")
    other = Weights("none", "none-1", None)
    keys = {
        feature_key("vgg16", NOTHING, steps, "float32"),
        feature_key("vgg19", NOTHING, steps, "float32"),
        feature_key("vgg16", other, steps, "float32"),
        feature_key("vgg16", NOTHING, preprocessing("vgg16", 128), "float32"),
        feature_key("vgg16", NOTHING, steps, "bfloat16"),
        feature_key("vgg16", NOTHING, steps, "float32", openvino=True),
    }
    assert len(keys) == 6
    elsewhere = Weights("/another/place.pth", NOTHING.sha256, None)
    assert feature_key("vgg16", elsewhere, steps, "float32") in keys
