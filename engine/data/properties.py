"""Measures images without a model: brightness, contrast, sharpness and sizes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from engine.data.decode_turns import decode_turn, read_turn
from engine.data.formats import Unreadable
from engine.data.headers import opened, reason_of
from engine.data.pixels import is_plain, rgb
from engine.errors import UserError
from engine.runs.caches import decoded_cache
from engine.runs.files import atomic_path, locked
from engine.runs.opening import read_file
from engine.runs.parquet_files import open_parquet
from engine.runs.run import OUT_OF_FOLD, Run
from engine.runs.training_images import TRAINING, training_labels
from engine.runs.verdict_effects import given_labels
from engine.runs.verdicts import load_verdicts

MEASURED = ("brightness", "contrast", "sharpness")
SIDE = 224  # length in pixels of the shorter side of the measured copy
MOST = 25_000  # most images of a table that are measured
_AT_ONCE = 2048  # images between two writes; a killed process loses at most this many

Progress = Callable[[str, int, int], None]


def image_properties(
    run: Run, split: str, ids: pa.StringArray, progress: Progress | None = None
) -> pd.DataFrame:
    """Return the properties of images, one row per id, in the order of the ids.

    Columns: brightness, contrast and sharpness (see :func:`measure`), pixels (their number),
    aspect (width over height), bytes, and the cause given in verdicts; nan or None where unknown.
    Images that were not measured before are measured now, in threads; results are cached by
    content.

    Parameters
    ----------
    split : valid, or folds for the images of train and valid

    Raises
    ------
    UserError
        If the images table is damaged or the cache cannot be written.
    """
    facts = facts_of(run, split, ids)
    measure_all(run.data_root, facts, unmeasured(facts), progress)
    return with_measures(facts)


def measure_split(run: Run, split: str, progress: Progress | None = None) -> None:
    """Measure the images of a split that were not measured before, at most a sample of them.

    Parameters
    ----------
    split : train, or a split that the run has predicted

    Raises
    ------
    UserError
        If the run has no such images, its tables are damaged or the cache cannot be written.
    """
    listed = training_labels(run) if split == TRAINING else run.predictions(split)
    ids = listed.ids.take(pa.array(sample_rows(len(listed))))
    facts = facts_of(run, split, ids)
    measure_all(run.data_root, facts, unmeasured(facts), progress)


def sample_rows(n: int) -> np.ndarray:
    """Return the positions of the images to measure, ascending: all, or a random 25,000 of n."""
    if n <= MOST:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, MOST, replace=False))


def facts_of(run: Run, split: str, ids: pa.StringArray) -> pd.DataFrame:
    """Return path, sha256, given label, pixels, aspect and bytes of the images with these ids.

    Raises
    ------
    UserError
        If the images table is damaged.
    """
    images = run.images
    if not {"split", "id", "path", "sha256", "label", "width", "height", "bytes"} <= {*images}:
        raise UserError(
            f"{run.folder / 'images.parquet'} is damaged: a column is missing; restore it, or fit "
            "again."
        )
    chosen = images[images["split"] != "test"] if split in OUT_OF_FOLD else (
        images[images["split"] == split]
    )  # fmt: skip
    found = chosen.drop_duplicates("id").set_index("id").reindex(ids.to_pylist())
    return facts_in(found.reset_index(drop=True))


def facts_in(found: pd.DataFrame) -> pd.DataFrame:
    """Return the same columns from rows of the images table.

    Parameters
    ----------
    found : rows of the images table
    """
    width, height = found["width"].astype(float), found["height"].astype(float)
    return found[["path", "sha256"]].assign(
        given=given_labels(found),
        pixels=width * height,
        aspect=width / height.where(height > 0),
        bytes=found["bytes"].astype(float),
    )


def unmeasured(facts: pd.DataFrame) -> set[str]:
    """Return the sha256 of the images that have not been measured.

    Parameters
    ----------
    facts : as `facts_of` returns them
    """
    wanted = pa.array(facts["sha256"].dropna().unique(), pa.string())
    known = pc.is_in(wanted, _kept()["sha256"].combine_chunks())
    return set(wanted.filter(pc.invert(known)).to_pylist())


def with_measures(facts: pd.DataFrame) -> pd.DataFrame:
    """Add the measurements and the causes given in verdicts to the facts, and drop the keys."""
    kept = _kept()
    at = pc.index_in(pa.array(facts["sha256"], pa.string()), kept["sha256"].combine_chunks())
    verdicts = load_verdicts()
    columns = {name: np.asarray(kept[name].take(at), dtype=np.float64) for name in MEASURED}
    sizes = {name: facts[name].to_numpy() for name in ("pixels", "aspect", "bytes")}
    said = map(verdicts.of, facts["sha256"], facts["given"])
    cause = np.array([one.cause or None if one else None for one in said], dtype=object)
    return pd.DataFrame({**columns, **sizes, "cause": cause})


def measure_all(
    root: Path, facts: pd.DataFrame, wanted: set[str], progress: Progress | None = None
) -> None:
    """Measure the images with these checksums, and save each part when it is finished.

    An image that is missing, changed or cannot be decoded gets no measurements.

    Parameters
    ----------
    root : folder that paths are relative to
    facts : as `facts_of` returns them
    wanted : checksums of the images to measure
    """
    todo = facts[facts["sha256"].isin(list(wanted))].drop_duplicates("sha256")
    files = list(zip(todo["path"], todo["sha256"], strict=True))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(files), _AT_ONCE):
            part = files[start : start + _AT_ONCE]
            rows = []
            for found in pool.map(lambda file: _measured(root, *file), part):
                rows.append(found)
                done = start + len(rows)
                if progress and (done % 64 == 0 or done == len(files)):
                    progress("measure", done, len(files))
            _keep(rows)


def properties_path() -> Path:
    """Return the path of the measurements, shared by all runs."""
    return decoded_cache("properties") / "measured.parquet"


def measure(content: bytes) -> tuple[float, float, float]:
    """Measure one image on a grey copy whose shorter side has at most 224 pixels.

    Returns
    -------
    brightness : mean grey level, 0 (black) to 1 (white)
    contrast : standard deviation of the grey levels, 0 to 0.5
    sharpness : variance of the Laplacian of the grey levels; low for blurred images.
        Pech-Pacheco and others (2000), Diatom autofocusing in brightfield microscopy.

    Raises
    ------
    Unreadable
        If the image cannot be decoded.
    """
    try:
        with opened(content) as image:
            if is_plain(image):
                image.draft("L", (SIDE, SIDE))  # decode at the smallest sufficient size
            with decode_turn(image.width * image.height):
                grey = image if is_plain(image) and image.mode == "L" else rgb(image).convert("L")
                scale = min(1.0, SIDE / min(grey.size))
                width, height = (min(4 * SIDE, max(1, round(side * scale))) for side in grey.size)
                small = ImageOps.fit(grey, (width, height), Image.Resampling.BILINEAR)
            levels = np.asarray(small, dtype=np.float32) / np.float32(255)  # (height, width)
    except Unreadable:
        raise
    except Exception as error:  # Pillow's plug-ins raise many kinds of errors on damaged pixels
        raise Unreadable(reason_of(error)) from error
    return float(levels.mean()), float(levels.std()), _sharpness(levels)


def _sharpness(levels: np.ndarray) -> float:
    if min(levels.shape) < 3:
        return 0.0
    inner = levels[1:-1, 1:-1]
    around = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:]
    return float((around - 4 * inner).var())


def _measured(root: Path, path: str, sha256: str) -> tuple[str, float, float, float] | None:
    try:
        with read_turn(root / path):
            content = read_file(root / path)
            if hashlib.sha256(content).hexdigest() != sha256:  # changed since the run
                return None
            return sha256, *measure(content)
    except (OSError, ValueError, Unreadable):
        return None


def _kept() -> pa.Table:
    try:
        with open_parquet(properties_path()) as file:
            table = pq.read_table(file)
        if table.schema.equals(_SCHEMA):
            return table
    except (OSError, pa.ArrowException, UserError):
        pass  # missing or damaged: measure again
    return _SCHEMA.empty_table()


def _keep(rows: Sequence[tuple[str, float, float, float] | None]) -> None:
    """Add rows to the cache without losing those that another process added in the meantime."""
    made = [dict(zip(_SCHEMA.names, row, strict=True)) for row in rows if row is not None]
    added = pa.Table.from_pylist(made, _SCHEMA)
    path = properties_path()
    with locked(path.parent / ".lock"):
        kept = _kept()
        new = pc.invert(pc.is_in(added["sha256"], kept["sha256"].combine_chunks()))
        with atomic_path(path) as temporary:
            joined = pa.concat_tables([kept, added.filter(new)])
            pq.write_table(joined, temporary, compression="zstd")


_SCHEMA = pa.schema([("sha256", pa.string()), *((name, pa.float64()) for name in MEASURED)])
