"""Whatever bytes a file holds, it is read or refused in one sentence; nothing crashes or hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from dashboard.shared import tables as shared_tables
from dashboard.views.train import data as train_data
from engine.analysis.report import report
from engine.competition.prepare import prepare_submission
from engine.data.import_predictions import import_run
from engine.data.layouts import find_images
from engine.errors import UserError
from engine.runs import jobs
from engine.runs.run import Run
from engine.runs.run_list import list_runs, open_run
from tests.support.pages import APP
from tests.support.paths import ROOT
from tests.support.run_folders import run_with
from tests.support.small_fits import home
from tests.support.submission_tables import clipped
from tests.support.synthetic_runs import synthetic_run
from tests.support.tiny_images import image_bytes, put

JPEG_CASES = 3000


def test_mutated_jpegs_are_images_or_have_a_reason() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.mutations", str(JPEG_CASES), "0"],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"case {done.stdout.splitlines()[-1:]}: {done.stderr[-500:]}"
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"\n{found}")
    assert found["accepted"] + found["refused"] == JPEG_CASES
    assert min(found["accepted"], found["refused"]) > JPEG_CASES // 10  # the fuzz does fuzz
    assert found["slowest"] < 5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images a.jpg, b.jpg and a workspace with a finished run."""
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("a", "b"):
        put(folder / "images" / f"{name}.jpg", image_bytes("cat", ord(name)))
    with home(folder / "workspace"):
        synthetic_run(folder, n=12, n_test=4)
    return folder


@pytest.fixture(autouse=True)
def workspace(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECONDLOOK_HOME", str(place / "workspace"))
    return place / "workspace"


def refused_or(act: Any, *arguments: Any) -> Any:
    """Return what it returns, or None when it refuses in one sentence."""
    try:
        return act(*arguments)
    except UserError as error:
        said = str(error)
        assert said and "\n" not in said.strip("\n") and len(said) < 3000
        return None


CELLS = st.sampled_from(
    ["", "a", "b", "a.jpg", "b.jpg", "../a.jpg", "/a.jpg", "cat", "dog", "train", "valid", "test",
     "0.5", "1", "0", "nan", "inf", "-1", "1e400", "0,5", '"', "=1", "\0", "\ufeff", "é", " ",
     "None", "999999999999999999999", "x" * 300]
)  # fmt: skip
HEADS = st.sampled_from(
    ["path", "label", "split", "id", "p_cat", "p_dog", "p_", "p", "cat", "dog", "", "path "]
)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Write a CSV that nearly makes sense, or bytes that make none."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.binary(max_size=200))
    width = draw(st.integers(1, 5))
    header = draw(st.lists(HEADS, min_size=width, max_size=width))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6))
    if draw(st.integers(0, 7)) == 0 and rows:
        rows[0] = rows[0][:-1]
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(",".join(row) for row in [header, *rows])
    return text.encode(
        draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])), "replace"
    )


@settings(max_examples=200)
@given(tables())
def test_any_list_of_images_is_read_or_refused(place: Path, content: bytes) -> None:
    file = put(place / "images" / "list.csv", content)
    listing = refused_or(find_images, file)
    if listing is not None:
        assert not listing.images.duplicated(["split", "id"]).any()
        assert set(listing.images["split"]) <= {"train", "valid", "test"}


@settings(max_examples=200)
@given(tables())
def test_any_predictions_are_imported_or_refused(place: Path, content: bytes) -> None:
    (place / "images" / "list.csv").unlink(missing_ok=True)
    file = put(place / "theirs.csv", content)
    with home(place / "imports"):
        run = refused_or(import_run, file, place / "images")
        if run is not None:
            for split in ("valid", "test"):
                if run.predictions_path(split).exists():
                    p = run.predictions(split).probabilities
                    assert np.allclose(p.sum(axis=1), 1) and ((p >= 0) & (p <= 1)).all()


@settings(max_examples=200)
@given(tables())
def test_any_sample_makes_a_submission_that_says_what_is_wrong(place: Path, content: bytes) -> None:
    (run,) = list_runs()
    made = refused_or(
        prepare_submission, run, clipped(0.1, 0.9), put(place / "sample.csv", content)
    )
    if made is not None and made.ok:
        assert sorted(made.ids) == sorted(run.predictions("test").ids.to_pylist())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip
