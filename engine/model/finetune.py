"""The whole network: augmentation, mixed precision, one cycle, the best epoch kept, resumable."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample
from torchvision.transforms.v2.functional import center_crop

from engine.model.backbones import Preprocessing, load_state
from engine.model.device import Device
from engine.model.features import decoded
from engine.runs.files import atomic_path

CHECKPOINT = "checkpoint.safetensors"
MEMORY_BYTES = 2 * 2**30  # resized pictures kept in memory; more are decoded in every epoch

Progress = Callable[[str, int, int], None]
OnEpoch = Callable[[list[dict[str, Any]]], None]


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures of one split, read, resized and cropped when asked for.

    Attributes
    ----------
    root, paths, sha256 : where the pictures are and what they were when listed
    labels : int64 tensor of shape (n,)
    """

    root: Path
    paths: Sequence[str]
    sha256: Sequence[str]
    labels: torch.Tensor


def finetune(
    extractor: nn.Module,
    width: int,
    n_classes: int,
    train: Pictures,
    valid: Pictures,
    *,
    steps: Preprocessing,
    device: Device,
    epochs: int,
    lr: float,
    batch_size: int,
    seed: int,
    folder: Path,
    progress: Progress,
    on_epoch: OnEpoch,
) -> None:
    """Train the network and a new last layer; write ``folder/model.safetensors``.

    The epoch with the least valid log loss is kept. ``folder/checkpoint.safetensors`` holds
    what the next epoch needs, so that a run that was killed goes on from its last whole epoch
    and ends as the unbroken one would: randomness comes from the seed and the epoch alone. It
    stays after the last epoch, for the caller to remove once the network has been used.

    Parameters
    ----------
    progress
        Called with ("train", pictures done, pictures in all epochs); may raise to stop.
    on_epoch
        Called after every epoch with the lines of all epochs so far.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(width, n_classes)
    network = nn.Sequential(extractor, head).to(device.name).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.05)
    scaler = torch.amp.GradScaler(device.name, enabled=device.dtype == torch.float16)
    checkpoint = folder / CHECKPOINT
    lines = _resume(checkpoint, network, optimizer)
    if lines:  # whose last one was perhaps not told any more
        on_epoch(lines)
    train_source, valid_source = _Source(train, steps, device), _Source(valid, steps, device)
    n = len(train.labels)
    batch_size = min(batch_size, n)
    per_epoch = n // batch_size  # the last, smaller batch waits for another epoch's shuffle

    for epoch in range(len(lines) + 1, epochs + 1):
        started = time.monotonic()
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        torch.manual_seed(seed * 1_000_003 + epoch)  # dropout
        network.train()
        loss_sum, hits, seen = 0.0, 0, 0
        order = torch.randperm(n, generator=generator)[: per_epoch * batch_size]
        for step, (rows, pixels) in enumerate(train_source.batches(order, batch_size)):
            done = ((epoch - 1) * per_epoch + step) / (epochs * per_epoch)
            optimizer.param_groups[0]["lr"] = lr * one_cycle(done)
            labels = train.labels[rows].to(device.name)
            batch = _augmented(steps.normalised(pixels, torch.float32), steps.crop, generator)
            batch = batch.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.name, device.dtype, enabled=device.dtype != torch.float32):
                scores = network(batch)
            loss = cross_entropy(scores.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
            loss_sum += loss.item() * len(rows)
            hits += int((scores.argmax(1) == labels).sum())
            seen += len(rows)
            progress("train", (epoch - 1) * len(order) + seen, epochs * len(order))
        valid_loss, valid_accuracy = _evaluate(network, valid_source, valid.labels, steps, device)
        lines.append(
            {
                "epoch": epoch,
                "loss": loss_sum / seen,
                "accuracy": hits / seen,
                "valid_loss": valid_loss,
                "valid_accuracy": valid_accuracy,
                "seconds": time.monotonic() - started,
            }
        )
        if valid_loss <= min(line["valid_loss"] for line in lines):
            save_tensors(folder / "model.safetensors", _state(network))
        _save_checkpoint(checkpoint, network, optimizer, lines)
        on_epoch(lines)


def one_cycle(done: float) -> float:
    """Return the share of the peak learning rate when this share of all steps is done.

    A quarter of the way up from 1/25, then down to nothing, both along a cosine (Smith, 2018).
    """
    up = 0.25
    if done < up:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * done / up)) / 2
    return (1 + math.cos(math.pi * (done - up) / (1 - up))) / 2


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> None:
    """Write tensors as safetensors in one step."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            safetensors.torch.save_file(whole, temporary, {"format_version": "1", **metadata})
        except SafetensorError as error:  # which hides a full disk
            raise OSError(str(error)) from error


