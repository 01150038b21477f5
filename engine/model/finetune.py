"""Trains the whole network from a fitted head; each epoch's network is averaged with the start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from engine.errors import UserError
from engine.model.augmentation import augmented, random_changes
from engine.model.checkpoint import CHECKPOINT, named_state, resume, save_checkpoint, save_tensors
from engine.model.device import Device
from engine.model.ranks import Ranks
from engine.model.start import SHARES, Start, StartAverage
from engine.model.sync_batch_norm import replicated
from engine.model.training_images import TrainingImages
from engine.model.training_options import TrainingOptions
from engine.runs.epoch_scores import EpochScores

STATISTICS_FROM = 2000  # training images from which batch normalisation measures its statistics

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Training:
    """A network in training, and the values that a step of it needs.

    Attributes
    ----------
    network : an extractor and a last layer
    replica : the module to call in training, which shares gradients with the other processes
    frozen_statistics : whether batch normalisation keeps the statistics of the initial weights
    batch_size : at most the number of training images
    steps : batches in an epoch; the incomplete last one is left out
    """

    network: nn.Module
    replica: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    options: TrainingOptions
    batch_size: int
    steps: int
    frozen_statistics: bool
    device: Device
    ranks: Ranks

    def autocast(self) -> torch.autocast:
        """Return a context that computes in the device's precision."""
        reduced = self.device.dtype != torch.float32
        return torch.autocast(self.device.name, self.device.dtype, enabled=reduced)


def finetune(
    extractor: nn.Module,
    start: Start,
    train: TrainingImages,
    valid: TrainingImages,
    options: TrainingOptions,
    *,
    folder: Path,
    progress: Progress,
) -> Iterator[list[EpochScores]]:
    """Train an extractor and its last layer further; write ``folder/model.safetensors``.

    Epoch 0 is the start. After each epoch, the network and the average of its tensors with the
    start's are scored; of all of them the one with the lowest valid log loss is kept. So the
    network is never worse on the validation images than the fitted last layer alone.

    Several processes divide each batch and train like a single one, except for dropout and
    stochastic depth, which each process draws for itself.

    ``folder/checkpoint.safetensors`` holds the state for the next epoch, so that a killed run
    resumes after its last complete epoch and gives the same result as an uninterrupted one: random
    numbers depend only on the seed and the epoch. The file stays after the last epoch; the caller
    removes it when the network has been used.

    Parameters
    ----------
    progress
        Called with ("train", images done, images in all epochs); may raise an exception to stop.

    Yields
    ------
    After every epoch the lines of all epochs so far: epoch, loss, accuracy, valid_loss,
    valid_accuracy, seconds and share, that of the trained network in the scored average.

    References
    ----------
    Wortsman et al. (2022), Robust fine-tuning of zero-shot models.

    Raises
    ------
    UserError
        If a batch has fewer images than there are processes.
    """
    training = _begun(start.after(extractor), train, options)
    average = StartAverage.of(training.network)
    checkpoint = folder / CHECKPOINT
    lines = resume(checkpoint, training.network, training.optimizer)
    if lines:  # the last one may not have been reported
        yield lines
    for epoch in range(len(lines), options.epochs + 1):
        started = time.monotonic()
        trained = start.loss, start.accuracy
        if epoch:
            trained = train_one_epoch(training, train, epoch, progress)
        scored = [
            (*evaluate(replace(training, network=average.after(training.network, share)), valid),
             share)
            for share in (SHARES if epoch else SHARES[-1:])
        ]  # fmt: skip
        best = min(scored)
        lines.append(_line(epoch, trained, best, seconds=time.monotonic() - started))
        if training.ranks.first:
            if best[0] <= min(line["valid_loss"] for line in lines):
                kept = average.after(training.network, best[2])
                save_tensors(folder / "model.safetensors", named_state(kept))
            if epoch:
                save_checkpoint(checkpoint, training.network, training.optimizer, lines)
        yield lines


def _line(
    epoch: int,
    trained: tuple[float, float],
    scored: tuple[float, float, float],
    seconds: float,
) -> EpochScores:
    return {
        "epoch": epoch,
        "loss": trained[0],
        "accuracy": trained[1],
        "valid_loss": scored[0],
        "valid_accuracy": scored[1],
        "share": scored[2],
        "seconds": seconds,
    }


