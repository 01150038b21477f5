"""A table whose columns are text, found by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from engine.data.split_words import words
from engine.errors import UserError, first_ten


@dataclass(frozen=True)
class Table:
    """A table as text: its file, its columns' names, and the columns."""

    file: Path
    header: tuple[str, ...]
    columns: list[pa.StringArray]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0]) if self.columns else 0

    def column(self, name: str) -> pa.StringArray:
        """Return a column by its name."""
        return self.columns[self.header.index(name)]

    def named(self, name: str, option: str) -> str:
        """Return the column that the user named.

        Raises
        ------
        UserError
            When there is none; the message lists the columns.
        """
        for header in self.header:
            if header == name or plain(header) == plain(name):
                return header
        raise UserError(f"{option} {name} is not a column of {self.file}; it has {self.shown}.")

    @property
    def shown(self) -> str:
        """Return the columns' names for a message."""
        return first_ten(list(self.header))


def plain(name: str) -> str:
    """Return a column's name as lower-case words joined by ``_``."""
    return "_".join(words(name)) if name.strip() else ""


def is_number(text: str) -> bool:
    """Return whether Python reads the text as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
