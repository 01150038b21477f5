"""Yields the labelled images of one split as batches of pixels, to train a whole network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from engine.model.batches import decoded
from engine.model.device import Device
from engine.model.preprocessing import Preprocessing
from engine.model.ranks import ALONE, Ranks

MEMORY_BYTES = 2 * 2**30  # resized images kept in memory; more are decoded in every epoch


@dataclass(frozen=True)
class Images:
    """Labelled images of one split.

    Attributes
    ----------
    root, paths, sha256 : the images, and the checksum of each from when it was listed
    labels : int64 tensor of shape (n,)
    """

    root: Path
    paths: Sequence[str]
    sha256: Sequence[str]
    labels: torch.Tensor


class TrainingImages:
    """The pixels of a split: uint8 squares with a margin around the crop, for augmentation.

    They are read on demand, and kept in memory if they fit.
    """

    def __init__(
        self, images: Images, steps: Preprocessing, device: Device, ranks: Ranks = ALONE
    ) -> None:
        self.images, self.steps = images, steps
        self.device, self.ranks = device, ranks
        # The square after the published resize; its centre is the published crop.
        self._square = replace(steps, crop=steps.resize)
        size = len(images.paths) * 3 * steps.resize**2
        fits = size <= MEMORY_BYTES / ranks.local_world
        self._kept: dict[int, torch.Tensor] | None = {} if fits else None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images.labels)

    def batches(
        self, order: torch.Tensor, size: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield this process's share of each batch of the rows in ``order``, on the device.

        Yields
        ------
        rows : int64 tensor of shape (b,)
        pixels : uint8 tensor of shape (b, 3, resize, resize)
        labels : int64 tensor of shape (b,)
        """
        for batch in torch.split(order, size):
            rows = batch[self.ranks.share]
            if len(rows):
                pixels = torch.stack(self._read(rows.tolist())).to(self.device.name)
                yield rows, pixels, self.images.labels[rows].to(self.device.name)

    def _read(self, rows: list[int]) -> list[torch.Tensor]:
        kept = self._kept if self._kept is not None else {}
        missing = [row for row in rows if row not in kept]
        by_name: dict[str, list[int]] = {}
        for row in missing:
            by_name.setdefault(self.images.sha256[row], []).append(row)
        wanted = {name: self.images.paths[at[0]] for name, at in by_name.items()}
        read = dict(kept) if self._kept is None else kept
        for name, pixels in decoded(self.images.root, wanted, self._square, window=64):
            if isinstance(pixels, str):
                raise RuntimeError(f"{wanted[name]} {pixels}")
            read.update(dict.fromkeys(by_name[name], pixels))
        return [read[row] for row in rows]
