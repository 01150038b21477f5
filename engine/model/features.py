"""One forward pass per picture, kept on disk by the picture's checksum, resumable."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from engine.data.headers import Unreadable
from engine.data.images import decode
from engine.model.backbones import Preprocessing
from engine.model.device import Device
from engine.runs.files import locked, write_atomic

SHARD_ROWS = 1024
SHARD_SECONDS = 10.0
_LARGEST = torch.finfo(torch.float16).max

Progress = Callable[[str, int, int], None]


@dataclass
class Features:
    """Features of a set of pictures.

    Attributes
    ----------
    values : float16 tensor of shape (n, width)
    row_of : row of ``values`` by the picture's sha256
    bad : path to reason, of the pictures that could not be decoded
    forward_passes : pictures that went through the network now
    """

    values: torch.Tensor
    row_of: dict[str, int]
    bad: dict[str, str] = field(default_factory=dict)
    forward_passes: int = 0

    def of(self, sha256: Sequence[str]) -> torch.Tensor:
        """Return the features of these pictures, float32 (n, width)."""
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
) -> Features:
    """Return the features of all pictures, from the cache where they are, computed where not.

    Parameters
    ----------
    root, paths, sha256
        The pictures, and the checksum of each when it was listed.
    folder
        Where features of this backbone, weights, preprocessing and precision are kept.
    extractor
        Builds the network, ready to run; called only when a picture has to pass through it.
    progress
        Called with ("features", done, total), counting the cached ones as done; may raise to
        stop, in which case what was computed is kept.

    Notes
    -----
    Every batch has the same shape, so that a picture's features do not depend on which others
    it was computed with.
    """
    with locked(folder / ".lock"):
        kept = _load_shards(folder, set(sha256))
        missing = {s: p for p, s in zip(paths, sha256, strict=True) if s not in kept}
        bad: dict[str, str] = {}
        if missing:
            done = len(set(sha256)) - len(missing)
            report = _Report(progress, done, done + len(missing))
            for names, values in _passes(root, missing, extractor(), steps, device, bad, report):
                _write_shard(folder, names, values)
                kept.update(zip(names, values, strict=True))
        computed = sum(name in kept for name in missing)
    bad = {p: bad[s] for p, s in zip(paths, sha256, strict=True) if s in bad}
    if not kept:
        return Features(torch.empty(0, 0), {}, bad, 0)
    names = sorted(kept)
    values = torch.stack([kept[name] for name in names])
    return Features(values, {name: row for row, name in enumerate(names)}, bad, computed)


class _Report:
    def __init__(self, progress: Progress | None, done: int, total: int) -> None:
        self.progress, self.done, self.total = progress, done, total

    def __call__(self, more: int, bad: int) -> None:
        self.done += more
        if self.progress:
            self.progress("features", self.done + bad, self.total)


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
    raised on.
    """
    done: list[tuple[list[str], torch.Tensor]] = []  # batches not yet yielded
    since = time.monotonic()
    stop: BaseException | None = None
    try:
        for names, pixels in _batches(root, missing, steps, device.batch_size, bad):
            if names:
                done.append((names, _forward(network, pixels, steps, device)[: len(names)]))
            report(len(names), len(bad))
            late = time.monotonic() - since > SHARD_SECONDS
            if done and (late or sum(len(names) for names, _ in done) >= SHARD_ROWS):
                yield _joined(done)
                done, since = [], time.monotonic()
    except GeneratorExit:
        raise
    except BaseException as error:
        stop = error
    if done:
        yield _joined(done)
    if stop:
        raise stop


def _joined(batches: list[tuple[list[str], torch.Tensor]]) -> tuple[list[str], torch.Tensor]:
    names = [name for names, _ in batches for name in names]
    return names, torch.cat([values for _, values in batches]).cpu()


def _batches(
    root: Path, missing: dict[str, str], steps: Preprocessing, size: int, bad: dict[str, str]
) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Yield (checksums, uint8 (size, 3, crop, crop)); the last batch is padded with zeros."""
    names: list[str] = []
    pixels = torch.zeros(size, 3, steps.crop, steps.crop, dtype=torch.uint8)
    for name, picture in decoded(root, missing, steps, window=4 * size):
        if isinstance(picture, str):
            bad[name] = picture
            continue
        pixels[len(names)] = picture
        names.append(name)
        if len(names) == size:
            yield names, pixels
            names, pixels = [], torch.zeros_like(pixels)
    yield names, pixels


def decoded(
    root: Path, wanted: dict[str, str], steps: Preprocessing, window: int
) -> Iterator[tuple[str, torch.Tensor | str]]:
    """Read, check, decode and resize pictures in threads, in order, ``window`` ahead at most.

    Yields
    ------
    (sha256, uint8 (3, crop, crop)) or (sha256, reason it is bad)
    """

    def prepare(name: str, path: str) -> torch.Tensor | str:
        try:
            content = (root / path).read_bytes()
            if hashlib.sha256(content).hexdigest() != name:
                return "changed on disk since it was listed"
            return steps.resized(decode(content))
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        except Unreadable as error:
            return str(error)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        todo = iter(wanted.items())
        waiting: list[tuple[str, Future[torch.Tensor | str]]] = [
            (name, pool.submit(prepare, name, path)) for name, path in islice(todo, window)
        ]
        try:
            while waiting:
                name, future = waiting.pop(0)
                yield name, future.result()
                waiting += [(n, pool.submit(prepare, n, p)) for n, p in islice(todo, 1)]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@torch.inference_mode()
def _forward(
    network: nn.Module, pixels: torch.Tensor, steps: Preprocessing, device: Device
) -> torch.Tensor:
    if device.name == "cuda":
        pixels = pixels.pin_memory().to(device.name, non_blocking=True)
    else:
        pixels = pixels.to(device.name)
    values = network(steps.normalised(pixels, device.dtype)).float()
    return torch.nan_to_num(values).clamp_(-_LARGEST, _LARGEST).half()


def _write_shard(folder: Path, names: list[str], values: torch.Tensor) -> None:
    checksums = torch.from_numpy(
        np.frombuffer(bytes.fromhex("".join(names)), dtype=np.uint8).reshape(-1, 32).copy()
    )
    content = safetensors.torch.save(
        {"features": values.contiguous(), "sha256": checksums}, {"format_version": "1"}
    )
    name = hashlib.sha256(content).hexdigest()[:32]
    write_atomic(folder / f"{name}.safetensors", content)


def _load_shards(folder: Path, wanted: set[str]) -> dict[str, torch.Tensor]:
    """Return the kept features of the wanted pictures; a shard that is not ours is removed."""
    kept: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        shard = _shard(path.read_bytes(), path.stem)
        if shard is None:
            print(
                f"{path} is damaged or of another version; its pictures are computed again.",
                file=sys.stderr,
            )
            path.unlink()
            continue
        for name, row in zip(shard["sha256"].numpy(), shard["features"], strict=True):
            if (text := name.tobytes().hex()) in wanted:
                kept[text] = row
    return kept


def _shard(content: bytes, name: str) -> dict[str, torch.Tensor] | None:
    """Return the tensors of a shard, None where its bytes changed or its version is another."""
    if hashlib.sha256(content).hexdigest()[:32] != name:
        return None
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        shard = safetensors.torch.load(content)
    except (SafetensorError, ValueError):
        return None
    version = header.get("__metadata__", {}).get("format_version")
    return shard if version == "1" and shard.keys() == {"features", "sha256"} else None
