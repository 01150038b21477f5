"""One forward pass per image, kept on disk by the image's checksum, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
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
_LARGEST = torch.finfo(torch.float16).max

Progress = Callable[[str, int, int], None]


@dataclass
class Features:
    """Features of a set of images.

    Attributes
    ----------
    values : float16 tensor of shape (n, width)
    row_of : row of ``values`` by the image's sha256
    bad : path to reason, of the images that could not be decoded
    forward_passes : images that went through the network now
    """

    values: torch.Tensor
    row_of: dict[str, int]
    bad: dict[str, str] = field(default_factory=dict)
    forward_passes: int = 0

    def of(self, sha256: Sequence[str]) -> torch.Tensor:
        """Return the features of these images, float32 (n, width)."""
        return self.values[[self.row_of[name] for name in sha256]].float()


def compute_features(
    root: Path,
    paths: Sequence[str],
    sha256: Sequence[str],
    *,
    folder: Path,
    extractor: Callable[[], nn.Module],
    steps: Preprocessing,
    device: Device,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
) -> Features:
    """Return the features of all images, from the cache where they are, computed where not.

    Many processes share the pass, each taking every so-many-th image; each writes shards of
    its own, and the first one returns all features, the others those that it computed.

    Parameters
    ----------
    root, paths, sha256
        The images, and the checksum of each when it was listed.
    folder
        Where features of this backbone, weights, preprocessing and precision are kept.
    extractor
        Builds the network, ready to run; called only when an image has to pass through it.
    progress
        Called with ("features", done, total), counting the cached ones as done; may raise to
        stop, in which case what was computed is kept.

    Notes
    -----
    Every batch has the same shape, so that an image's features do not depend on which others
    it was computed with.
    """
    kept = Table(sha256)
    with locked(folder / ".lock") if ranks.first else nullcontext():
        if ranks.first:
            kept.load(folder)
        missing = ranks.once(
            lambda: {s: p for p, s in zip(paths, sha256, strict=True) if s not in kept}
        )
        bad: dict[str, str] = {}
        if missing:
            mine = dict(list(missing.items())[ranks.share])
            done = len(set(sha256)) - len(missing)
            report = _Report(progress, done, done + len(missing), ranks.world)
            for names, values in _passes(root, mine, extractor(), steps, device, bad, report):
                write_shard(folder, names, values)
                kept.add(names, values)
            bad = {name: why for part in ranks.gather(bad) for name, why in part.items()}
            if ranks.first and ranks.world > 1:  # what the others have written
                kept.load(folder)
        computed = sum(name in kept for name in missing)
    bad = {p: bad[s] for p, s in zip(paths, sha256, strict=True) if s in bad}
    return Features(*kept.taken(), bad, computed)


def kept_features(folder: Path, sha256: Iterable[str]) -> Features:
    """Return the features that are in the cache of those images that have some; no pass."""
    kept = Table(sha256)
    kept.load(folder)
    return Features(*kept.taken())


class _Report:
    """Counts for all processes what this one does, taking the others to be as fast."""

    def __init__(self, progress: Progress | None, done: int, total: int, world: int) -> None:
        self.progress, self.done, self.total, self.world = progress, done, total, world

    def __call__(self, more: int, bad: int) -> None:
        self.done += more * self.world
        if self.progress:
            self.progress("features", min(self.done + bad * self.world, self.total), self.total)


def _passes(
    root: Path,
    missing: dict[str, str],
    network: nn.Module,
    steps: Preprocessing,
    device: Device,
    bad: dict[str, str],
    report: _Report,
) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Yield shards of (checksums, features (m, width)) as they are ready.

    Whatever stops it, an interruption or a failure, what is computed is yielded before it is
    raised on. A GPU has the next batch to work on while a shard is copied and written.
    """
    size = batch_size(network, steps, device)
    done = _Shard(device)
    ready: _Shard | None = None
    stop: BaseException | None = None
    try:
        for batch in batches(root, missing, steps, size, device, bad):
            if batch.names:
                done.add(batch, _forward(network, batch, steps, device))
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
    """Features on the device until there are enough of them; a GPU's are copied without waiting."""

    def __init__(self, device: Device) -> None:
        self.names: list[str] = []
        self._passed = 0  # rows, those of bad images too
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
        """Start the way to the CPU."""
        values = torch.cat(self._parts)
        self._parts = [values.to("cpu", non_blocking=self._copied is not None)]
        if self._copied is not None:
            self._copied.record()

    def arrived(self) -> tuple[list[str], torch.Tensor]:
        """Wait for the features, and for none that were asked for later."""
        if len(self._parts) > 1 or self._parts[0].device.type != "cpu":
            self.leave()
        if self._copied is not None:
            self._copied.synchronize()
        return self.names, self._parts[0]


@torch.inference_mode()
def _forward(
    network: nn.Module, batch: Batch, steps: Preprocessing, device: Device
) -> torch.Tensor:
    values = network(steps.normalised(batch.pixels, device.dtype)).float()
    if len(batch.rows) < len(values):
        values = values[batch.rows]
    return torch.nan_to_num(values).clamp_(-_LARGEST, _LARGEST).half()
