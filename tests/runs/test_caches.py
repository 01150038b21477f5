"""Every cache of what was decoded belongs to its decoding rules; earlier ones are swept."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.data.properties import properties_path
from engine.data.thumbnails import thumbnail
from engine.runs import caches
from engine.runs.explanations import explanations_folder
from engine.runs.files import locked
from tests.support.paths import ROOT
from tests.support.small_fits import small_fit
from tests.support.tiny_images import kaggle, put

DAY = 86_400


def old(path: Path, content: bytes = b"old") -> Path:
    put(path, content)
    os.utime(path, (time.time() - DAY,) * 2)
    return path


def test_other_rules_find_nothing_that_was_kept(tmp_path, workspace, monkeypatch):
    data = kaggle(tmp_path / "data", train=6, test=2)
    first = small_fit(data)
    image = data / "train" / "cat.0.jpg"
    sha256 = hashlib.sha256(image.read_bytes()).hexdigest()
    thumbnail(image, sha256)
    kept = [properties_path(), explanations_folder(first.run)]
    assert small_fit(data).forward_passes == 0

    monkeypatch.setattr(caches, "DECODING_RULES", caches.DECODING_RULES + 1)
    monkeypatch.setattr("engine.model.resume.DECODING_RULES", caches.DECODING_RULES)
    second = small_fit(data)
    assert second.forward_passes == first.forward_passes
    assert second.run.config.key != first.run.config.key
    assert second.run.config.inputs_key != first.run.config.inputs_key
    thumbnail(image, sha256)
    assert len(list((workspace / "cache" / "thumbnails").rglob(f"{sha256}.jpg"))) == 2
    assert properties_path() != kept[0] and explanations_folder(first.run) != kept[1]


def test_what_is_out_of_date_is_swept_and_nothing_else(tmp_path, workspace):
    run = small_fit(kaggle(tmp_path / "data", train=6, test=2)).run
    cache = workspace / "cache"
    gone = [
        old(cache / "features" / "vgg16-0123" / "a.safetensors"),
        old(cache / "thumbnails" / "ab" / "ab12.jpg"),
        old(cache / "properties" / "measured.parquet"),
        old(cache / "explanations" / "rules-1" / "run" / "a.png"),
        old(run.folder / ".status.json.x1.tmp"),
        old(cache / "features" / f"rules-{caches.DECODING_RULES}" / ".a.safetensors.x2.tmp"),
    ]
    stays = [
        *(path for path in run.folder.rglob("*") if path.is_file() and path not in gone),
        *(cache / "features" / f"rules-{caches.DECODING_RULES}").rglob("*.safetensors"),
        old(cache / "features" / "rules-99" / "of a newer program.safetensors"),
        old(cache / "archives" / "0123" / "cat.jpg"),
        put(run.folder / ".being written.x3.tmp", b"new"),
        old(workspace / "verdicts" / "verdicts.jsonl"),
    ]
    swept = caches.sweep()
    assert not any(path.exists() for path in gone) and all(path.exists() for path in stays)
    assert swept == caches.Swept(caches=4, temporary=2, bytes=18, in_use=0)
    assert caches.sweep() == caches.Swept(0, 0, 0, 0)


def test_a_cache_in_use_is_left(workspace):
    shard = old(workspace / "cache" / "features" / "vgg16-0123" / "a.safetensors")
    with locked(shard.parent / ".lock"):
        assert caches.sweep().in_use == 1
        assert shard.exists()
    assert caches.sweep().caches == 1
    assert not shard.exists()


def test_no_link_is_followed(workspace, tmp_path):
    outside = old(tmp_path / "outside" / "a.jpg")
    (workspace / "cache" / "thumbnails").mkdir(parents=True)
    (workspace / "cache" / "thumbnails" / "ab").symlink_to(outside.parent)
    assert caches.sweep().caches == 1
    assert outside.exists()


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_says_what_it_freed(workspace, as_json):
    old(workspace / "cache" / "thumbnails" / "ab" / "ab12.jpg", bytes(2_500_000))
    command = [sys.executable, "-m", "engine", "runs", "--clean", *["--json"] * as_json]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    if as_json:
        said = json.loads(done.stdout)
        assert said == {"caches": 1, "temporary": 0, "bytes": 2_500_000, "in_use": 0}
    else:
        assert "Freed 2.5 MB" in done.stdout