def _begun(network: nn.Module, train: TrainingImages, options: TrainingOptions) -> _Training:
    device, ranks, n = train.device, train.ranks, len(train)
    batch_size = min(options.batch_size, n)
    if batch_size < ranks.world:
        raise UserError(
            f"is less than the {ranks.world} processes; each needs at least one image.",
            option="batch_size",
            value=batch_size,
        )
    network = network.to(device.name).to(memory_format=torch.channels_last)
    frozen_statistics = n < STATISTICS_FROM
    return _Training(
        network,
        replicated(network, device.name, ranks),
        torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=0.05),
        torch.amp.GradScaler(device.name, enabled=device.dtype == torch.float16),
        options,
        batch_size,
        n // batch_size,
        frozen_statistics,
        device,
        ranks,
    )


def train_one_epoch(
    training: _Training, images: TrainingImages, epoch: int, progress: Progress
) -> tuple[float, float]:
    """Train on every image once; return the mean log loss and the accuracy during the epoch."""
    options, ranks, size = training.options, training.ranks, training.batch_size
    preprocessing, steps = images.steps, training.steps
    generator = torch.Generator().manual_seed(options.seed * 1_000_003 + epoch)
    torch.manual_seed(options.seed * 1_000_003 + epoch + (ranks.rank << 40))  # dropout
    training.network.train()
    if training.frozen_statistics:
        for module in training.network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    order = torch.randperm(len(images), generator=generator)[: steps * size]
    loss_sum, hits = 0.0, 0.0
    for step, (rows, pixels, labels) in enumerate(images.batches(order, size)):
        done = (epoch - 1) * steps + step
        rate = options.lr * one_cycle(done / (options.epochs * steps))
        training.optimizer.param_groups[0]["lr"] = rate
        theta, brightness = (drawn[ranks.share] for drawn in random_changes(size, generator))
        batch = preprocessing.normalised(pixels, torch.float32)
        batch = augmented(batch, preprocessing.crop, theta, brightness)
        batch = batch.contiguous(memory_format=torch.channels_last)
        with training.autocast():
            scores = training.replica(batch)
        loss = cross_entropy(scores.float(), labels)
        training.optimizer.zero_grad(set_to_none=True)
        share = len(rows) * ranks.world / size  # replicas average their gradients
        training.scaler.scale(loss * share).backward()  # type: ignore[no-untyped-call]
        training.scaler.step(training.optimizer)
        training.scaler.update()
        loss_sum += loss.item() * len(rows)
        hits += int((scores.argmax(1) == labels).sum())
        progress("train", (done + 1) * size, options.epochs * len(order))
    loss_sum, hits = ranks.total(loss_sum, hits)
    return loss_sum / len(order), hits / len(order)


@torch.no_grad()
def evaluate(training: _Training, images: TrainingImages) -> tuple[float, float]:
    """Return log loss and accuracy on images without augmentation."""
    from torchvision.transforms.v2.functional import center_crop

    training.network.eval()
    preprocessing, n = images.steps, len(images)
    loss_sum, hits = 0.0, 0.0
    for _, pixels, labels in images.batches(torch.arange(n), max(16, training.device.batch_size)):
        cropped = center_crop(pixels, [preprocessing.crop])
        with training.autocast():
            scores = training.network(preprocessing.normalised(cropped, torch.float32))
        loss_sum += cross_entropy(scores.double(), labels, reduction="sum").item()
        hits += int((scores.argmax(1) == labels).sum())
    loss_sum, hits = training.ranks.total(loss_sum, hits)
    return loss_sum / n, hits / n


def one_cycle(done: float) -> float:
    """Return the learning rate, as a fraction of its peak, after this fraction of all steps.

    It rises from 1/25 during the first quarter and then falls to 0, both along a cosine
    (Smith, 2018).
    """
    up = 0.25
    if done < up:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * done / up)) / 2
    return (1 + math.cos(math.pi * (done - up) / (1 - up))) / 2
