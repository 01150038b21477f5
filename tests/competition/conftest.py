from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def sample(tmp_path: Path):
    def write(content: str | bytes) -> Path:
        path = tmp_path / "sample_submission.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
