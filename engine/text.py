"""Names from files as text that is safe to show on one line."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return a text on one line, without control characters, whatever a file was named."""
    return "".join(c if c.isprintable() else "�" for c in text)
