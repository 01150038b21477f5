"""Predictions of other tools: each form once, and whatever is wrong named."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import UserError
from engine.runs.csv_text import names_and_stems
from engine.runs.prediction_files import save_predictions
from engine.runs.prediction_table import read_predictions_table
from engine.runs.predictions import UNKNOWN, make_predictions


@pytest.fixture
def table(tmp_path: Path):
    def write(content: str | bytes, name: str = "p.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal_of(path: Path) -> str:
    with pytest.raises(UserError) as refusal:
        read_predictions_table(path)
    message = str(refusal.value)
    assert str(path) in message and "\n" not in message and message.endswith(".")
    return message


def test_a_column_a_class_with_ids_paths_and_labels(table):
    path = table(
        "label,p_dog,id,path,p_cat,note\n"
        "dog,0.75,001,a/x.jpg,0.25,hello\n"
        ",0.5,abc,,0.5,\n"
        "cat,1e-3,10,b/y.jpg,0.999,\n"
    )
    read = read_predictions_table(path)
    found = read.predictions
    assert read.paths_given
    assert found.class_names == ("cat", "dog")
    assert found.ids.to_pylist() == ["001", "10", "abc"]
    assert found.paths.to_pylist() == ["a/x.jpg", "b/y.jpg", "abc"]
    assert found.y_true.tolist() == [1, 0, UNKNOWN]
    assert found.probabilities.tolist() == [[0.25, 0.75], [0.999, 0.001], [0.5, 0.5]]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfid,cat,dog\n1,0.25,0.75\n",
        b"id,cat,dog\r\n1,0.25,0.75\r\n",
        b'"id","cat","dog"\n"1","0.25","0.75"',
        b'"id", "cat", "dog"\n"1", "0.25", "0.75"\n',
        b"id, dog , cat\n1, 0.75 ,.25\n",
        b",id,dog,cat\n0,1,0.75,0.25\n",
        b"path,cat,dog\ntest/1.jpg,0.25,0.75\n",
        b"path,cat,dog\ntest\\1.jpg,0.25,0.75\n",
    ],
)
def test_every_form_with_bare_class_names_reads_alike(table, content):
    read = read_predictions_table(table(content))
    found = read.predictions
    assert read.paths_given == content.startswith(b"path")
    assert found.ids.to_pylist() == ["1"] and found.class_names == ("cat", "dog")
    assert found.probabilities.tolist() == [[0.25, 0.75]]
    assert found.y_true.tolist() == [UNKNOWN]


def test_ids_may_hold_commas_quotes_and_newlines(table):
    ids = ["a,b", 'say "x"', "two\r\nlines"]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["id", "a", "b"], *([i, "0.5", "0.5"] for i in ids)])
    assert read_predictions_table(table(text.getvalue())).predictions.ids.to_pylist() == ids


@pytest.mark.parametrize("column", ["p", "prob", "probability", "score", "p_positive", "P", "dog"])
def test_one_column_is_the_second_of_the_two_labels(table, column):
    found = read_predictions_table(table(f"id,label,{column}\n1,dog,0.75\n2,cat,0\n")).predictions
    assert found.class_names == ("cat", "dog")
    assert found.probabilities.tolist() == [[0.25, 0.75], [1.0, 0.0]]
    assert found.y_true.tolist() == [1, 0]


def test_one_named_column_is_that_class(table):
    found = read_predictions_table(table("id,label,p_cat\n1,dog,0.75\n2,cat,0\n")).predictions
    assert found.class_names == ("cat", "dog")
    assert found.probabilities.tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_numbered_columns_are_sorted_as_text_and_labels_are_their_numbers(table):
    p = np.eye(11) * 0.89 + 0.01
    lines = [f"{i},{i}," + ",".join(map(str, row.tolist())) for i, row in enumerate(p)]
    header = "id,label," + ",".join(f"p_{i}" for i in range(11))
    found = read_predictions_table(table("\n".join([header, *lines]))).predictions
    assert found.class_names == tuple(sorted(map(str, range(11))))
    assert [found.class_names[i] for i in found.y_true] == found.ids.to_pylist()
    assert (found.y_pred == found.y_true).all()


def test_pandas_labels_with_gaps_are_read_as_whole_numbers(tmp_path):
    frame = pd.DataFrame(
        {"id": [7, 8, 9], "label": [1, None, 0], "p_0": np.float32([0.3, 0.5, 0.9])}
    )
    frame["p_1"] = 1 - frame["p_0"]
    frame.to_csv(tmp_path / "p.csv")
    frame.to_parquet(tmp_path / "p.parquet")
    for name in ("p.csv", "p.parquet"):
        found = read_predictions_table(tmp_path / name).predictions
        assert found.ids.to_pylist() == ["7", "8", "9"]
        assert found.y_true.tolist() == [1, UNKNOWN, 0]


def test_parquet_is_told_by_its_content(tmp_path, table):
    columns = {"id": ["001", "b"], "label": ["x", None], "p_x": [1, 0], "p_y": [0.0, 1.0]}
    pq.write_table(pa.table(columns), tmp_path / "p.csv")
    found = read_predictions_table(tmp_path / "p.csv").predictions
    assert found.ids.to_pylist() == ["001", "b"] and found.y_true.tolist() == [0, UNKNOWN]
    assert "damaged" in refusal_of(table("id,a,b\n1,0.5,0.5\n", "text.parquet"))
    assert "damaged" in refusal_of(table(b"PAR1 and then nothing", "half.parquet"))


def test_rounded_rows_are_normalised_in_float64(table):
    p = np.array([[0.3333, 0.3333, 0.3333], [0.2, 0.3, 0.5]])
    lines = [f"{i},{a},{b},{c}" for i, (a, b, c) in enumerate(p.tolist())]
    found = read_predictions_table(table("\n".join(["id,a,b,c", *lines]))).predictions
    np.testing.assert_allclose(found.probabilities[0], 1 / 3, rtol=1e-15)
    assert found.probabilities[1].tolist() == [0.2, 0.3, 0.5]


def test_rows_that_do_not_add_up_are_refused(table):
    message = refusal_of(table("id,a,b\nx,0.5,0.502\ny,0.5,0.5\nz,0.2,0.2\n"))
    assert "sum to 1" in message and "'x', 'z'" in message and "'y'" not in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cannot be read"),
        ("id,a,b\n", "no rows"),
        ("id,a,b\n1,0.5\n", "cannot be read"),
        (b"id,a,b\n\xff,0.5,0.5\n", "cannot be read"),
        (b"\xff\xfei\0d\0,\0a\0\n", "cannot be read"),
        ("a,b\n0.5,0.5\n", "needs a column 'id' or 'path'"),
        ("id,label\n1,cat\n", "needs one column p_<class> per class"),
        ("id,p,score\n1,0.5,0.5\n", "more than one: 'p', 'score'"),
        ("id,p\n1,0.5\n", "one probability column, 'p'"),
        ("id,p_dog\n1,0.5\n", "one probability column, 'p_dog'"),
        ("id,label,p\n1,a,0.5\n2,b,0.5\n3,c,0.5\n", "names its two classes"),
        ("id,label,p\n1,a,0.5\n2,a,0.5\n", "names its two classes"),
        ("id,label,p_c\n1,a,0.5\n2,b,0.5\n", "names its two classes"),
        ("id,p_,p_a\n1,0.5,0.5\n", "'p_' without a class"),
        ("id,a,a\n1,0.5,0.5\n", "more than one column called 'a'"),
        ("id,a,b\n1,0.5,0.5\n2,0.5,0.5\n1,0.5,0.5\n", "more than once: '1'"),
        ("id,a,b\n1,0.5,0.5\n,0.5,0.5\n", "no id in row '2'"),
        ("path,a,b\nx/,0.5,0.5\n", "no id in row '1'"),
        ("id,a,b\n1,0.5,0.5\n2,nan,0.5\n", "'a' has no number for ids '2'"),
        ("id,a,b\n1,0.5,\n2,0.5,0.5\n", "'b' has no number for ids '1'"),
        ("id,a,b\n1,0.5,inf\n", "'b' has no number for ids '1'"),
        ("id,a,note\n1,0.5,good\n", "'note' has no number for ids '1'"),
        ("id,a,b\n1,1.0001,0\n", "outside [0, 1] for ids '1'"),
        ("id,a,b\n1,1e999,0\n", "outside [0, 1] for ids '1'"),
        ("id,label,p\n1,a,-0.1\n2,b,0.5\n", "outside [0, 1] for ids '1'"),
        ("id,label,p_a,p_b\n1,c,0.5,0.5\n", "labels that are not a class: 'c'"),
    ],
)
def test_whatever_is_wrong_is_named(table, content, said):
    assert said in refusal_of(table(content))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id": ["1"], "p_a": [None], "p_b": [0.5]}, "'p_a' has no number for ids '1'"),
        ({"id": ["1"], "p_a": [[0.5]], "p_b": [0.5]}, "'p_a' holds list"),
        ({"id": [["1"]], "p_a": [0.5], "p_b": [0.5]}, "'id' cannot be read as text"),
        ({"id": [0.5], "p_a": [0.5], "p_b": [0.5]}, "'id' cannot be read as text"),
        ({"id": [b"\xff"], "p_a": [0.5], "p_b": [0.5]}, "'id' cannot be read as text"),
        ({"id": [None], "p_a": [0.5], "p_b": [0.5]}, "no id in row '1'"),
    ],
)
def test_unusable_parquet_columns_are_named(tmp_path, columns, said):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table(columns), path)
    assert said in refusal_of(path)


def test_unreadable_files_are_named(tmp_path):
    assert "could not be read" in refusal_of(tmp_path / "nowhere.csv")
    assert "could not be read" in refusal_of(tmp_path)


def test_at_most_ten_ids_are_named(table):
    message = refusal_of(table("id,a,b\n" + "".join(f"{n},2,0\n" for n in range(100, 125))))
    assert "'109'" in message and "'110'" not in message and "15 more" in message


def test_names_and_stems():
    paths = ["a/b.jpg", "a\\b.c.png", ".hidden", "x/noext", "d.ir/f", "a/two\nlines.jpg"]
    names, stems = names_and_stems(pa.array(paths))
    assert names.to_pylist() == ["b.jpg", "b.c.png", ".hidden", "noext", "f", "two\nlines.jpg"]
    assert stems.to_pylist() == ["b", "b.c", ".hidden", "noext", "f", "two\nlines"]


@given(st.binary(max_size=300))
@example(b"id,a,b\n1,0.5,0.5\n")
@example(b'id,label,"p\n"\r1,a,0\r2,b, "1"')
@example(b"PAR1\x00\x00\x00\x00PAR1")
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "p.csv"
    path.write_bytes(content)
    try:
        found = read_predictions_table(path).predictions
    except UserError as refusal:
        assert str(path) in str(refusal) and "\n" not in str(refusal)
    else:
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)


_cell = st.sampled_from(
    ["id", "path", "label", "p", "p_a", "p_b", "a", "b", "", "0", "1", "0.5", '"']
)


@given(st.lists(st.lists(_cell, min_size=1, max_size=5), max_size=5), st.sampled_from("\n\r"))
def test_any_table_of_telling_cells_is_read_or_refused(tmp_path_factory, rows, end):
    path = tmp_path_factory.mktemp("any") / "p.csv"
    path.write_text(end.join(",".join(row) for row in rows), newline="")
    try:
        found = read_predictions_table(path).predictions
    except UserError as refusal:
        assert str(path) in str(refusal) and "\n" not in str(refusal)
    else:
        assert len(found) >= 1 and len(found.class_names) >= 2


# Text that neither file strips: no spaces at either end, no lone surrogates.
_text = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"]) | st.just(" "), min_size=1, max_size=8
).filter(lambda text: text == text.strip())


@st.composite
def _predictions(draw: st.DrawFn):
    classes = sorted(draw(st.sets(_text, min_size=2, max_size=4)))
    ids = draw(st.lists(_text, min_size=1, max_size=6, unique=True))
    seed = draw(st.integers(0, 1000))
    p = np.random.default_rng(seed).dirichlet(np.ones(len(classes)), len(ids))
    y = draw(st.lists(st.integers(-1, len(classes) - 1), min_size=len(ids), max_size=len(ids)))
    return make_predictions(ids, [f"test/{i}.jpg" for i in ids], np.array(y), p, classes)


@given(_predictions(), st.booleans())
def test_saved_predictions_are_read_back_whole(tmp_path_factory, predictions, as_csv):
    path = tmp_path_factory.mktemp("round") / "p"
    if as_csv:
        names = [
            "" if y == UNKNOWN else predictions.class_names[y] for y in predictions.y_true.tolist()
        ]
        texts = [list(map(repr, row)) for row in predictions.probabilities.tolist()]
        with open(path, "w", newline="", encoding="utf-8") as file:
            write = csv.writer(file).writerow
            write(["id", "path", "label", *(f"p_{name}" for name in predictions.class_names)])
            rows = zip(
                predictions.ids.to_pylist(),
                predictions.paths.to_pylist(),
                names,
                texts,
                strict=True,
            )
            for id, where, name, values in rows:
                write([id, where, name, *values])
    else:
        save_predictions(path, predictions)
    read = read_predictions_table(path)
    assert read.paths_given and read.predictions.class_names == predictions.class_names
    assert read.predictions.ids == predictions.ids
    assert read.predictions.paths == predictions.paths
    np.testing.assert_array_equal(read.predictions.y_true, predictions.y_true)
    np.testing.assert_array_equal(read.predictions.probabilities, predictions.probabilities)
