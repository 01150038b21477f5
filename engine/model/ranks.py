"""The processes that torchrun started for one fit, and what they tell each other."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from engine.errors import Echo, UserError

T = TypeVar("T")
_PATIENCE = timedelta(days=7)  # the others wait while the first trains a head


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is; by default the only one.

    Attributes
    ----------
    rank, world : this process and their number, on all machines
    local, local_world : the same on this machine
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    local_world: int = 1

    @property
    def first(self) -> bool:
        """Tell whether this is the process that writes the run."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Return which items are this process's: every ``world``-th, so that none has two more."""
        return slice(self.rank, None, self.world)

    def once(self, work: Callable[[], T]) -> T:
        """Let the first process do the work and return its result in all of them.

        Raises
        ------
        UserError
            In all of them when it was refused in the first.
        """
        if self.world == 1:
            return work()
        told: list[Any] = [None, None]
        failure: BaseException | None = None
        if self.first:
            try:
                told[0] = work()
            except BaseException as error:
                told[1], failure = str(error) or type(error).__name__, error
        with _company(self):
            dist.broadcast_object_list(told, src=0)
        if failure:
            _ending()
            raise failure
        if told[1] is not None:
            raise Echo(told[1])
        result: T = told[0]
        return result

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in their order, in all of them."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        with _company(self):
            dist.all_gather_object(values, value)
        return values

    def total(self, *values: float) -> list[float]:
        """Return the sums of these numbers over all processes."""
        if self.world == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        with _company(self):
            dist.all_reduce(sums)
        return [float(value) for value in sums]


ALONE = Ranks()


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started; alone where it did not.

    Parameters
    ----------
    device
        "cpu", "cuda" or "mps"; on a GPU each process takes the one of its own number.

    Raises
    ------
    UserError
        Inside the block, when another process ended, or torchrun asks this one to stop.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        ranks = Ranks(*(int(os.environ[name]) for name in names))
    except (KeyError, ValueError) as error:
        raise UserError(f"WORLD_SIZE is set, but {error} is not as torchrun sets it.") from error
    if device == "cuda":
        if ranks.local >= torch.cuda.device_count():
            raise UserError(
                f"--nproc-per-node {ranks.local_world} is more than the {torch.cuda.device_count()}"
                " GPUs of this machine."
            )
        torch.cuda.set_device(ranks.local)
    with _stopped_politely(ranks), _company(ranks):
        dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
                                timeout=_PATIENCE)  # fmt: skip
        try:
            yield ranks
        finally:
            dist.destroy_process_group()


def _ending() -> None:
    """Heed torchrun's SIGTERM no more, so that the run's last word is written whole."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _left_alone(ranks: Ranks) -> UserError:
    _ending()
    return (UserError if ranks.first else Echo)(
        f"another of the fit's {ranks.world} processes ended, so that process {ranks.rank} stopped;"
        " what is done is kept: start it again to go on."
    )


@contextmanager
def _company(ranks: Ranks) -> Iterator[None]:
    """Say it in one sentence when the others are gone."""
    try:
        yield
    except (dist.DistError, RuntimeError) as error:
        gone = ("Connection", "closed by peer", "Socket", "NCCL", "gloo")
        if isinstance(error, dist.DistError) or any(word in str(error) for word in gone):
            raise _left_alone(ranks) from error
        raise


@contextmanager
def _stopped_politely(ranks: Ranks) -> Iterator[None]:
    """Turn torchrun's SIGTERM into an exception, so that what is done is written."""

    def stop(number: int, frame: object) -> None:
        raise _left_alone(ranks)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is stop:
            signal.signal(signal.SIGTERM, before)
