"""What a command says, and what a refusal has to look like."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SMALL = [
    "--backbone", "squeezenet1_1", "--weights", "none", "--image-size", "32", "--epochs", "2",
    "--precision", "float32", "--device", "cpu", "--batch-size", "8",
]  # fmt: skip
UNWEIGHTED = SMALL[:2] + SMALL[4:]


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """Return the one line of a refusal; fails on anything else.

        A fit may have printed what it reads, as `inspect` does, before it was refused.
        """
        assert self.code == 1 and (not self.out or "\nlabels: " in self.out), self
        assert self.err.startswith("Error: ") and self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err and "SECONDLOOK_TRACEBACK" not in self.err, self.err
        return self.err


Engine = Callable[..., Said]


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, time and content of everything in a folder, links as links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        content = os.readlink(path) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = (info.st_mode, info.st_mtime_ns, content)
    return found
