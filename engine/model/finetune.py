"""Trains the whole network with augmentation, mixed precision and a one-cycle learning rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from engine.errors import UserError
from engine.model.batches import decoded
from engine.model.checkpoint import CHECKPOINT, named_state, resume, save_checkpoint, save_tensors
from engine.model.device import Device
from engine.model.preprocessing import Preprocessing
from engine.model.ranks import ALONE, Ranks
from engine.model.sync_batch_norm import replicated

MEMORY_BYTES = 2 * 2**30  # resized images kept in memory; more are decoded in every epoch

Progress = Callable[[str, int, int], None]
OnEpoch = Callable[[list[dict[str, Any]]], None]


@dataclass(frozen=True)
class Images:
    """Labelled images of one split, which are read, resized and cropped on demand.

    Attributes
    ----------
    root, paths, sha256 : the images, and the checksum of each from when it was listed
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
    train: Images,
    valid: Images,
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
    ranks: Ranks = ALONE,
) -> None:
    """Train the network and a new last layer; write ``folder/model.safetensors``.

    Several processes divide each batch and train like a single one, except for dropout and
    stochastic depth, which each process draws for itself.

    The epoch with the lowest valid log loss is kept. ``folder/checkpoint.safetensors`` holds the
    state for the next epoch, so that a killed run resumes after its last complete epoch and gives
    the same result as an uninterrupted one: random numbers depend only on the seed and the epoch.
    The file stays after the last epoch; the caller removes it when the network has been used.

    Parameters
    ----------
    progress
        Called with ("train", images done, images in all epochs); may raise an exception to stop.
    on_epoch
        Called after every epoch with the lines of all epochs so far.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(width, n_classes)
    network = nn.Sequential(extractor, head).to(device.name).to(memory_format=torch.channels_last)
    replica = replicated(network, device.name, ranks)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.05)
    scaler = torch.amp.GradScaler(device.name, enabled=device.dtype == torch.float16)
    checkpoint = folder / CHECKPOINT
    lines = resume(checkpoint, network, optimizer)
    if lines:  # the last one may not have been reported
        on_epoch(lines)
    train_source, valid_source = (_Source(part, steps, device, ranks) for part in (train, valid))
    n = len(train.labels)
    batch_size = min(batch_size, n)
    if batch_size < ranks.world:
        raise UserError(
            f"is less than the {ranks.world} processes.", option="batch_size", value=batch_size
        )
    per_epoch = n // batch_size  # the incomplete last batch is left out

    for epoch in range(len(lines) + 1, epochs + 1):
        started = time.monotonic()
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        torch.manual_seed(seed * 1_000_003 + epoch + (ranks.rank << 40))  # dropout
        network.train()
        loss_sum, hits, seen = 0.0, 0.0, 0
        order = torch.randperm(n, generator=generator)[: per_epoch * batch_size]
        for step, (rows, pixels) in enumerate(train_source.batches(order, batch_size)):
            done = ((epoch - 1) * per_epoch + step) / (epochs * per_epoch)
            optimizer.param_groups[0]["lr"] = lr * one_cycle(done)
            labels = train.labels[rows].to(device.name)
            theta, brightness = (drawn[ranks.share] for drawn in _changes(batch_size, generator))
            batch = steps.normalised(pixels, torch.float32)
            batch = _augmented(batch, steps.crop, theta, brightness)
            batch = batch.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.name, device.dtype, enabled=device.dtype != torch.float32):
                scores = replica(batch)
            loss = cross_entropy(scores.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            share = len(rows) * ranks.world / batch_size  # replicas average their gradients
            scaler.scale(loss * share).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
            loss_sum += loss.item() * len(rows)
            hits += int((scores.argmax(1) == labels).sum())
            seen += batch_size
            progress("train", (epoch - 1) * len(order) + seen, epochs * len(order))
        loss_sum, hits = ranks.total(loss_sum, hits)
        valid_loss, valid_accuracy = _evaluate(
            network, valid_source, valid.labels, steps, device, ranks
        )
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
        if ranks.first:
            if valid_loss <= min(line["valid_loss"] for line in lines):
                save_tensors(folder / "model.safetensors", named_state(network))
            save_checkpoint(checkpoint, network, optimizer, lines)
        on_epoch(lines)


def one_cycle(done: float) -> float:
    """Return the learning rate, as a fraction of its peak, after this fraction of all steps.

    It rises from 1/25 during the first quarter and then falls to 0, both along a cosine
    (Smith, 2018).
    """
    up = 0.25
    if done < up:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * done / up)) / 2
    return (1 + math.cos(math.pi * (done - up) / (1 - up))) / 2


class _Source:
    """The pixels of a split: uint8 squares with a margin around the crop, for augmentation."""

    def __init__(self, images: Images, steps: Preprocessing, device: Device, ranks: Ranks) -> None:
        self.images, self.device, self.ranks = images, device, ranks
        # The square after the published resize; its centre is the published crop.
        self.steps = Preprocessing(
            steps.resize, steps.resize, steps.interpolation, steps.mean, steps.std
        )
        fits = len(images.paths) * 3 * steps.resize**2 <= MEMORY_BYTES / ranks.local_world
        self.kept: dict[int, torch.Tensor] | None = {} if fits else None

    def batches(self, order: torch.Tensor, size: int) -> Any:
        """Yield (rows, uint8 pixels on the device) in the given order, this process's part."""
        for batch in torch.split(order, size):
            rows = batch[self.ranks.share]
            if len(rows):
                yield rows, torch.stack(self._read(rows.tolist())).to(self.device.name)

    def _read(self, rows: list[int]) -> list[torch.Tensor]:
        kept = self.kept if self.kept is not None else {}
        missing = [row for row in rows if row not in kept]
        by_name: dict[str, list[int]] = {}
        for row in missing:
            by_name.setdefault(self.images.sha256[row], []).append(row)
        wanted = {name: self.images.paths[at[0]] for name, at in by_name.items()}
        read = dict(kept) if self.kept is None else kept
        for name, pixels in decoded(self.images.root, wanted, self.steps, window=64):
            if isinstance(pixels, str):
                raise RuntimeError(f"{wanted[name]} {pixels}")
            read.update(dict.fromkeys(by_name[name], pixels))
        return [read[row] for row in rows]


