"""Stores explanations of images, by run, weights and image."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.runs.caches import decoded_cache
from engine.runs.files import read_json, write_json
from engine.runs.opening import is_file
from engine.runs.run import Run

FORMAT_VERSION = 2


def explanations_folder(run: Run) -> Path:
    """Return the folder with a run's explanations, which depends on the weights.

    Raises
    ------
    UserError
        If the run has no model, because it is imported or its fit did not finish.
    """
    checksum = run.config.head_sha256
    if checksum is None:
        raise UserError(
            f"run {run.name} has no model, because it is imported or its fit did not finish."
        )
    key = hashlib.sha256(checksum.encode()).hexdigest()[:12]
    return decoded_cache("explanations") / f"{run.name}-{key}"


def load_explanation(run: Run, split: str, image: str, sha256: str) -> dict[str, Any] | None:
    """Return the stored explanation of an image, or None if it or one of its files is missing.

    Raises
    ------
    UserError
        If the run has no model.
    """
    path = _path(run, split, image, sha256)
    try:
        found = read_json(path)
    except UserError:
        return None
    try:
        whole = found.pop("format_version") == FORMAT_VERSION
        there = all(_is_ours(run, Path(each["file"])) for each in found["maps"])
    except (KeyError, TypeError):
        return None
    return found if whole and there else None


def _is_ours(run: Run, file: Path) -> bool:
    return file.parent == explanations_folder(run) and is_file(file)


def save_explanation(run: Run, found: dict[str, Any]) -> None:
    """Save the explanation of an image: split, id, sha256, maps and further entries."""
    path = _path(run, found["split"], found["id"], found["sha256"])
    write_json(path, {"format_version": FORMAT_VERSION, **found})


def _path(run: Run, split: str, image: str, sha256: str) -> Path:
    # Ids and checksums from a table are untrusted text and must not become part of a path.
    name = hashlib.sha256(json.dumps([split, image, sha256]).encode()).hexdigest()
    return explanations_folder(run) / f"{name}.json"
