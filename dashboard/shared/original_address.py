"""The address at which the original file of an image is served."""

from __future__ import annotations

from urllib.parse import urlencode

from dashboard.shared.tables import Key

ORIGINALS = "_original"


def original_address(key: Key, image: str) -> str:
    """Return the address of an image's file, relative to that of the dashboard."""
    return f"{ORIGINALS}?{urlencode({'run': key[0], 'split': key[1], 'id': image})}"