def _changes(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw affine transformations (n, 2, 3) and brightness factors (n,) for n images."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    zoom = uniform(0.7, 1.0)
    angle = uniform(-0.2, 0.2)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift_x, shift_y = uniform(-1, 1) * (1 - zoom), uniform(-1, 1) * (1 - zoom)
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    rows = [
        torch.stack([mirror * cosine, -sine, shift_x], dim=1),
        torch.stack([mirror * sine, cosine, shift_y], dim=1),
    ]
    return torch.stack(rows, dim=1), uniform(0.8, 1.2)


def _augmented(
    batch: torch.Tensor, crop: int, theta: torch.Tensor, brightness: torch.Tensor
) -> torch.Tensor:
    """Augment every image: (B, 3, S, S) to (B, 3, crop, crop)."""
    theta = theta.to(batch.device)
    grid = affine_grid(theta, [len(batch), 3, crop, crop], align_corners=False)
    warped = grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    return warped * brightness.view(-1, 1, 1, 1).to(batch.device)


@torch.no_grad()
def _evaluate(
    network: nn.Module,
    source: _Source,
    labels: torch.Tensor,
    steps: Preprocessing,
    device: Device,
    ranks: Ranks,
) -> tuple[float, float]:
    from torchvision.transforms.v2.functional import center_crop

    network.eval()
    total, hits = 0.0, 0
    for rows, pixels in source.batches(torch.arange(len(labels)), max(16, device.batch_size)):
        batch = steps.normalised(center_crop(pixels, [steps.crop]), torch.float32)
        with torch.autocast(device.name, device.dtype, enabled=device.dtype != torch.float32):
            scores = network(batch)
        y = labels[rows].to(device.name)
        total += cross_entropy(scores.double(), y, reduction="sum").item()
        hits += int((scores.argmax(1) == y).sum())
    total, right = ranks.total(total, hits)
    return total / len(labels), right / len(labels)
