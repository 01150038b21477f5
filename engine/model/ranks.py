"""The processes that torchrun started for one fit, and the values they exchange."""

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
_PATIENCE = timedelta(days=7)  # the other processes wait while the first one trains a head


@dataclass(frozen=True)
class Ranks:
    """The rank of this process and the number of processes; by default a single process.

    Attributes
    ----------
    rank, world : rank of this process and number of processes, on all machines
    local, local_world : the same on this machine
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    local_world: int = 1

    @property
    def first(self) -> bool:
        """Return whether this is the process that writes the run."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Return the items of this process: every ``world``-th one, so that the shares are even."""
        return slice(self.rank, None, self.world)

    def on_rank_zero(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the first process only and return its result in all processes.

        Raises
        ------
        UserError
            In all processes, if the first one raises it.
        """
        if self.world == 1:
            return work()
        sent: list[Any] = [None, None]
        failure: BaseException | None = None
        if self.first:
            try:
                sent[0] = work()
            except BaseException as error:
                sent[1], failure = str(error) or type(error).__name__, error
        with _company(self):
            dist.broadcast_object_list(sent, src=0)
        if failure:
            _ending()
            raise failure
        if sent[1] is not None:
            raise Echo(sent[1])
        result: T = sent[0]
        return result

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, ordered by rank, in every process."""
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
    """Join the processes that torchrun started, or yield a single rank without torchrun.

    Parameters
    ----------
    device
        "cpu", "cuda" or "mps"; each process uses the GPU with its local rank.

    Raises
    ------
    UserError
        Inside the block, if another process ended or torchrun stops this one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        ranks = Ranks(*(int(os.environ[name]) for name in names))
    except (KeyError, ValueError) as error:
        raise UserError(
            f"WORLD_SIZE is set but {error} is missing or invalid; use torchrun or unset it."
        ) from error
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
    """Ignore torchrun's SIGTERM, so that the run's final status is written completely."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _left_alone(ranks: Ranks) -> UserError:
    _ending()
    return (UserError if ranks.first else Echo)(
        f"another of the fit's {ranks.world} processes ended, so process {ranks.rank} stopped; "
        "finished work is kept: start it again to continue."
    )


@contextmanager
def _company(ranks: Ranks) -> Iterator[None]:
    """Raise a one-sentence error when another process is gone."""
    try:
        yield
    except (dist.DistError, RuntimeError) as error:
        gone = ("Connection", "closed by peer", "Socket", "NCCL", "gloo")
        if isinstance(error, dist.DistError) or any(word in str(error) for word in gone):
            raise _left_alone(ranks) from error
        raise


@contextmanager
def _stopped_politely(ranks: Ranks) -> Iterator[None]:
    """Turn torchrun's SIGTERM into an exception, so that finished work is saved."""

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
