"""As many images at once as fit the memory, and never more than are fast."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.model import memory
from engine.model.backbones import for_inference, load_network, split_network
from engine.model.device import Device
from engine.model.memory import activation_bytes, batch_size, free_bytes
from engine.model.preprocessing import Preprocessing
from engine.model.weights import Weights

STEPS = Preprocessing(36, 32, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CPU = Device("cpu", torch.float32, 16)
NETWORK = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1), nn.Flatten()
).eval()  # reads and writes at most (8 + 4) * 32 * 32 values, then 4 * 32 * 32 twice
LARGEST = (8 + 4) * 32 * 32 * 4


def test_the_footprint_is_the_largest_layers_inputs_and_outputs():
    assert activation_bytes(NETWORK, STEPS, CPU) == LARGEST
    assert not any(module._forward_hooks for module in NETWORK.modules())


@pytest.mark.parametrize(("precision", "size"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_vgg16_holds_most_after_its_second_convolution(precision, size):
    network = split_network(load_network("vgg16", Weights("none", "", None), 0, 32))[0]
    network = for_inference(network, precision, "cpu")
    device = Device("cpu", precision, 16)
    # Before it, 64 channels; after it, as many; of the first layer the classifier's are fewer.
    assert activation_bytes(network, STEPS, device) == 2 * 64 * 32 * 32 * size


@pytest.mark.parametrize(
    ("free", "size"),
    [(10**15, 16), (4 * 16 * LARGEST, 16), (4 * 16 * LARGEST - 1, 8), (4 * 3 * LARGEST, 2),
     (4 * LARGEST, 1), (1, 1), (None, 16)],
)  # fmt: skip
def test_the_batch_is_the_power_of_two_that_fits(free, size, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)
    assert batch_size(NETWORK, STEPS, CPU) == size


def test_nothing_is_measured_where_memory_is_plenty(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10**15)
    assert batch_size(nn.Conv2d(999, 1, 1), STEPS, CPU) == 16  # which could not read an image


def test_free_memory_is_what_the_machine_says():
    free = free_bytes("cpu")
    if free is None:
        pytest.skip("no /proc/meminfo here")
    with open("/proc/meminfo", encoding="ascii") as file:
        total = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemTotal"))
    assert 0 < free <= total
    assert free_bytes("mps") is None
