"""Chooses whether PyTorch or OpenVINO computes a pass: a long one takes what is faster here."""

from __future__ import annotations

import time
from dataclasses import replace

import pandas as pd
import torch
from torch import nn

from engine.model.extractor import Extractor
from engine.model.openvino_network import OpenVinoUnusable, openvino_installed
from engine.model.pass_time import LONG
from engine.model.speeds import expected_speed
from engine.runs.progress import Reporter

_IMAGES, _TURNS = 8, 2  # in a batch of the trial, and batches that count
_GAIN = 0.95  # of PyTorch's time: what OpenVINO may take at most
# Root mean square of the differences, in the features' standard deviation, that is still rounding:
# MobileNetV2's bfloat16 lies 0.06 from float32 on random images; another network 1.4.
_ALIKE = {torch.float32: 1e-3, torch.bfloat16: 0.3}


def with_faster_executor(extractor: Extractor, images: pd.DataFrame, report: Reporter) -> Extractor:
    """Return the networks, those computed by OpenVINO that pass the images sooner that way.

    A pass that PyTorch is expected to compute in less than a minute stays with PyTorch, unless
    OpenVINO has computed all of it before. For a longer one both pass eight random images, and
    OpenVINO is taken if it needs less time for what is missing in the cache and its features are
    the same but for rounding.

    Parameters
    ----------
    images : the images table of the pass
    report : receives a sentence if OpenVINO is chosen, or cannot be used
    """
    if extractor.device.name != "cpu" or not openvino_installed():
        return extractor
    first, *others = (_chosen(each, images, report) for each in extractor.every)
    return replace(first, beside=tuple(others), scales=extractor.scales)


def _chosen(network: Extractor, images: pd.DataFrame, report: Reporter) -> Extractor:
    other = replace(network, openvino=True)
    missing = network.missing(images)
    if not missing:
        return network
    missing_there = other.missing(images)
    if not missing_there:
        return other
    speed = expected_speed(network.backbone, network.steps.crop, network.device)
    if speed is None or missing < LONG * speed:
        return network
    try:
        ours, theirs = _trial(network, other)
    except OpenVinoUnusable as error:
        report.notice(f"{error}; PyTorch computes the features of {network.backbone}.")
        return network
    if missing_there * theirs > _GAIN * missing * ours:
        return network
    report.notice(
        f"OpenVINO computes the features of {network.backbone}: it was faster than PyTorch on "
        "eight images."
    )
    return other


@torch.inference_mode()
def _trial(network: Extractor, other: Extractor) -> tuple[float, float]:
    """Return the least seconds of both for a batch, in turns.

    Raises
    ------
    OpenVinoUnusable
        If OpenVINO cannot compute the network, or computes other features.
    """
    ours, theirs = network.build(), other.build()
    side, dtype = network.steps.crop, network.device.dtype
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (_IMAGES, 3, side, side), dtype=torch.uint8, generator=random)
    batch = network.steps.normalised(pixels, dtype)
    expected, found = ours(batch).float(), theirs(batch)  # which also prepares the next ones
    apart = float((expected - found).square().mean().sqrt() / expected.std().clamp_min(1e-12))
    if not apart <= _ALIKE.get(dtype, 0.0):
        raise OpenVinoUnusable(f"OpenVINO cannot be used (its features differ by {apart:.2g} SD)")
    turns = [(_seconds(ours, batch), _seconds(theirs, batch)) for _ in range(_TURNS)]
    return min(one for one, _ in turns), min(other for _, other in turns)


def _seconds(network: nn.Module, batch: torch.Tensor) -> float:
    started = time.monotonic()
    network(batch)
    return time.monotonic() - started
