"""How many images a second each backbone passes on this machine: measured once, and kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import torch

from engine import portable
from engine.errors import UserError
from engine.model.backbones import for_inference, load_extractor
from engine.model.device import Device
from engine.model.preprocessing import preprocessing
from engine.model.weights import Weights
from engine.runs.files import read_json, workspace, write_json

_SECONDS = 1.0  # that a measurement takes at least, after one batch
_BATCH = 8


def kept_speeds(device: Device) -> dict[str, float]:
    """Return images a second by backbone, as fits and measurements on this machine kept them."""
    try:
        kept = read_json(_file()).get(_machine(device), {})
    except UserError:  # none was kept yet, or the file is damaged
        return {}
    if not isinstance(kept, dict):
        return {}
    return {
        name: float(value)
        for name, value in kept.items()
        if isinstance(value, int | float) and value > 0
    }


def keep_speeds(device: Device, speeds: Mapping[str, float]) -> None:
    """Keep images a second by backbone, for this machine and precision."""
    if not speeds:
        return
    try:
        before = read_json(_file())
    except UserError:
        before = {}
    mine = {**kept_speeds(device), **{name: round(v, 2) for name, v in speeds.items()}}
    write_json(_file(), {**before, _machine(device): mine})


@torch.inference_mode()
def measured_speed(name: str, device: Device) -> float:
    """Return the images a second that a backbone passes, without decoding them.

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


def _file() -> Path:
    return workspace() / "cache" / "backbones" / "speeds.json"


def _machine(device: Device) -> str:
    """Return what a speed depends on beside the backbone."""
    if device.name != "cpu":
        return f"{device.description}, {device.precision}"
    return f"{portable.cpu_model()}, {torch.get_num_threads()} threads, {device.precision}"
