"""Chooses the device, the precision and the number of decoding threads."""

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
    """The device and the precision of the network.

    Attributes
    ----------
    name : "cpu", "cuda" or "mps"
    dtype : precision of the network's weights and activations
    batch_size : images per forward pass if memory allows; small on a CPU, so that activations
        stay in cache
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
        """Return the device's product name if it is known."""
        return torch.cuda.get_device_name() if self.name == "cuda" else self.name


def choose_device(device: str = "auto", precision: str = "auto") -> Device:
    """Choose the device and the precision.

    ``auto`` means a GPU if there is one, and bfloat16 if the hardware supports it.

    Raises
    ------
    UserError
        If the option is unknown or not available on this machine.
    """
    if device not in DEVICES:
        raise UserError(
            f"is unknown; choose one of {', '.join(DEVICES)}.", option="device", value=device
        )
    if precision not in PRECISIONS:
        raise UserError(
            f"is unknown; choose {', '.join(PRECISIONS)}.", option="precision", value=precision
        )
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[device]:
        raise UserError("is not available on this machine; use cpu.", option="device", value=device)
    if device == "cpu":
        _keep_memory()
    if precision == "auto":
        precision = "bfloat16" if _computes_bfloat16(device) else "float32"
    if precision == "float16" and device == "cpu":
        raise UserError(
            "needs a GPU; use bfloat16 or float32 on the CPU.", option="precision", value=precision
        )
    return Device(device, getattr(torch, precision), 16 if device == "cpu" else 256)


def make_deterministic() -> None:
    """Make results on one machine depend only on the seed."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("warn")  # the other call imports the compiler (1 s)
    # Do not fill new memory: that takes up to a tenth of the time, and we never read it unset.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # float32 on a GPU is float32, as on a CPU


def decode_threads() -> int:
    """Return the number of decoding threads: the processors divided by the local processes."""
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
    """Ask glibc to keep freed memory, which avoids page faults for every batch."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        mmap_threshold, trim_threshold = -3, -1
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)
