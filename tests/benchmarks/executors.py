"""The network of a pass layer by layer, with joined activations, and through OpenVINO."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

import torch
from torch import nn

from engine.model.backbones import folded
from engine.model.device import choose_device, make_deterministic
from engine.model.extractor import Extractor
from engine.model.pass_time import LONG
from engine.model.preprocessing import preprocessing
from engine.model.weights import find_weights
from tests.benchmarks.clocked import seconds_of, take_turns, verdict
from tests.benchmarks.report import load, machine, table

TITLE = "A pass layer by layer, with joined activations, and through OpenVINO"
BATCHES = {"mobilenet_v2": 16, "resnet50": 3, "vgg16": 2}  # of a turn
FEW, MANY = 1_780, 37_500
GOALS = {"mobilenet_v2": (1.3, 1.3), "resnet50": (1.1, 1.5), "vgg16": (1.2, 1.3)}  # plain, AMX
REPEATS = 5
EAGER, JOINED, OPENVINO = "layer by layer", "joined", "OpenVINO"


@dataclass(frozen=True)
class Measured:
    """What a way of computing a network takes: seconds until it is ready, and for each image."""

    start: float
    image: float

    def seconds(self, images: int) -> float:
        """Return the computed seconds of a pass."""
        return self.start + images * self.image


def measure() -> str:
    """Measure everything and return the section."""
    make_deterministic()
    rows = [_row(name, batches) for name, batches in BATCHES.items()]
    head = [
        "", "precision", *(f"{way} /s" for way in (EAGER, JOINED, OPENVINO)),
        f"start, {JOINED}", f"start, {OPENVINO}",
        f"{FEW:,} images, s", f"{MANY:,} images, s", "times as fast", "goal", "",
        "largest difference", "load",
    ]  # fmt: skip
    return "\n\n".join([machine(("torch", "openvino")), table(head, rows), _HOW])


def passed_sooner(measured: dict[str, Measured], images: int) -> tuple[str, float]:
    """Return the computed seconds of a pass each way, and eager's over those of a fit's choice.

    OpenVINO's way includes PyTorch's start, since the choice needs both networks; it is made for
    passes of more than a minute.
    """
    eager, joined = (measured[way].seconds(images) for way in (EAGER, JOINED))
    other = measured[JOINED].start + measured[OPENVINO].seconds(images)
    chosen = min(joined, other) if joined > LONG else joined
    return f"{eager:,.0f}, {joined:,.0f}, {other:,.0f}", eager / chosen


@torch.inference_mode()
def _row(name: str, batches: int) -> list[str]:
    steps, weights = preprocessing(name), find_weights(name, "none", 0)
    plain = Extractor(name, weights, 0, steps, choose_device("cpu"))
    device = plain.device

    def eager() -> nn.Module:
        network = folded(plain.network()).to(dtype=device.dtype)
        return network.to(memory_format=torch.channels_last)

    ways = {EAGER: eager, JOINED: plain.build, OPENVINO: replace(plain, openvino=True).build}
    size = device.batch_size
    pixels = torch.randint(0, 256, (size, 3, steps.crop, steps.crop), dtype=torch.uint8)
    batch = steps.normalised(pixels, device.dtype)
    networks: dict[str, nn.Module] = {}
    values: dict[str, torch.Tensor] = {}

    def start(way: str) -> None:
        networks[way] = ways[way]()
        values[way] = networks[way](batch).float()

    def turn(way: str) -> None:
        for _ in range(batches):
            networks[way](batch)

    started = {way: seconds_of(lambda way=way: start(way)) for way in ways}
    sides = {way: (lambda way=way: seconds_of(lambda: turn(way))) for way in ways}
    turns = take_turns({f"{name} {way}": side for way, side in sides.items()}, REPEATS)
    each = {way: statistics.median(turns[f"{name} {way}"]) / (batches * size) for way in ways}
    measured = {way: Measured(max(0.0, started[way] - size * each[way]), each[way]) for way in ways}
    few, _ = passed_sooner(measured, FEW)
    many, times = passed_sooner(measured, MANY)
    goal = GOALS[name][torch.cpu._is_amx_tile_supported()]
    apart = (values[JOINED] - values[OPENVINO]).abs().max() / values[JOINED].std()
    return [
        name, device.precision, *(f"{1 / each[way]:.1f}" for way in ways),
        *(f"{measured[way].start:.1f} s" for way in (JOINED, OPENVINO)), few, many,
        f"{times:.2f}", f"{goal}", verdict(times >= goal), f"{float(apart):.0e} SD", load(),
    ]  # fmt: skip


_HOW = """The network alone, without decoding, on batches of 16 random images that lie ready; all
ways take turns, and rates are medians over the turns. Layer by layer: batch normalisation folded,
each ReLU by itself, as before activations were joined with their convolutions. Start: build the
network (random weights), with OpenVINO its import and conversion too, until the first batch less
the time of a later one. The seconds for 1,780 and 37,500 images are computed from these rates and
starts, not measured, in the order of the rates; OpenVINO's include both starts. Times as fast:
37,500 images layer by layer over what a fit takes, which is OpenVINO only for passes that take
longer than a minute. Difference: the largest of any feature between joined and OpenVINO, in
standard deviations of the features."""