class _Source:
    """Pixels of a split: uint8 squares, one margin wider than the crop, for augmentation."""

    def __init__(self, pictures: Pictures, steps: Preprocessing, device: Device) -> None:
        self.pictures, self.device = pictures, device
        # The square that the published resize leaves; its centre is the published crop.
        self.steps = Preprocessing(
            steps.resize, steps.resize, steps.interpolation, steps.mean, steps.std
        )
        fits = len(pictures.paths) * 3 * steps.resize**2 <= MEMORY_BYTES
        self.kept: dict[int, torch.Tensor] | None = {} if fits else None

    def batches(self, order: torch.Tensor, size: int) -> Any:
        """Yield (rows, uint8 pixels on the device) in the given order."""
        for rows in torch.split(order, size):
            yield rows, torch.stack(self._read(rows.tolist())).to(self.device.name)

    def _read(self, rows: list[int]) -> list[torch.Tensor]:
        kept = self.kept if self.kept is not None else {}
        missing = [row for row in rows if row not in kept]
        by_name: dict[str, list[int]] = {}
        for row in missing:
            by_name.setdefault(self.pictures.sha256[row], []).append(row)
        wanted = {name: self.pictures.paths[at[0]] for name, at in by_name.items()}
        read = dict(kept) if self.kept is None else kept
        for name, pixels in decoded(self.pictures.root, wanted, self.steps, window=64):
            if isinstance(pixels, str):
                raise RuntimeError(f"{wanted[name]} {pixels}")
            read.update(dict.fromkeys(by_name[name], pixels))
        return [read[row] for row in rows]


def _augmented(batch: torch.Tensor, crop: int, generator: torch.Generator) -> torch.Tensor:
    """Zoom, shift, turn and mirror every picture by chance: (B, 3, S, S) to (B, 3, crop, crop)."""
    n = len(batch)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    zoom = uniform(0.7, 1.0)
    angle = uniform(-0.2, 0.2)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift_x, shift_y = uniform(-1, 1) * (1 - zoom), uniform(-1, 1) * (1 - zoom)
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    theta = torch.stack(
        [
            torch.stack([mirror * cosine, -sine, shift_x], dim=1),
            torch.stack([mirror * sine, cosine, shift_y], dim=1),
        ],
        dim=1,
    ).to(batch.device)  # (B, 2, 3)
    grid = affine_grid(theta, [n, 3, crop, crop], align_corners=False)
    warped = grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    brightness = uniform(0.8, 1.2).view(-1, 1, 1, 1).to(batch.device)
    return warped * brightness


@torch.no_grad()
def _evaluate(
    network: nn.Module,
    source: _Source,
    labels: torch.Tensor,
    steps: Preprocessing,
    device: Device,
) -> tuple[float, float]:
    network.eval()
    total, hits = 0.0, 0
    for rows, pixels in source.batches(torch.arange(len(labels)), max(16, device.batch_size)):
        batch = steps.normalised(center_crop(pixels, [steps.crop]), torch.float32)
        with torch.autocast(device.name, device.dtype, enabled=device.dtype != torch.float32):
            scores = network(batch)
        y = labels[rows].to(device.name)
        total += cross_entropy(scores.double(), y, reduction="sum").item()
        hits += int((scores.argmax(1) == y).sum())
    return total / len(labels), hits / len(labels)


def _state(network: nn.Sequential | nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors under the names of body and head: ``body.…``, ``head.weight``."""
    parts = {"0": "body", "1": "head"}
    return {
        f"{parts[name.partition('.')[0]]}.{name.partition('.')[2]}": tensor
        for name, tensor in network.state_dict().items()
    }


def _save_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, lines: list[dict[str, Any]]
) -> None:
    tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    save_tensors(path, tensors, epochs=json.dumps(lines), sha256=_checksum(tensors))


def _checksum(tensors: dict[str, torch.Tensor]) -> str:
    """Return one checksum of all values, in the order of their names."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous().flatten()
        whole.update(values.view(torch.uint8).numpy().data if values.numel() else b"")
    return whole.hexdigest()


def _resume(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer
) -> list[dict[str, Any]]:
    """Load a checkpoint where there is a whole one; return the lines of its epochs."""
    if not path.is_file():
        return []
    try:
        with safe_open(path, "pt") as file:
            kept = file.metadata()
        lines: list[dict[str, Any]] = json.loads(kept["epochs"])
        tensors = safetensors.torch.load_file(path)
        if _checksum(tensors) != kept["sha256"]:
            return []
    except (SafetensorError, OSError, ValueError, KeyError):
        return []
    load_state(network, {name[8:]: t for name, t in tensors.items() if name.startswith("network.")})
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    return lines
