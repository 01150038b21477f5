"""Run folders as strangers might send them: every file mutated, cut, replaced or made of lies."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.runs.run import Run

FILES = [
    "config.json", "status.json", "bounds.json", "log.jsonl", "fit.log", "images.parquet",
    "quarantine.csv", "predictions/valid.parquet", "predictions/test.parquet",
    "submissions/20260301T120000Z.json", "submissions/20260301T120000Z.csv", "triage.parquet",
    "triage.log", "map-pca.parquet", "map-pca.json", "cancel", ".lock",
]  # fmt: skip
DEEP = b"[" * 100_000
VALUES: list[Any] = [
    None, True, 5, -1, 2**62, 1e300, "", "x" * 5000, "../../secret", "/etc/passwd", "\0", "\u202e",
    [], [1], {}, {"a": 1}, [[[[[]]]]], "http://evil.invalid/", "<script>alert(1)</script>",
]  # fmt: skip


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else in a file's place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    if path.parent.is_symlink():
        path.parent.unlink()
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)


def huge(path: Path) -> None:
    """Make a file of a terabyte that takes no space."""
    path.touch()
    os.truncate(path, 2**40)


def spoil(run: Run, secret: Path, rng: random.Random) -> str:
    """Spoil one thing of a run; return what was done."""
    name = rng.choice(FILES)
    path = run.folder / name
    kinds: dict[str, Callable[[], object]] = {
        "bytes": lambda: _changed(path, rng),
        "cut": lambda: _cut(path, rng),
        "value": lambda: _value(path, rng),
        "column": lambda: _column(path, rng),
        "link": lambda: replaced(path, lambda at: at.symlink_to(secret)),
        "device": lambda: replaced(path, lambda at: at.symlink_to("/dev/zero")),
        "pipe": lambda: replaced(path, os.mkfifo),
        "folder": lambda: replaced(path, Path.mkdir),
        "huge": lambda: replaced(path, huge),
        "deep": lambda: replaced(path, lambda at: at.write_bytes(DEEP)),
        "linked folder": lambda: _linked_folder(path, secret, run),
    }
    kind = rng.choice(list(kinds))
    kinds[kind]()
    return f"{kind} of {name}"


def _is_plain(path: Path) -> bool:
    """Tell whether an earlier change has left a small file there, which no link leads to."""
    linked = path.is_symlink() or path.parent.is_symlink()
    return not linked and path.is_file() and path.stat().st_size < 2**20


def _changed(path: Path, rng: random.Random) -> None:
    if _is_plain(path) and (content := bytearray(path.read_bytes())):
        for _ in range(rng.randrange(1, 6)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)


def _cut(path: Path, rng: random.Random) -> None:
    if _is_plain(path):
        content = path.read_bytes()
        path.write_bytes(content[: rng.randrange(len(content) + 1)])


def _value(path: Path, rng: random.Random) -> None:
    """Replace a value of a JSON file, at any depth, or add one."""
    if path.suffix != ".json" or not _is_plain(path):
        return
    try:
        whole = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):  # a file spoiled before
        whole = {}
    at = whole
    while isinstance(at, dict) and at:
        key = rng.choice(list(at))
        if not isinstance(at[key], dict) or rng.random() < 0.5:
            at[key] = rng.choice(VALUES)
            break
        at = at[key]
    text = json.dumps(whole)
    replaced(path, lambda file: file.write_text(text.replace("1e+300", "Infinity")))


def _column(path: Path, rng: random.Random) -> None:
    """Give a column of a table other values."""
    if path.suffix != ".parquet" or not _is_plain(path):
        return
    try:
        table = pq.read_table(path)
        at = rng.randrange(table.num_columns)
        lies = [
            pa.array(["/etc/passwd"] * len(table)), pa.array([2**60] * len(table)),
            pa.array([float("nan")] * len(table)), pa.nulls(len(table)),
            pa.array([b"\xff\xfe"] * len(table)), pa.array([["a"]] * len(table)),
            pa.array([b"\xff"] * len(table)).cast(pa.string(), safe=False),
        ]  # fmt: skip
        table = table.set_column(at, table.column_names[at], rng.choice(lies))
        pq.write_table(table.slice(0, rng.choice([0, 1, len(table)])), path)
    except (OSError, ValueError, pa.ArrowException):
        path.write_bytes(b"PAR1")


def _linked_folder(path: Path, secret: Path, run: Run) -> None:
    folder = path.parent
    if folder != run.folder:
        replaced(folder, lambda at: at.symlink_to(secret.parent))
