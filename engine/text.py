"""Text for people: names from files that are safe on one line, and durations."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return a text on one line, without control characters, whatever a file was named."""
    return "".join(c if c.isprintable() else "�" for c in text)


def duration(seconds: float) -> str:
    """Return a duration with a suitable unit."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
