"""Decodes images in threads, or in processes where a GPU waits for them."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import torch

from engine.data.formats import Unreadable
from engine.data.images import decode_reduced, take_turns_by
from engine.data.processes import forked_pool
from engine.errors import UserError
from engine.model.device import Device, decode_threads
from engine.model.preprocessing import Preprocessing
from engine.runs.opening import read_file

TASK = 4  # images in one task of a thread or process
_MANY = 1000  # images from which processes are worth their start

Item = tuple[str, str]  # an image's sha256, and its path relative to the root
Prepare = Callable[[list[Item], int, int], list[str | None]]

Result = TypeVar("Result")

_prepare: Prepare | None = None  # in a process that decodes, what it does with a task


def prepared(
    root: Path, name: str, path: str, steps: Preprocessing, go: Event
) -> torch.Tensor | str:
    """Return an image's pixels, uint8 (3, crop, crop), or the reason why it cannot be used.

    Parameters
    ----------
    name : the checksum from when the image was listed
    go : decoding waits for it; reading does not
    """
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


def worth_processes(device: Device, n: int) -> bool:
    """Return whether processes decode ``n`` images sooner than threads.

    Python's global lock is held in a third of the time that an image takes, so that threads decode
    about 1,000 images a second on any number of processors: enough for a CPU, not for a GPU.
    """
    return device.name == "cuda" and n >= _MANY and sys.platform == "linux"


@contextmanager
def decoding_threads(
    prepare: Callable[..., Result], go: Event
) -> Iterator[Callable[..., Future[Result]]]:
    """Yield what hands a task to a thread; none keeps waiting when the block ends for any reason.

    Parameters
    ----------
    prepare : called with the arguments of a task
    go : what the tasks wait for
    """
    with ThreadPoolExecutor(decode_threads(), thread_name_prefix="decode") as pool:
        try:
            yield partial(pool.submit, prepare)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            go.set()


@contextmanager
def decoding_processes(prepare: Prepare) -> Iterator[Callable[..., Future[list[str | None]]]]:
    """Yield what hands a task to a process that shares this one's memory maps.

    Raises
    ------
    UserError
        If the system ended such a process.
    """
    one_large = multiprocessing.get_context("fork").Lock()

    def begin() -> None:
        global _prepare
        _prepare = prepare
        torch.set_num_threads(1)
        take_turns_by(one_large)

    pool = forked_pool(decode_threads(), begin)
    try:
        with warnings.catch_warnings():  # Python 3.12 warns of copies of a process with threads
            warnings.simplefilter("ignore", DeprecationWarning)
            pool.submit(os.getpid)  # which starts all
        yield partial(pool.submit, _in_process)
    except BrokenProcessPool as error:
        raise UserError(
            "The system ended a process that decodes images, perhaps for want of memory; run the "
            "same command again, which continues where it stopped."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_process(*task: Any) -> list[str | None]:
    assert _prepare
    return _prepare(*task)
