"""Measures the images per second of each backbone on this machine, once."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from engine.model.backbones import for_inference, load_extractor
from engine.model.device import Device
from engine.model.preprocessing import preprocessing
from engine.model.weights import Weights
from engine.runs.network_speeds import cpu_name, keep_for_machine, speeds_by_machine

_SECONDS = 1.0  # that a measurement takes at least, after one batch
_BATCH = 8


def kept_speeds(device: Device) -> dict[str, float]:
    """Return the stored images per second by backbone, for this machine and precision."""
    return speeds_by_machine().get(_machine(device), {})


def keep_speeds(device: Device, speeds: Mapping[str, float]) -> None:
    """Store images per second by backbone, for this machine and precision."""
    keep_for_machine(_machine(device), speeds)


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


def _machine(device: Device) -> str:
    """Return what a speed depends on beside the backbone."""
    if device.name != "cpu":
        return f"{device.description}, {device.precision}"
    return cpu_name(torch.get_num_threads(), device.precision)
