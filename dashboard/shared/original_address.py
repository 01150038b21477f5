"""The address at which the original file of an image is served."""

from __future__ import annotations

from urllib.parse import urlencode

ORIGINALS = "_original"


def original_address(run: str, split: str, image: str) -> str:
    """Return the address of an image's file, relative to that of the dashboard."""
    return f"{ORIGINALS}?{urlencode({'run': run, 'split': split, 'id': image})}"
