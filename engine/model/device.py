"""Device, precision and distributed rank: the one place that decides them."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from dataclasses import dataclass

import torch

from engine import portable
from engine.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Device:
    """Where the network runs and in which precision.

    Attributes
    ----------
    name : "cpu", "cuda" or "mps"
    dtype : precision of the network's weights and activations
    batch_size : images a forward pass where memory allows; small on a CPU, where activations
        should stay in cache
    """

    name: str
    dtype: torch.dtype
    batch_size: int

    @property
    def precision(self) -> str:
        """Return the precision's name, such as "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def description(self) -> str:
        """Return the device's product name where it is known."""
        return torch.cuda.get_device_name() if self.name == "cuda" else self.name


def choose_device(device: str = "auto", precision: str = "auto") -> Device:
    """Choose device and precision.

    ``auto`` takes a GPU where there is one, and bfloat16 where the hardware computes in it.

    Raises
    ------
    UserError
        When the option names something unknown or something this machine lacks.
    """
    if device not in DEVICES:
        raise UserError(f"--device {device} is unknown; choose one of {', '.join(DEVICES)}.")
    if precision not in PRECISIONS:
        raise UserError(f"--precision {precision} is unknown; choose {', '.join(PRECISIONS)}.")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[device]:
        raise UserError(f"--device {device} is not available on this machine; use --device cpu.")
    if device == "cpu":
        _keep_memory()
    if precision == "auto":
        precision = "bfloat16" if _computes_bfloat16(device) else "float32"
    if precision == "float16" and device == "cpu":
        raise UserError("--precision float16 needs a GPU; use bfloat16 or float32 on the CPU.")
    return Device(device, getattr(torch, precision), 16 if device == "cpu" else 256)


def make_deterministic() -> None:
    """Let a seed decide the result on one machine."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("warn")  # its other name imports the compiler, in a second
    # New memory is not filled first: that takes up to a tenth of a CPU's time, and we read none.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def decode_threads() -> int:
    """Return how many threads decode images: the processors, shared with torchrun's others."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _computes_bfloat16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        capabilities = torch.backends.cpu.get_cpu_capability()
        flags = portable.cpu_flags()
        return capabilities == "AVX512" and bool({"avx512_bf16", "amx_bf16"} & flags)
    return False


def _keep_memory() -> None:
    """Ask glibc to keep freed activations, instead of returning and re-faulting their pages."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        mmap_threshold, trim_threshold = -3, -1
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)
