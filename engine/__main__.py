"""`python -m engine` is the command line."""

from __future__ import annotations

from engine.cli.main import script

if __name__ == "__main__":
    script()
