"""The positions along the main directions of the features: written, read, refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import UserError
from engine.runs.directions import directions_path, load_directions, save_directions
from engine.runs.run import Run


def test_positions_are_read_as_written(tmp_path):
    run, rng = Run(tmp_path), np.random.default_rng(0)
    positions = rng.normal(size=(50, 7))
    save_directions(run, ["valid"] * 49 + ["test"], [f"é{i}" for i in range(50)], positions)
    found = load_directions(run)
    assert found.id[49].as_py() == "é49" and found.split[49].as_py() == "test"
    assert found.positions.dtype == np.float32
    np.testing.assert_array_equal(found.positions, positions.astype(np.float16))


def test_what_is_no_position_is_refused(tmp_path):
    run = Run(tmp_path)
    with pytest.raises(UserError, match="does not exist; `second-look embed"):
        load_directions(run)
    texts = {"split": ["valid"], "id": ["a"]}
    nan = np.array([np.nan], dtype=np.float16).tobytes()
    for column in (
        pa.array([b"abc"], pa.binary(3)),  # half a number is left
        pa.array([None], pa.binary(2)),
        pa.array([nan], pa.binary(2)),
        pa.array([[1.0]]),
        pa.array(["ab"]),
    ):
        pq.write_table(pa.table({**texts, "position": column}), directions_path(run))
        with pytest.raises(UserError, match="is damaged; `second-look embed"):
            load_directions(run)
    directions_path(run).write_bytes(b"nonsense")
    with pytest.raises(UserError, match="is damaged"):
        load_directions(run)
