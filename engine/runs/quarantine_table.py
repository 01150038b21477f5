"""The table of images that cannot be read: path, reason, id, split, label; written as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd

from engine.errors import UserError
from engine.runs.opening import read_file

_MOST_BYTES = 2**28


def as_csv(quarantine: pd.DataFrame) -> bytes:
    """Return the table as CSV in UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # its own line ends, or it leaves those in names unquoted
    writer.writerow(quarantine.columns)
    writer.writerows(
        ["" if pd.isna(value) else value for value in row]
        for row in quarantine.itertuples(index=False, name=None)
    )
    return text.getvalue().encode("utf-8", "backslashreplace")


def read_quarantine(path: Path) -> pd.DataFrame:
    """Read the table, all text.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    try:
        content = io.BytesIO(read_file(path, _MOST_BYTES))
        table = pd.read_csv(content, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged; restore it, or fit again.") from error
    if not {"path", "reason", "id", "split", "label"} <= set(table.columns):
        raise UserError(f"{path} is damaged: a column is missing; restore it, or fit again.")
    return table
