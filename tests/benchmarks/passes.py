"""The whole feature pass, from files to features on disk, over the network alone."""

from __future__ import annotations

import hashlib
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from engine.data.images import decode
from engine.model.backbones import for_inference, load_network, split_network
from engine.model.device import Device, choose_device, make_deterministic
from engine.model.features import FrozenNetwork, ImageFiles, compute_features
from engine.model.memory import batch_size
from engine.model.preprocessing import Preprocessing, preprocessing
from engine.model.weights import find_weights
from tests.benchmarks.clocked import seconds_of, take_turns, verdict
from tests.benchmarks.material import IMAGES, REPEATS, labelled_split
from tests.benchmarks.report import load, machine, table

TITLE = "The feature pass over the network alone"
COUNTS = {"vgg16": 320, "resnet50": 640, "mobilenet_v2": 1480}
GOAL = 0.9


@dataclass(frozen=True)
class Ready:
    """A network as the engine runs it, random weights, and what belongs to it."""

    name: str
    network: nn.Module
    steps: Preprocessing
    device: Device

    @property
    def batch_size(self) -> int:
        """Return how many images the engine passes at once."""
        return batch_size(self.network, self.steps, self.device)

    def pixels(self, n: int) -> torch.Tensor:
        """Return random squares on the device, uint8, channels last as the pass has them."""
        crop, where = self.steps.crop, self.device.name
        made = torch.randint(0, 256, (n, crop, crop, 3), dtype=torch.uint8, device=where)
        return made.permute(0, 3, 1, 2)


def ready(name: str, precision: str = "auto", image_size: int | None = None) -> Ready:
    """Build a backbone up to its features, as a fit does."""
    device, steps = choose_device(precision=precision), preprocessing(name, image_size)
    make_deterministic()
    whole = load_network(name, find_weights(name, "none", 0), 0, steps.crop)
    network = for_inference(split_network(whole)[0], device.dtype, device.name)
    return Ready(name, network, steps, device)


@torch.inference_mode()
def network_alone(model: Ready, pixels: torch.Tensor) -> None:
    """Pass uint8 (n, 3, crop, crop) through, normalised, in the engine's batches."""
    for batch in torch.split(pixels, model.batch_size):
        values = model.network(model.steps.normalised(batch, model.device.dtype))
    values.float().cpu()  # which waits for a GPU to finish


def whole_pass(model: Ready, root: Path, files: list[Path], sha256: list[str]) -> None:
    """Compute the features of all files into a cache that is empty."""
    with tempfile.TemporaryDirectory() as cold:
        images = ImageFiles(root, [str(file.relative_to(root)) for file in files], sha256)
        network = FrozenNetwork(Path(cold), lambda: model.network, model.steps, model.device)
        found = compute_features(images, network)
    assert found.forward_passes == len(set(sha256)), f"{found.bad} could not be read"


def checksums(files: list[Path]) -> list[str]:
    """Return what the images table holds for each file."""
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def measure() -> str:
    """Measure everything and return the section."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        split = labelled_split(Path(name) / "images")
        sha256 = checksums(split.files)
        for backbone, count in COUNTS.items():
            model, n = ready(backbone), min(count, IMAGES)
            n = max(1, n // model.batch_size) * model.batch_size  # whole batches
            rows.append(_row(model, split.folder, split.files[:n], sha256[:n]))
    head = ("", "images", "precision", "network alone /s", "whole pass /s", "share", "goal", "",
            "load")  # fmt: skip
    return "\n\n".join([machine(("torch", "torchvision")), table(head, rows), split.said + _HOW])


def _row(model: Ready, root: Path, files: list[Path], sha256: list[str]) -> list[str]:
    squares = [model.steps.resized(decode(file.read_bytes())) for file in files]
    pixels = torch.stack(squares).to(model.device.name, memory_format=torch.channels_last)
    few = 2 * model.batch_size
    network_alone(model, pixels[:few])  # warm
    whole_pass(model, root, files[:few], sha256[:few])
    sides = {
        f"{model.name} alone": lambda: seconds_of(lambda: network_alone(model, pixels)),
        f"{model.name} pass": lambda: seconds_of(lambda: whole_pass(model, root, files, sha256)),
    }
    alone, whole = take_turns(sides, REPEATS).values()
    share = statistics.median(a / w for a, w in zip(alone, whole, strict=True))
    n = len(files)
    return [
        model.name, f"{n:,}", model.device.precision, f"{n / statistics.median(alone):.1f}",
        f"{n / statistics.median(whole):.1f}", f"{share:.3f}", f"{GOAL}", verdict(share >= GOAL),
        load(),
    ]  # fmt: skip


_HOW = """. Whole pass: read, checksum, decode, resize, normalise, network, features written to an
empty cache; network alone: the same network on uint8 tensors that lie ready, channels last, with
normalisation, in the same precision and batches. Both take turns and the share is the median over
the turns. Weights are random, which costs the same."""
