"""Images of one given group and copies belong together; where there are none, nothing does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine.data.image_groups import image_groups
from engine.library.run_list import opened
from engine.runs.run import Run
from tests.support.synthetic_runs import synthetic_run


def saved(run: Run, **columns: object) -> None:
    run.save_tables(run.images.assign(**columns), run.quarantine)


@pytest.fixture
def run(home) -> Run:
    return synthetic_run(home, n=60, n_test=10, distinct=60)


def test_without_copies_and_groups_each_image_is_its_own(run):
    assert image_groups(run, "valid", run.predictions("valid")) is None
    assert image_groups(run, "other", run.predictions("valid")) is None


def test_copies_and_given_groups_count_once(run):
    images = run.images
    valid = np.flatnonzero(images["split"] == "valid")
    group = pd.Series([None] * len(images), dtype=object)
    group[valid[:6]] = "p1"
    sha256 = images["sha256"].copy()
    sha256[valid[5:8]] = "f" * 64
    saved(run, group=group, sha256=sha256)
    table = run.predictions("valid")
    groups = image_groups(run, "valid", table)
    assert groups is not None
    ids = images["id"].iloc[valid[:8]].tolist()
    of = dict(zip(table.ids.to_pylist(), groups.tolist(), strict=True))
    assert len({of[id] for id in ids}) == 1 and groups.max() + 1 == 53
    found = opened(run).report()
    assert (found.n, found.n_groups) == (60, 53) and "60 images in 53 groups" in repr(found)


def test_images_of_unknown_content_are_no_copies(run):
    saved(run, sha256=None)
    assert image_groups(run, "valid", run.predictions("valid")) is None


def test_near_identical_images_count_once(run):
    valid = np.flatnonzero(run.images["split"] == "valid")
    near, group = (pd.Series([None] * len(run.images), dtype=object) for _ in range(2))
    near[valid[:3]], near[valid[10:12]] = "7", "8"
    group[valid[2:5]] = "p1"  # shares an image with the first set
    saved(run, near_duplicate=near, group=group)
    groups = image_groups(run, "valid", run.predictions("valid"))
    assert groups is not None and groups.max() + 1 == 60 - 4 - 1
    assert "60 images in 55 groups" in repr(opened(run).report())