CONFIG = ["format_version", "class_names", "created", "backbone", "data", "root", "n", "valid",
          "positive", "train_counts", "name", "request"]  # fmt: skip
STATUS = ["state", "pid", "updated", "stage", "done", "total", "images_per_second", "message"]


def everything_about(run: Run) -> None:
    """Read a run as every list and page does."""
    refused_or(open_run, run.name)
    refused_or(run.predictions)
    refused_or(lambda: run.images)
    refused_or(lambda: run.quarantine)
    jobs.progress_of(run), run.bounds, run.epochs, jobs.last_log_lines(run)
    assert all(summary.line for summary in shared_tables.summaries())
    train_data.recent_folders()


@settings(max_examples=150)
@example(name="config.json", changes={"valid": [1]}, raw=None)
@example(name="config.json", changes={"valid": {"accuracy": "high"}}, raw=None)
@example(name="status.json", changes={"state": "queued", "updated": None}, raw=None)
@example(name="status.json", changes={"state": "done", "done": "many", "total": {}}, raw=None)
@given(
    name=st.sampled_from(["config.json", "status.json", "bounds.json"]),
    changes=st.dictionaries(st.sampled_from(CONFIG + STATUS), JSON, min_size=1, max_size=3),
    raw=st.none() | st.binary(max_size=60),
)
def test_any_json_of_a_run_is_read_or_refused(
    place: Path, name: str, changes: dict[str, Any], raw: bytes | None
) -> None:
    with home(place / "damaged"):
        run = next(iter(list_runs()), None) or run_with("vgg16", {"class_names": ["a", "b"]})
        path = run.folder / name
        whole = path.read_bytes() if path.exists() else None
        value = {**(json.loads(whole) if whole else {"lower": 0.1, "upper": 0.9}), **changes}
        path.write_bytes(json.dumps(value).encode() if raw is None else raw)
        try:
            everything_about(run)
        finally:
            path.write_bytes(whole) if whole is not None else path.unlink()


FILES = ["predictions/valid.parquet", "predictions/test.parquet", "images.parquet",
         "quarantine.csv", "log.jsonl"]  # fmt: skip


@settings(max_examples=150)
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    st.none() | st.integers(0, 10**6),
)
def test_changed_bytes_in_any_file_of_a_run_are_read_or_refused(
    place: Path, name: str, changes: list[tuple[int, int]], cut: int | None
) -> None:
    (run,) = list_runs()
    path = run.folder / name
    whole = path.read_bytes()
    content = bytearray(whole)
    for at, value in changes:
        content[at % len(content)] = value
    path.write_bytes(content if cut is None else content[: cut % len(content)])
    try:
        everything_about(run)
        if (predictions := refused_or(run.predictions)) is not None:
            refused_or(report, predictions, 2, 0)
        refused_or(prepare_submission, run, clipped(0.1, 0.9))
    finally:
        path.write_bytes(whole)
    assert pq.read_table(run.predictions_path("valid")).num_rows == 12


PARAMETERS = ["run", "show", "true", "predicted", "p", "id", "seed", "page", "picture", "other"]
VALUES = st.text(max_size=20) | st.sampled_from(
    ["all", "most-uncertain", "random-correct", "cat", "dog", "0-1", "0.9-0.1", "1-1", "0.5-0.5",
     "-1", "0", "1", "99999999999", "0000001", "nan", "../..", "<script>alert(1)</script>",
     "![x](http://evil.invalid/x.png)", "latest", "٣", "1e3"]
)  # fmt: skip


@settings(max_examples=25)
@given(
    st.sampled_from(["overview", "errors", "clip", "submit"]),
    st.dictionaries(st.sampled_from(PARAMETERS), VALUES, max_size=5),
)
def test_any_address_shows_a_page(place: Path, page: str, query: dict[str, str]) -> None:
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    app.switch_page(f"views/{page}/page.py").run()
    assert not app.exception and not app.error
    for element in (*app.markdown, *app.caption):
        assert "](http" not in element.value and "<script" not in element.value
