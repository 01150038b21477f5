"""The network of a pass through PyTorch and through OpenVINO, with the start of each."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

import torch
from torch import nn

from engine.model.device import choose_device, make_deterministic
from engine.model.extractor import Extractor
from engine.model.preprocessing import preprocessing
from engine.model.weights import find_weights
from tests.benchmarks.clocked import seconds_of, take_turns
from tests.benchmarks.report import load, machine, table

TITLE = "A pass through PyTorch and through OpenVINO"
BATCHES = {"mobilenet_v2": 16, "resnet50": 3, "vgg16": 1}  # of a turn
COUNTS = (1_780, 37_500)
REPEATS = 3


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
        "", "precision", "PyTorch /s", "OpenVINO /s", "ratio", "start", "start, OpenVINO",
        *(f"{count:,} images" for count in COUNTS), "largest difference", "load",
    ]  # fmt: skip
    return "\n\n".join([machine(("torch", "openvino")), table(head, rows), _HOW])


def passed_sooner(ours: Measured, theirs: Measured, images: int) -> str:
    """Return the computed seconds of a pass by PyTorch and by OpenVINO, and their ratio.

    OpenVINO's way includes PyTorch's start, since the choice needs both networks.
    """
    before, after = ours.seconds(images), ours.start + theirs.seconds(images)
    return f"{before:,.0f} s, {after:,.0f} s: {before / after:.2f}"


@torch.inference_mode()
def _row(name: str, batches: int) -> list[str]:
    steps, weights = preprocessing(name), find_weights(name, "none", 0)
    plain = Extractor(name, weights, 0, steps, choose_device("cpu"))
    ways = {"PyTorch": plain, "OpenVINO": replace(plain, openvino=True)}
    size = plain.device.batch_size
    pixels = torch.randint(0, 256, (size, 3, steps.crop, steps.crop), dtype=torch.uint8)
    batch = steps.normalised(pixels, plain.device.dtype)
    networks: dict[str, nn.Module] = {}
    values: dict[str, torch.Tensor] = {}

    def start(way: str) -> None:
        networks[way] = ways[way].build()
        values[way] = networks[way](batch).float()

    def turn(way: str) -> None:
        for _ in range(batches):
            networks[way](batch)

    started = {way: seconds_of(lambda way=way: start(way)) for way in ways}
    sides = {way: (lambda way=way: seconds_of(lambda: turn(way))) for way in ways}
    turns = take_turns({f"{name} {way}": side for way, side in sides.items()}, REPEATS)
    each = {way: statistics.median(turns[f"{name} {way}"]) / (batches * size) for way in ways}
    ours, theirs = (Measured(max(0.0, started[way] - size * each[way]), each[way]) for way in ways)
    ratio = statistics.median(one / other for one, other in zip(*turns.values(), strict=True))
    apart = (values["PyTorch"] - values["OpenVINO"]).abs().max() / values["PyTorch"].std()
    return [
        name, plain.device.precision, f"{1 / ours.image:.1f}", f"{1 / theirs.image:.1f}",
        f"{ratio:.2f}", f"{ours.start:.1f} s", f"{theirs.start:.1f} s",
        *(passed_sooner(ours, theirs, count) for count in COUNTS), f"{float(apart):.0e} SD", load(),
    ]  # fmt: skip


_HOW = """The network alone, without decoding, on batches of 16 random images that lie ready; both
ways take turns, and rate and ratio are medians over the turns. Start: build the network (random
weights), with OpenVINO its import and conversion too, until the first batch less the time of a
later one. The seconds for 1,780 and 37,500 images are computed from these rates and starts, not
measured: PyTorch, OpenVINO with both starts, and their ratio; a fit takes OpenVINO only for passes
that take longer than a minute. Difference: the largest of any feature, in standard deviations of
the features."""
