"""Computes features, one forward pass per image, and caches them by the image's checksum."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import torch
from torch import nn

from engine.model.batches import Batch, batches
from engine.model.device import Device
from engine.model.memory import batch_size
from engine.model.preprocessing import Preprocessing
from engine.model.ranks import ALONE, Ranks
from engine.model.shards import Table, write_shard
from engine.runs.files import locked

SHARD_ROWS = 1024
SHARD_SECONDS = 10.0
_NOT_FINITE = (
    "the network's features of it are not finite numbers; try --precision float32 or other weights"
)
_LARGEST = torch.finfo(torch.float16).max

Progress = Callable[[str, int, int], None]


@dataclass
class Features:
    """Features of a set of images.

    Attributes
    ----------
    values : float16 tensor of shape (n, width); of several views, the average
    row_of : row of ``values`` by the image's sha256
    bad : reasons of the images that could not be decoded, by path
    forward_passes : number of views that passed through the network in this call
    views : one tensor like ``values`` for each view, where there are several
    widths, scales : width of each network's block of columns, and the factor that scales it, where
        there are several networks
    """

    values: torch.Tensor
    row_of: dict[str, int]
    bad: dict[str, str] = field(default_factory=dict)
    forward_passes: int = 0
    views: tuple[torch.Tensor, ...] = ()
    widths: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()

    @property
    def columns(self) -> list[slice]:
        """Return the columns of each network."""
        widths = self.widths or (self.values.shape[1],)
        return [
            slice(end - width, end) for width, end in zip(widths, accumulate(widths), strict=True)
        ]

    def block(self, columns: slice) -> Features:
        """Return the features of one network, without a copy."""
        views = tuple(view[:, columns] for view in self.views)
        return Features(self.values[:, columns], self.row_of, views=views)

    def of(self, sha256: Sequence[str]) -> torch.Tensor:
        """Return the features of these images, float32 (n, width)."""
        return self.values[[self.row_of[name] for name in sha256]].float()

    def of_first_view(self, sha256: Sequence[str]) -> torch.Tensor:
        """Return the first network's features of the centres of these images, float16 as kept."""
        values = (self.views[0] if self.views else self.values)[:, self.columns[0]]
        return values[[self.row_of[name] for name in sha256]]

    def rows(self, sha256: Sequence[str]) -> torch.Tensor:
        """Return each view's features of these images, float32 (views * n, width), by view."""
        at = [self.row_of[name] for name in sha256]
        return torch.cat([view[at] for view in self.views or (self.values,)]).float()


@dataclass(frozen=True)
class ImageFiles:
    """Images, and the checksum of each from when it was listed.

    Attributes
    ----------
    root : the folder that ``paths`` are relative to
    """

    root: Path
    paths: Sequence[str]
    sha256: Sequence[str]


@dataclass(frozen=True)
class FrozenNetwork:
    """A network that makes features, and where they are cached.

    Attributes
    ----------
    folder : the cache folder for this backbone, these weights, this preprocessing and precision
    build : builds the network; called only if an image is not in the cache
    """

    folder: Path
    build: Callable[[], nn.Module]
    steps: Preprocessing
    device: Device


def compute_features(
    images: ImageFiles,
    network: FrozenNetwork,
    *,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
) -> Features:
    """Return the features of all images, from the cache or computed.

    Several processes share the work: each computes every n-th missing image and writes its own
    shards. The first process returns all features, each other one those that it computed.

    Parameters
    ----------
    progress
        Called with ("features", done, total), where done includes cached images. It may raise an
        exception to stop; computed features are kept.

    Notes
    -----
    Every batch has the same shape, so that an image's features do not depend on the other images
    of its batch.
    """
    folder, sha256 = network.folder, images.sha256
    kept = Table(sha256)
    with locked(folder / ".lock") if ranks.first else nullcontext():
        if ranks.first:
            kept.load(folder)
        missing = ranks.on_rank_zero(
            lambda: {s: p for p, s in zip(images.paths, sha256, strict=True) if s not in kept}
        )
        bad: dict[str, str] = {}
        if missing:
            mine = dict(list(missing.items())[ranks.share])
            done = len(set(sha256)) - len(missing)
            report = _Report(progress, done, done + len(missing), ranks.world)
            for names, values in _passes(images.root, mine, network, bad, report):
                names, values = _finite(names, values, bad)
                if names:
                    write_shard(folder, names, values)
                    kept.add(names, values)
            bad = {name: why for part in ranks.gather(bad) for name, why in part.items()}
            if ranks.first and ranks.world > 1:  # features written by the other processes
                kept.load(folder)
        computed = sum(name in kept for name in missing)
    bad = {p: bad[s] for p, s in zip(images.paths, sha256, strict=True) if s in bad}
    return Features(*kept.taken(), bad, computed)


