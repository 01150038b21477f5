"""A table of slices with intervals; a click or Enter shows the images of a slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.shared.component import registered

_slice_table = registered(__file__, '<div class="slices"></div>')


def slice_table(rows: Sequence[dict[str, Any]], most: str, *, key: str) -> None:
    """Show slices as rows on a common scale.

    Parameters
    ----------
    rows : name, n, errors, loss and rest, all as text; marked, whether it is significant; images,
        addresses of thumbnails; at: value, low, high and rest in percent of the scale; and address,
        the parameters of Errors that show its images
    most : text at the end of the scale
    key : name of the widget
    """
    _slice_table(key=key, data={"rows": list(rows), "most": most})
