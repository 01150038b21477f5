"""Slices of the images, each a dot with its interval; a click or Enter opens its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashboard.shared.component import registered

_slice_table = registered(__file__, '<div class="slices"></div>')


def slice_table(
    rows: Sequence[dict[str, Any]], most: str, *, key: str, opened: Callable[[], None]
) -> None:
    """Show slices below one another on a common scale.

    Parameters
    ----------
    rows : name, n, errors, loss and label, all text; marked, whether it stands out; and at: value,
        low, high and rest in percent of the scale
    most : what the end of the scale stands for
    key : name of the widget; ``opened`` reads the row's place there under ``open``
    """
    _slice_table(key=key, data={"rows": list(rows), "most": most}, on_open_change=opened)
