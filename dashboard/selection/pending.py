"""The error of what is still being computed for a filter or an order, so that a page waits."""

from __future__ import annotations

from engine.errors import UserError


class Pending(UserError):
    """What a filter or an order needs is being computed by another process."""
