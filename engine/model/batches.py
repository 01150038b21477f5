"""Decodes images in threads into a ring of buffers, and yields batches of pixels."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event

import numpy as np
import torch

from engine.data.formats import Unreadable
from engine.data.images import decode_reduced
from engine.model.device import Device, decode_threads
from engine.model.preprocessing import Preprocessing
from engine.runs.opening import read_file

_DEPTH = 4  # buffers: the network uses one while the others are filled
TASK = 4  # images in one task of a thread


@dataclass(frozen=True)
class Batch:
    """Pixels on the device, always of the same shape.

    Attributes
    ----------
    names : checksums of the images in the batch
    rows : row of each image; the content of other rows is undefined
    pixels : uint8 (size, 3, crop, crop), channels last
    """

    names: list[str]
    rows: list[int]
    pixels: torch.Tensor


def batches(
    root: Path,
    wanted: dict[str, str],
    steps: Preprocessing,
    size: int,
    device: Device,
    bad: dict[str, str],
) -> Iterator[Batch]:
    """Read, check, decode and resize images (sha256 to path) in threads, in order.

    A batch is overwritten when the next one is requested. Images that cannot be used are added
    to ``bad`` with the reason.

    Notes
    -----
    On a CPU, the network and the decoders compete for the cores, and a thread of the network that
    shares its core delays all others. So the decoders only read files while the network runs, and
    decode into the ring while it does not.
    """
    todo = iter(wanted.items())
    ring = [_Buffer(size, steps.crop, device) for _ in range(_DEPTH)]
    filling: deque[tuple[_Buffer, list[str], list[Future[list[str | None]]]]] = deque()
    go = Event()
    shared = device.name == "cpu"

    def prepare(items: list[tuple[str, str]], rows: np.ndarray) -> list[str | None]:
        images = (_prepared(root, name, path, steps, go) for name, path in items)
        return [_put(image, row) for image, row in zip(images, rows, strict=False)]

    with _decoders(go) as pool:

        def fill(buffer: _Buffer) -> None:
            items = list(islice(todo, size))
            if items:
                buffer.free()
                futures = [
                    pool.submit(prepare, items[at : at + TASK], buffer.rows[at : at + TASK])
                    for at in range(0, len(items), TASK)
                ]
                filling.append((buffer, [name for name, _ in items], futures))

        if not shared:
            go.set()
        for buffer in ring:
            fill(buffer)
        while filling:
            buffer, names, futures = filling[0]
            if not shared:
                wait(futures)
            elif not all(future.done() for future in futures):
                go.set()
                wait([future for _, _, ahead in filling for future in ahead])
                go.clear()
            reasons = [reason for future in futures for reason in future.result()]
            bad |= {name: why for name, why in zip(names, reasons, strict=True) if why}
            rows = [row for row, why in enumerate(reasons) if not why]
            yield Batch([names[row] for row in rows], rows, buffer.sent())
            filling.popleft()
            fill(buffer)


def decoded(
    root: Path, wanted: dict[str, str], steps: Preprocessing, window: int
) -> Iterator[tuple[str, torch.Tensor | str]]:
    """Read, check, decode and resize images in threads, in order.

    Parameters
    ----------
    wanted : path of each image, relative to ``root``, by sha256
    window : largest number of images that are decoded ahead

    Yields
    ------
    (sha256, uint8 (3, crop, crop)) or (sha256, reason why it cannot be used)
    """
    go = Event()
    go.set()
    with _decoders(go) as pool:
        todo = iter(wanted.items())
        waiting: deque[tuple[str, Future[torch.Tensor | str]]] = deque()

        def submit(count: int) -> None:
            for name, path in islice(todo, count):
                waiting.append((name, pool.submit(_prepared, root, name, path, steps, go)))

        submit(window)
        while waiting:
            name, future = waiting.popleft()
            yield name, future.result()
            submit(1)


def _prepared(
    root: Path, name: str, path: str, steps: Preprocessing, go: Event
) -> torch.Tensor | str:
    """Return an image's pixels, uint8 (3, crop, crop), or the reason why it cannot be used."""
    try:
        content = read_file(root / path)
        if hashlib.sha256(content).hexdigest() != name:
            return "changed on disk since it was listed"
        go.wait()
        image = decode_reduced(content, steps.decoded_short)
        return steps.resized(image.pixels, image.sides)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except Unreadable as error:
        return str(error)


def _put(image: torch.Tensor | str, row: np.ndarray) -> str | None:
    """Copy an image (3, crop, crop) into its row of a buffer, or return why there is none."""
    if isinstance(image, str):
        return image
    np.copyto(row, image.permute(1, 2, 0).numpy())  # a torch copy would start threads
    return None


@contextmanager
def _decoders(go: Event) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads; no thread keeps waiting when the block ends for any reason."""
    with ThreadPoolExecutor(decode_threads(), thread_name_prefix="decode") as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            go.set()


class _Buffer:
    """The pixels of one batch in memory; for a GPU pinned, and copied while the network runs."""

    def __init__(self, size: int, side: int, device: Device) -> None:
        self._device, cuda = device.name, device.name == "cuda"
        pixels = torch.zeros(size, side, side, 3, dtype=torch.uint8, pin_memory=cuda)
        self.rows = pixels.numpy()  # (size, crop, crop, 3)
        self._pixels = pixels.permute(0, 3, 1, 2)
        self._stream = torch.cuda.Stream() if cuda else None  # type: ignore[no-untyped-call]
        self._copied = torch.cuda.Event() if cuda else None  # type: ignore[no-untyped-call]

    def sent(self) -> torch.Tensor:
        """Return the pixels on the device; the network's stream waits, not this thread."""
        if self._stream is None or self._copied is None:
            return self._pixels.to(self._device)
        with torch.cuda.stream(self._stream):
            there = self._pixels.to(self._device, non_blocking=True)
            self._copied.record()
        network = torch.cuda.current_stream()
        network.wait_event(self._copied)
        there.record_stream(network)  # prevents reuse of its memory before the network has finished
        return there

    def free(self) -> None:
        """Wait until the last copy is complete, so that threads may overwrite the buffer."""
        if self._copied is not None:
            self._copied.synchronize()
