"""What may not reach the competition, and what must arrive there unharmed."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard.shared import tables
from dashboard.views.errors.images_csv import csv_of
from engine.model.fit import fit
from engine.runs.run import Run
from engine.runs.run_list import open_run
from tests.support.command_line import Engine
from tests.support.small_fits import home, small_options
from tests.support.tiny_images import image_bytes, kaggle, put

IDS = ["001", "01", "1", "abc", "1e3", "nan", "=1+1", "+2", "-3", "@4", "x y"]
BOUNDS = ("--lower", "0.1", "--upper", "0.9")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Run]]:
    """Return a workspace with a run whose test images have ids that invite misreading."""
    folder = tmp_path_factory.mktemp("submission")
    data = kaggle(folder / "data", train=8, test=0)
    for number, name in enumerate(IDS):
        put(data / "test" / f"{name}.jpg", image_bytes("cat", 700 + number))
    with home(folder / "workspace"):
        yield folder / "workspace", fit(small_options(data, epochs=2)).run


@pytest.fixture(autouse=True)
def workspace(fitted: tuple[Path, Run], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECONDLOOK_HOME", str(fitted[0]))
    return fitted[0]


def sample(tmp_path: Path, *rows: str, header: str = "id,label", end: str = "\n") -> Path:
    return put(tmp_path / "sample.csv", "".join(row + end for row in (header, *rows)).encode())


def rows_of(content: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content)))


def submitted(engine: Engine, tmp_path: Path, run: Run, file: Path) -> str:
    out = tmp_path / "out.csv"
    said = engine("submit", run.name, *BOUNDS, "--sample", file, "--out", out, "--json")
    assert said.code == 0, said
    return out.read_text()


WHOLE = [f"{name},0.5" for name in reversed(IDS)]
BAD_SAMPLES = {
    "a duplicate id": ([*WHOLE, "001,0.5"], "'001'"),
    "a missing id": (WHOLE[1:], "'x y'"),
    "an extra id": ([*WHOLE, "stranger,0.5"], "'stranger'"),
    "an id in other digits": ([*WHOLE[:-1], "0001,0.5"], "'0001'"),
    "no rows": ([], "sample.csv has no rows"),
}


@pytest.mark.parametrize("name", BAD_SAMPLES)
def test_ids_that_do_not_match_are_refused_by_name(name, engine, fitted, tmp_path):
    rows, what = BAD_SAMPLES[name]
    run = fitted[1]
    kept = sorted((run.folder / "submissions").glob("*"))
    said = engine(
        "submit", run.name, "--sample", sample(tmp_path, *rows), "--out", tmp_path / "out.csv"
    )
    assert what in said.refusal
    assert not (tmp_path / "out.csv").exists()
    assert sorted((run.folder / "submissions").glob("*")) == kept


def test_ids_stay_the_text_they_are_in_the_samples_order(engine, fitted, tmp_path):
    header, *rows = rows_of(submitted(engine, tmp_path, fitted[1], sample(tmp_path, *WHOLE)))
    assert header == ["id", "label"]
    assert [row[0] for row in rows] == IDS[::-1]
    p = fitted[1].predictions("test")
    expected = dict(zip(p.ids.to_pylist(), p.probabilities[:, 1].clip(0.1, 0.9), strict=True))
    assert {id: float(text) for id, text in rows} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", ["BOM", "CRLF", "BOM and CRLF", "no last line end", "quotes"])
def test_samples_in_other_spellings_give_the_same_file(form, engine, fitted, tmp_path):
    plain = submitted(engine, tmp_path, fitted[1], sample(tmp_path, *WHOLE))
    text = "\n".join(["id,label", *WHOLE]) + "\n"
    if "CRLF" in form:
        text = text.replace("\n", "\r\n")
    if form == "no last line end":
        text = text.rstrip("\n")
    content = (b"\xef\xbb\xbf" if "BOM" in form else b"") + text.encode()
    if form == "quotes":
        rows = ['"id","label"', *(f'"{row.split(",")[0]}","0.5"' for row in WHOLE)]
        content = "\n".join(rows).encode()
    file = put(tmp_path / "other.csv", content)
    assert submitted(engine, tmp_path, fitted[1], file) == plain


def test_reversed_class_order_is_caught_by_the_names(engine, fitted, tmp_path):
    rows = [f"{id},0.5,0.5" for id in IDS]
    file = sample(tmp_path, *rows, header="id,dog,cat")
    _, *found = rows_of(submitted(engine, tmp_path, fitted[1], file))
    p = fitted[1].predictions("test")
    dog = dict(zip(p.ids.to_pylist(), p.probabilities[:, 1].clip(0.1, 0.9), strict=True))
    for id, first, second in found:
        assert float(first) == pytest.approx(dog[id], abs=1e-6)
        assert float(second) == pytest.approx(1 - dog[id], abs=1e-6)
    said = engine(
        "submit", fitted[1].name, "--sample", sample(tmp_path, *rows, header="id,dog,fox")
    )
    assert "'fox'" in said.refusal and "'cat'" in said.refusal


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.01, 1.01])
def test_what_is_no_probability_is_refused_on_the_way_in_and_on_the_way_out(
    bad, engine, fitted, tmp_path
):
    text = f"id,label,p_cat,p_dog\na,cat,0.5,0.5\nb,dog,{bad},{1 - bad}\n"
    put(tmp_path / "images" / "a.jpg", image_bytes("cat", 1))
    said = engine(
        "import", put(tmp_path / "theirs.csv", text.encode()), "--images", tmp_path / "images"
    )
    assert "theirs.csv" in said.refusal and "'b'" in said.refusal

    path = fitted[1].predictions_path("test")
    whole = path.read_bytes()
    table = pq.read_table(path)
    values = table["p_dog"].to_pylist()
    values[3] = bad
    try:
        pq.write_table(table.set_column(4, "p_dog", pa.array(values)), path)
        said = engine("submit", fitted[1].name, "--out", tmp_path / "out.csv")
    finally:
        path.write_bytes(whole)
    assert str(path) in said.refusal and repr(table["id"][3].as_py()) in said.refusal
    assert not (tmp_path / "out.csv").exists()


def test_what_float32_rounded_to_one_is_clipped(engine, tmp_path):
    near = float(np.float32(1 - 1e-9))
    assert near == 1.0
    rows = ["a,cat,1.0", "b,dog,0.0", f"c,,{near}", "d,,0.0"]
    for row in rows:
        put(tmp_path / "images" / f"{row[0]}.jpg", image_bytes("cat", ord(row[0])))
    file = put(tmp_path / "theirs.csv", "\n".join(["id,label,p_dog", *rows]).encode())
    said = engine("import", file, "--images", tmp_path / "images", "--json")
    assert said.code == 0, said
    run = open_run(json.loads(said.out)["run"])
    assert engine("submit", run.name, *BOUNDS, "--out", tmp_path / "out.csv").code == 0
    _, *written = rows_of((tmp_path / "out.csv").read_text())
    assert [(id, float(text)) for id, text in written] == [("c", 0.9), ("d", 0.1)]
    assert engine("report", run.name).code == 0  # two wrong by all: the log loss stays finite


def test_formulas_are_neutralised_in_exported_lists_and_never_in_the_submission(
    engine, fitted, tmp_path
):
    written = submitted(engine, tmp_path, fitted[1], sample(tmp_path, *WHOLE))
    ids = [row[0] for row in rows_of(written)]
    assert {"=1+1", "+2", "-3", "@4"} < set(ids)

    table = tables.table(fitted[1].name, "test")
    exported = rows_of(csv_of(table, np.arange(len(table))).decode())
    assert {"'=1+1", "'+2", "'-3", "'@4", "abc"} < {row[0] for row in exported}
    assert not [cell for row in exported for cell in row[:4] if cell.startswith(tuple("=+-@"))]


def test_an_out_path_that_cannot_be_written_is_refused(engine, fitted, tmp_path):
    blocked = put(tmp_path / "file", b"") / "out.csv"
    said = engine("submit", fitted[1].name, "--out", blocked)
    assert str(blocked) in said.refusal and os.path.exists(tmp_path / "file")