def kept_features(folder: Path, sha256: Iterable[str]) -> Features:
    """Return the cached features of those images that have some, without a forward pass."""
    kept = Table(sha256)
    kept.load(folder)
    return Features(*kept.taken())


class _Report:
    """Estimates the progress of all processes from this one, assuming equal speed."""

    def __init__(self, progress: Progress | None, done: int, total: int, world: int) -> None:
        self.progress, self.done, self.total, self.world = progress, done, total, world

    def __call__(self, more: int, bad: int) -> None:
        self.done += more * self.world
        if self.progress:
            self.progress("features", min(self.done + bad * self.world, self.total), self.total)


def _passes(
    root: Path,
    missing: dict[str, str],
    network: FrozenNetwork,
    bad: dict[str, str],
    report: _Report,
) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Yield shards of (checksums, features (m, width)) as soon as they are complete.

    If an interruption or an error stops the loop, the computed features are yielded before the
    exception continues. A GPU works on the next batch while a shard is copied and written.
    """
    steps, device, module = network.steps, network.device, network.build()
    size = batch_size(module, steps, device)
    done = _Shard(device)
    ready: _Shard | None = None
    stop: BaseException | None = None
    try:
        for batch in batches(root, missing, steps, size, device, bad):
            if batch.names:
                done.add(batch, _forward(module, batch, steps, device))
            if ready:
                yield ready.arrived()
                ready = None
            report(len(batch.names), len(bad))
            if done.full:
                done.leave()
                ready, done = done, _Shard(device)
    except GeneratorExit:
        raise
    except BaseException as error:
        stop = error
    for shard in (ready, done):
        if shard and shard.names:
            yield shard.arrived()
    if stop:
        raise stop


class _Shard:
    """Collects features on the device until a shard is full; copies from a GPU without waiting."""

    def __init__(self, device: Device) -> None:
        self.names: list[str] = []
        self._passed = 0  # rows, including those of unusable images
        self._parts: list[torch.Tensor] = []
        self._since = time.monotonic()
        cuda = device.name == "cuda"
        self._copied = torch.cuda.Event() if cuda else None  # type: ignore[no-untyped-call]

    def add(self, batch: Batch, values: torch.Tensor) -> None:
        self.names += batch.names
        self._passed += len(batch.pixels)
        self._parts.append(values)

    @property
    def full(self) -> bool:
        late = time.monotonic() - self._since > SHARD_SECONDS
        return bool(self.names) and (late or self._passed >= SHARD_ROWS)

    def leave(self) -> None:
        """Start the copy to the CPU."""
        values = torch.cat(self._parts)
        self._parts = [values.to("cpu", non_blocking=self._copied is not None)]
        if self._copied is not None:
            self._copied.record()

    def arrived(self) -> tuple[list[str], torch.Tensor]:
        """Wait for the features of this shard only, and return them."""
        if len(self._parts) > 1 or self._parts[0].device.type != "cpu":
            self.leave()
        if self._copied is not None:
            self._copied.synchronize()
        return self.names, self._parts[0]


def _finite(
    names: list[str], values: torch.Tensor, bad: dict[str, str]
) -> tuple[list[str], torch.Tensor]:
    """Return those images whose features (m, width) are all finite; add the others to ``bad``."""
    sound = torch.isfinite(values).all(dim=1)
    if sound.all():
        return names, values
    bad |= {name: _NOT_FINITE for name, good in zip(names, sound, strict=True) if not good}
    return [name for name, good in zip(names, sound, strict=True) if good], values[sound]


@torch.inference_mode()
def _forward(
    network: nn.Module, batch: Batch, steps: Preprocessing, device: Device
) -> torch.Tensor:
    values = network(steps.normalised(batch.pixels, device.dtype)).float()
    if len(batch.rows) < len(values):
        values = values[batch.rows]
    return _halved(values)


def _halved(values: torch.Tensor) -> torch.Tensor:
    """Return float16; what is too large for it becomes its largest, infinity becomes NaN."""
    halved = values.clamp(-_LARGEST, _LARGEST).half()
    return halved.masked_fill_(~torch.isfinite(values), torch.nan)
