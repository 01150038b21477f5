"""Decodes images in threads or processes into a ring of buffers, and yields batches of pixels."""

from __future__ import annotations

import math
import mmap
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event

import numpy as np
import torch

from engine.model.decoders import (
    TASK,
    Item,
    decoding_processes,
    decoding_threads,
    prepared,
    worth_processes,
)
from engine.model.device import Device
from engine.model.preprocessing import Preprocessing

_DEPTH = 4  # buffers: the network uses one while the others are filled
_DEEPEST, _RING_BYTES = 16, 64_000_000  # of the buffers that a CPU fills in one turn


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
    """Read, check, decode and resize images (sha256 to path), in order.

    A batch is overwritten when the next one is requested. Images that cannot be used are added
    to ``bad`` with the reason.

    Raises
    ------
    UserError
        If the system ended a process that decodes.

    Notes
    -----
    On a CPU, the network and the decoders compete for the cores, and a thread of the network that
    shares its core delays all others. So the decoders only read files while the network runs, and
    decode into the ring while it does not; a deep ring makes these turns few.
    """
    apart, go = worth_processes(device, len(wanted)), Event()
    turns = device.name == "cpu" and not apart
    depth = _DEPTH
    if turns:
        depth = min(max(_DEPTH, _RING_BYTES // (size * 3 * steps.crop**2)), _DEEPEST)
    ring = [_Buffer(size, steps.crop, device, apart) for _ in range(depth)]
    todo, filling = iter(wanted.items()), deque[_Filling]()

    def prepare(items: list[Item], number: int, at: int) -> list[str | None]:
        images = (prepared(root, name, path, steps, go) for name, path in items)
        rows = ring[number].rows[at : at + TASK]
        return [_put(image, row) for image, row in zip(images, rows, strict=False)]

    if not turns:
        go.set()
    with decoding_processes(prepare) if apart else decoding_threads(prepare, go) as submit:

        def fill(number: int) -> None:
            items = list(islice(todo, size))
            if items:
                ring[number].free()
                tasks = range(0, len(items), TASK)
                futures = [submit(items[at : at + TASK], number, at) for at in tasks]
                filling.append(_Filling(number, [name for name, _ in items], futures))

        for number in range(depth):
            fill(number)
        with _pinned(ring):
            while filling:
                first = filling[0]
                reasons = _reasons(filling, go if turns else None)
                bad |= {name: why for name, why in zip(first.names, reasons, strict=True) if why}
                rows = [row for row, why in enumerate(reasons) if not why]
                names = [first.names[row] for row in rows]
                yield Batch(names, rows, ring[first.number].sent())
                filling.popleft()
                fill(first.number)


@dataclass(frozen=True)
class _Filling:
    """A buffer, by its number in the ring, that is being filled with images by their names."""

    number: int
    names: list[str]
    futures: list[Future[list[str | None]]]


def _reasons(filling: deque[_Filling], go: Event | None) -> list[str | None]:
    """Wait for the first buffer; return why each of its images cannot be used, None if it can.

    Parameters
    ----------
    go : decoding waits for it; then all buffers are filled in one turn
    """
    futures = filling[0].futures
    if go is None:
        wait(futures)
    elif not all(future.done() for future in futures):
        go.set()
        wait([future for ahead in filling for future in ahead.futures])
        go.clear()
    return [reason for future in futures for reason in future.result()]


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

    def prepare(name: str, path: str) -> torch.Tensor | str:
        return prepared(root, name, path, steps, go)

    with decoding_threads(prepare, go) as submit:
        todo = iter(wanted.items())
        waiting: deque[tuple[str, Future[torch.Tensor | str]]] = deque()

        def read_ahead(count: int) -> None:
            for name, path in islice(todo, count):
                waiting.append((name, submit(name, path)))

        read_ahead(window)
        while waiting:
            name, future = waiting.popleft()
            yield name, future.result()
            read_ahead(1)


def _put(image: torch.Tensor | str, row: np.ndarray) -> str | None:
    """Copy an image (3, crop, crop) into its row of a buffer, or return why there is none."""
    if isinstance(image, str):
        return image
    np.copyto(row, image.permute(1, 2, 0).numpy())  # a torch copy would start threads
    return None


class _Buffer:
    """The pixels of one batch in memory, pinned for a GPU and copied while the network runs.

    Memory that processes share is pinned by :func:`_pinned`.
    """

    def __init__(self, size: int, side: int, device: Device, apart: bool) -> None:
        self._device, cuda = device.name, device.name == "cuda"
        shape = (size, side, side, 3)
        if apart:
            memory = mmap.mmap(-1, math.prod(shape))  # which copies of this process share
            pixels = torch.frombuffer(memory, dtype=torch.uint8).view(shape)
        else:
            pixels = torch.zeros(shape, dtype=torch.uint8, pin_memory=cuda)
        self.rows = pixels.numpy()  # (size, crop, crop, 3)
        self.pixels = pixels.permute(0, 3, 1, 2)
        self.pinned = pixels.is_pinned()
        self._stream = torch.cuda.Stream() if cuda else None  # type: ignore[no-untyped-call]
        self._copied = torch.cuda.Event() if cuda else None  # type: ignore[no-untyped-call]

    def sent(self) -> torch.Tensor:
        """Return the pixels on the device; the network's stream waits, not this thread."""
        if self._stream is None or self._copied is None:
            return self.pixels.to(self._device)
        with torch.cuda.stream(self._stream):
            there = self.pixels.to(self._device, non_blocking=True)
            self._copied.record()
        network = torch.cuda.current_stream()
        network.wait_event(self._copied)
        there.record_stream(network)  # prevents reuse of its memory before the network has finished
        return there

    def free(self) -> None:
        """Wait until the last copy is complete, so that the buffer may be overwritten."""
        if self._copied is not None:
            self._copied.synchronize()


@contextmanager
def _pinned(ring: list[_Buffer]) -> Iterator[None]:
    """Pin what is not pinned yet; a copy from memory that is not would make this thread wait."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield
        return
    runtime = torch.cuda.cudart()  # type: ignore[no-untyped-call]
    mine = [buffer for buffer in ring if not buffer.pinned]
    for buffer in mine:  # if it is refused, the copy is only slower
        runtime.cudaHostRegister(buffer.pixels.data_ptr(), buffer.pixels.nbytes, 0)
    try:
        yield
    finally:
        for buffer in mine:
            buffer.free()
            runtime.cudaHostUnregister(buffer.pixels.data_ptr())
