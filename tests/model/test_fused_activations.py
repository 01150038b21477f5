"""Tests of convolutions that apply their own ReLU."""

import pytest
import torch
import torchvision
from torch import nn
from torch.fx import symbolic_trace

from engine.model.backbones import for_inference, split_network
from engine.model.fused_activations import FusedConvolution, fuse_activations


def _fused(network: nn.Module) -> int:
    return sum(isinstance(module, FusedConvolution) for module in network.modules())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mobilenet_v2", 35), ("resnet18", 9), ("squeezenet1_1", 25), ("densenet121", 59)],
)
def test_a_fused_network_has_the_features_of_the_unfused_one(name, expected, monkeypatch):
    extractor = split_network(torchvision.models.get_model(name, weights=None).eval())[0]
    images = torch.randn(4, 3, 64, 64).to(memory_format=torch.channels_last)
    fused = for_inference(extractor, torch.float32, "cpu")
    monkeypatch.setattr("engine.model.backbones.fuse_activations", lambda network: network)
    plain = for_inference(extractor, torch.float32, "cpu")
    with torch.inference_mode():
        right, found = plain(images), fused(images)
    assert (_fused(fused), _fused(plain)) == (expected, 0)
    torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-5 * right.std().item())


def test_a_result_that_something_else_reads_too_is_not_changed():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()

        def forward(self, images):
            before = self.first(images)
            return self.first(self.relu(before)) - before

    network, images = Twice().eval(), torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        right = network(images)
        fused = fuse_activations(symbolic_trace(network))
        assert _fused(fused) == 0 and torch.equal(fused(images), right)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(3, 4, 3, padding="same"), nn.ReLU()),
        (nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
        (nn.Conv2d(3, 4, 3), nn.SiLU()),
    ],
    ids=["named padding", "reflected border", "another activation"],
)
def test_what_the_call_does_not_know_stays_as_it_is(layers):
    network = nn.Sequential(*layers).eval()
    assert _fused(fuse_activations(symbolic_trace(network))) == 0


def test_without_the_call_the_network_stays_as_it_is(monkeypatch):
    def missing(self, images):
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute")

    monkeypatch.setattr(FusedConvolution, "forward", missing)
    network, images = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6()), torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        right = network(images)
        fused = fuse_activations(symbolic_trace(network))
        assert _fused(fused) == 0 and torch.equal(fused(images), right)
