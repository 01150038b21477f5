"""Grad-CAM against captum and by hand; where the last map lies; who is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn

from engine.errors import UserError
from engine.model.backbones import load_network, split_network
from engine.model.gradcam import grad_cam, last_map
from engine.model.head import Head
from engine.model.weights import Weights


def network_of(name: str, crop: int) -> tuple[nn.Module, int]:
    network, width = split_network(load_network(name, Weights("none", "", None), 0, crop))
    return network.requires_grad_(False), width


@pytest.mark.parametrize(
    "name, crop", [("mobilenet_v2", 64), ("resnet18", 64), ("squeezenet1_1", 64)]
)
def test_the_maps_are_captums(name, crop):
    network, width = network_of(name, crop)
    torch.manual_seed(1)
    head = Head(torch.randn(3, width), torch.randn(3))
    pixels = torch.randn(1, 3, crop, crop)
    layer = last_map(network, name, pixels)
    seen = grad_cam(network, head, layer, pixels, [2, 0])

    def scores(batch: torch.Tensor) -> torch.Tensor:
        return network(batch) @ head.weight.T + head.bias

    for heat, index in zip(seen.maps, (2, 0), strict=True):
        with torch.enable_grad():
            theirs = LayerGradCam(scores, layer).attribute(
                pixels.clone().requires_grad_(), target=index, relu_attributions=True
            )
        assert heat.shape[-1] > 1
        torch.testing.assert_close(heat.relu(), theirs[0, 0].detach(), rtol=1e-4, atol=1e-5)
    want = torch.softmax(scores(pixels).double(), dim=1)[0]
    torch.testing.assert_close(seen.probabilities, want, rtol=1e-5, atol=1e-6)


def halves() -> tuple[nn.Module, Head]:
    """Return a network whose class 0 looks for red and class 1 for blue, anywhere."""
    convolution = nn.Conv2d(3, 2, kernel_size=4, stride=4, bias=False)
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.weight[0, 0], convolution.weight[1, 2] = 1 / 16, 1 / 16
    network = nn.Sequential(convolution, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1))
    network.append(nn.Flatten())
    return network.eval().requires_grad_(False), Head(torch.eye(2), torch.zeros(2))


def test_a_class_is_hot_where_its_evidence_lies_by_hand():
    network, head = halves()
    pixels = torch.zeros(1, 3, 16, 16)
    pixels[:, 0, :, :8] = 2.0  # red on the left
    pixels[:, 2, :, 8:] = 1.0  # blue on the right
    layer = last_map(network, "halves", pixels)
    maps = grad_cam(network, head, layer, pixels, [0, 1]).maps
    # A score is the mean of its channel over 16 places, so its gradient is 1/16 in the 8 places
    # that the ReLU lets pass: on average 1/32, times the 2 or 1 that the channel found there.
    want = np.zeros((2, 4, 4))
    want[0, :, :2], want[1, :, 2:] = 2 / 32, 1 / 32
    np.testing.assert_allclose(maps.numpy(), want, atol=1e-6)


def test_evidence_against_a_class_is_no_heat():
    network, _ = halves()
    pixels = torch.ones(1, 3, 16, 16)
    head = Head(-torch.eye(2), torch.zeros(2))
    assert (grad_cam(network, head, network[0], pixels, [0, 1]).maps < 0).all()


def test_a_map_of_one_place_is_none_so_an_earlier_one_is_taken():
    network, _ = network_of("mobilenet_v2", 32)
    pixels = torch.randn(1, 3, 32, 32)
    seen: list[torch.Size] = []
    layer = last_map(network, "mobilenet_v2", pixels)
    layer.register_forward_hook(lambda _, __, output: seen.append(output.shape))
    network(pixels)
    assert seen[0][-2:] == (2, 2)


@pytest.mark.parametrize("name, crop", [("vit_b_16", 32), ("swin_t", 64), ("maxvit_t", 224)])
def test_attention_is_refused_in_one_sentence(name, crop):
    network = torch.nn.Module()
    kinds = {"vit_b_16": nn.MultiheadAttention(4, 1)}
    if name in kinds:
        network.add_module("attention", kinds[name])
    else:
        from torchvision.models import get_model

        with torch.device("meta"):
            network = get_model(name, weights=None)
    with pytest.raises(UserError, match=f"{name} has attention layers.*convolutional backbone"):
        last_map(network, name, torch.zeros(1, 3, crop, crop))
