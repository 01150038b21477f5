"""The sealed images of a run: a fit does not use them; they are only scored at the end."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from engine.errors import UserError
from engine.runs.files import atomic_path
from engine.runs.images_table import as_frame, read_images
from engine.runs.opening import is_file
from engine.runs.run import Run


def save_sealed(run: Run, images: pd.DataFrame) -> None:
    """Write the table of sealed images, if there are any; columns as in ``images.parquet``."""
    if len(images):
        with atomic_path(sealed_file(run)) as temporary:
            images.to_parquet(temporary, index=False, compression="zstd")


def sealed_images(run: Run) -> pd.DataFrame:
    """Return the sealed images of a run.

    Raises
    ------
    UserError
        When it has none, or the table is damaged.
    """
    if not is_file(sealed_file(run)):
        raise UserError(f"run {run.name} has no sealed images; seal some with fit --sealed N.")
    table = as_frame(read_images(sealed_file(run)))
    return table


def sealed_file(run: Run) -> Path:
    """Return where a run keeps its sealed images."""
    return run.folder / "sealed.parquet"
