"""The original file of an image, at an address of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dashboard.server.original_file import answer as _answer
from tests.support.paths import ROOT


def test_the_file_of_an_image_is_sent_as_it_is(make_run):
    run = make_run(n=60)
    predictions = run.predictions("valid")
    answer = _answer(run.name, "valid", predictions.ids[3].as_py())
    file = run.data_root / predictions.paths[3].as_py()
    assert answer.status_code == 200 and answer.body == file.read_bytes()
    assert answer.media_type == "image/jpeg"
    assert answer.headers["content-disposition"].startswith("inline")
    file.write_bytes(b"<script>alert(1)</script>")
    answer = _answer(run.name, "valid", predictions.ids[3].as_py())
    assert answer.status_code == 404 and b"has changed since the run read it" in answer.body


@pytest.mark.parametrize(
    ("split", "image", "said"),
    [("valid", "../config.json", "no image"), ("../..", "0000000", ""), ("train", "0", "")],
)
def test_nothing_else_is_sent(make_run, split, image, said):
    answer = _answer(make_run(n=60).name, split, image)
    assert answer.status_code == 404 and said in bytes(answer.body).decode()


def test_the_server_starts_without_streamlits_warning_of_its_caches():
    code = "import dashboard.app"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
