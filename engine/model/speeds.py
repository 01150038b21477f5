"""Measures the images per second of each backbone on this machine, once."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from engine.model.backbones import for_inference, load_extractor
from engine.model.device import Device
from engine.model.preprocessing import preprocessing
from engine.model.weights import Weights
from engine.runs.backbone_facts import all_facts
from engine.runs.network_speeds import cpu_name, keep_for_machine, speeds_by_machine

_SECONDS = 1.0  # that a measurement takes at least, after one batch
_BATCH = 8
_GFLOP = 25.0  # billions of operations that a thread computes a second, where none was measured


def kept_speeds(device: Device, openvino: bool = False) -> dict[str, float]:
    """Return the stored images per second by backbone, for this machine and precision."""
    return speeds_by_machine().get(_machine(device, openvino), {})


def keep_speeds(device: Device, speeds: Mapping[str, float], openvino: bool = False) -> None:
    """Store images per second by backbone, for this machine and precision."""
    keep_for_machine(_machine(device, openvino), speeds)


def expected_speed(name: str, crop: int, device: Device) -> float | None:
    """Return the images a second that PyTorch is expected to pass on a CPU.

    As kept from earlier passes, else by the network's operations; None if those are not known.
    """
    kept, facts = kept_speeds(device), all_facts().get(name)
    if name in kept and crop == preprocessing(name).crop:
        return kept[name]
    if facts is None:
        return None
    return torch.get_num_threads() * _GFLOP / (facts.gflop * (crop / facts.crop) ** 2)


@torch.inference_mode()
def measured_speed(name: str, device: Device) -> float:
    """Measure the images per second of a backbone, without decoding.

    The weights are random: they do not change the time.
    """
    steps = preprocessing(name)
    network = load_extractor(name, Weights("none", "", None), 0, steps.crop)
    network = for_inference(network, device.dtype, device.name)
    images = torch.zeros(_BATCH, 3, steps.crop, steps.crop, dtype=torch.uint8, device=device.name)
    done, started = 0, 0.0
    while not done or time.monotonic() - started < _SECONDS:
        network(steps.normalised(images, device.dtype)).sum().item()  # waits for a GPU
        if started:
            done += _BATCH
        else:
            started = time.monotonic()  # the first batch prepares the others
    return done / (time.monotonic() - started)


def _machine(device: Device, openvino: bool) -> str:
    """Return what a speed depends on beside the backbone."""
    if device.name != "cpu":
        return f"{device.description}, {device.precision}"
    return cpu_name(torch.get_num_threads(), device.precision + ", OpenVINO" * openvino)
