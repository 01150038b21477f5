"""Saves weights and checkpoints: a run's final weights, and the state to resume training."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from engine import portable
from engine.model.backbones import load_state
from engine.runs.epoch_scores import EpochScores
from engine.runs.files import atomic_path
from engine.runs.json_text import loads
from engine.runs.opening import is_file, open_regular

CHECKPOINT = "checkpoint.safetensors"


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> None:
    """Write tensors as safetensors atomically."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            safetensors.torch.save_file(whole, temporary, {"format_version": "1", **metadata})
        except SafetensorError as error:  # also raised for a full disk
            raise OSError(str(error)) from error


def named_state(network: nn.Sequential | nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors with the name prefixes of body and head: ``body.…``, ``head.weight``."""
    parts = {"0": "body", "1": "head"}
    return {
        f"{parts[name.partition('.')[0]]}.{name.partition('.')[2]}": tensor
        for name, tensor in network.state_dict().items()
    }


def save_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, lines: list[EpochScores]
) -> None:
    """Write tensors, the optimizer's state and the epochs so far, with a checksum over all."""
    tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    save_tensors(path, tensors, epochs=json.dumps(lines), sha256=_checksum(tensors))


def _checksum(tensors: dict[str, torch.Tensor]) -> str:
    """Return one checksum of all values, in the order of their names."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous().flatten()
        whole.update(values.view(torch.uint8).numpy().data if values.numel() else b"")
    return whole.hexdigest()


def resume(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[EpochScores]:
    """Load a checkpoint if there is an intact one; return the lines of its epochs."""
    if not is_file(path):
        return []
    try:
        with open_regular(path) as opened:
            name = portable.name_of_open(opened.fileno(), path)
            with safe_open(name, "pt") as file:
                kept = file.metadata()
            tensors = safetensors.torch.load_file(name)
        lines: list[EpochScores] = loads(kept["epochs"].encode())
        if _checksum(tensors) != kept["sha256"]:
            return []
    except (SafetensorError, OSError, ValueError, KeyError):
        return []
    load_state(network, {name[8:]: t for name, t in tensors.items() if name.startswith("network.")})
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    return lines
