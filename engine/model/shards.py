"""Stores features on disk in shards named by their checksum, and loads them into one table."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from engine import portable
from engine.runs.files import write_atomic
from engine.runs.opening import is_folder, open_regular, read_file, remove_file

_CHUNK = 4096  # rows moved in one step


class Table:
    """The features of the wanted images in one array, which is allocated once.

    No other memory grows with the number of images.
    """

    def __init__(self, wanted: Iterable[str]) -> None:
        self._names = sorted(set(wanted))
        self._row = {name: row for row, name in enumerate(self._names)}
        self._there = np.zeros(len(self._names), dtype=bool)
        self._values = torch.empty(0, 0, dtype=torch.float16)

    def __contains__(self, name: str) -> bool:
        """Return whether the table has an image's features."""
        return name in self._row and bool(self._there[self._row[name]])

    def add(self, names: Sequence[str], values: torch.Tensor) -> None:
        """Store those of the features (m, width) that belong to wanted images."""
        if not len(self._values):
            self._values = torch.empty(len(self._names), values.shape[1], dtype=torch.float16)
        wanted = [at for at, name in enumerate(names) if name in self._row]
        rows = [self._row[names[at]] for at in wanted]
        self._values[rows] = values if len(wanted) == len(names) else values[wanted]
        self._there[rows] = True

    def load(self, folder: Path) -> None:
        """Load the missing features from the cache folder; remove damaged or foreign shards."""
        for path in sorted(folder.glob("*.safetensors")) if is_folder(folder) else ():
            names = _names_in(path)
            if names is not None and not any(n in self._row and n not in self for n in names):
                continue
            shard = _shard(path)
            if shard is None:
                print(
                    f"{path} is damaged or of another version; its images are computed again.",
                    file=sys.stderr,
                )
                remove_file(path)
                continue
            self.add(_hexadecimal(shard["sha256"]), shard["features"])

    def taken(self) -> tuple[torch.Tensor, dict[str, int]]:
        """Return the stored features, float16 (n, width), and the row of each checksum.

        The array is returned without a copy; the table cannot be used afterwards.
        """
        if not self._there.any():
            return torch.empty(0, 0), {}
        names = [name for name, there in zip(self._names, self._there, strict=True) if there]
        values, n = self._values, 0
        if len(names) < len(values):  # close the gaps in place
            there = torch.from_numpy(self._there)
            for start in range(0, len(values), _CHUNK):
                part = values[start : start + _CHUNK][there[start : start + _CHUNK]]
                values[n : n + len(part)] = part
                n += len(part)
            values = values[:n]
        return values, {name: row for row, name in enumerate(names)}


def missing_names(folder: Path, wanted: Iterable[str]) -> int:
    """Return how many of the wanted images have no features in a cache folder."""
    rest = set(wanted)
    for path in folder.glob("*.safetensors") if is_folder(folder) else ():
        rest.difference_update(_names_in(path) or ())
    return len(rest)


def write_shard(folder: Path, names: list[str], values: torch.Tensor) -> None:
    """Write features (m, width) and the checksums of their images as one shard."""
    checksums = torch.from_numpy(
        np.frombuffer(bytes.fromhex("".join(names)), dtype=np.uint8).reshape(-1, 32).copy()
    )
    content = safetensors.torch.save(
        {"features": values.contiguous(), "sha256": checksums}, {"format_version": "1"}
    )
    name = hashlib.sha256(content).hexdigest()[:32]
    write_atomic(folder / f"{name}.safetensors", content)


def _names_in(path: Path) -> list[str] | None:
    """Return the checksums in a shard's header, or None if it cannot be read."""
    try:
        with (
            open_regular(path) as opened,
            safe_open(portable.name_of_open(opened.fileno(), path), "pt") as file,
        ):
            return _hexadecimal(file.get_tensor("sha256"))
    except (SafetensorError, OSError):
        return None


def _hexadecimal(checksums: torch.Tensor) -> list[str]:
    text = checksums.numpy().tobytes().hex()
    return [text[at : at + 64] for at in range(0, len(text), 64)]


def _shard(path: Path) -> dict[str, torch.Tensor] | None:
    """Return the tensors of a shard, or None if it is damaged, a link or of another version."""
    try:
        content = read_file(path)
        if hashlib.sha256(content).hexdigest()[:32] != path.stem:
            return None
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        shard = safetensors.torch.load(content)
    except (SafetensorError, ValueError, OSError):
        return None
    version = header.get("__metadata__", {}).get("format_version")
    return shard if version == "1" and shard.keys() == {"features", "sha256"} else None
