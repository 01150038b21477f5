"""The token of the dashboard: how the server gets it, and which tokens are accepted."""

from __future__ import annotations

import re

from engine.errors import UserError

TOKEN, ONCE = "SECONDLOOK_TOKEN", "SECONDLOOK_TOKEN_ONCE"
_SHORTEST = 16


def chosen_token(given: str) -> str:
    """Return the token that the dashboard asks for, '' for none.

    Raises
    ------
    UserError
        If it is too short, or has characters that are not allowed in an address.
    """
    if given in ("", "none"):
        return ""
    if len(given) < _SHORTEST or not re.fullmatch(r"[A-Za-z0-9_-]+", given):
        raise UserError(
            f"${TOKEN} must be none, or have at least {_SHORTEST} letters, digits, - and _."
        )
    return given
