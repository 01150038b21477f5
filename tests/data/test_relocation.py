"""Moved images are found again by sizes and checksums, and nothing else is taken for them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.data.relocation import moved_from, relocate
from engine.errors import UserError
from engine.runs.run import Run
from tests.support.synthetic_runs import synthetic_run


@pytest.fixture
def run(workspace: Path, tmp_path: Path) -> Run:
    return synthetic_run(tmp_path, n=8, n_test=4, distinct=8)


def paths(run: Run) -> list[Path]:
    return [run.data_root / path for path in run.images["path"]]


@pytest.mark.parametrize("named", ["elsewhere/images", "elsewhere"])
def test_moved_images_are_found(run, tmp_path, named):
    old = run.data_root
    assert moved_from(run) is None
    new = tmp_path / "elsewhere" / "images"
    new.parent.mkdir()
    old.rename(new)
    assert moved_from(run) == old
    found = relocate(run, tmp_path / named)
    assert (found.root, found.n, found.missing, found.checked) == (str(new), 12, 0, 12)
    assert "none is missing" in found.sentence
    assert moved_from(run) is None and all(path.is_file() for path in paths(run))
    assert run.config.data == str(new)


def test_the_data_folder_is_known_by_what_lies_in_it(run, tmp_path):
    old = run.data_root
    run.update_config(root=str(old / "train"), data=str(old))
    images = run.images
    run.save_tables(images.assign(path=images["path"].str.removeprefix("train/")), run.quarantine)
    old.rename(tmp_path / "moved")
    assert relocate(run, tmp_path / "moved").root == str(tmp_path / "moved" / "train")
    assert run.config.data == str(tmp_path / "moved")


def test_other_images_are_refused_and_the_run_stays(run, tmp_path):
    old, before = run.data_root, run.config
    copy = tmp_path / "copy"
    shutil.copytree(old, copy)
    content = bytearray(paths(run)[0].read_bytes())
    content[-3] ^= 1
    (copy / run.images["path"].iloc[0]).write_bytes(content)  # of the same size
    with pytest.raises(UserError, match=r"differ from those that the run read: 'train/image"):
        relocate(run, copy)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no image of run .* 'train/image"):
        relocate(run, tmp_path / "empty")
    with pytest.raises(UserError, match="is not a folder"):
        relocate(run, tmp_path / "nowhere")
    for path in (copy / "train").iterdir():
        path.unlink()
    shutil.copy(paths(run)[1], copy / "train")
    with pytest.raises(UserError, match=r"fewer than the 12 in .*; the run continues to use"):
        relocate(run, copy)
    assert run.config == before


def test_what_is_missing_is_counted(run, tmp_path):
    new = tmp_path / "new"
    run.data_root.rename(new)
    (new / run.images["path"].iloc[0]).unlink()
    found = relocate(run, new)
    assert found.missing == 2 and "2 are missing" in found.sentence  # two rows share the file
