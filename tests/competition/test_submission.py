"""The submission: each rule once, on tables small enough to check by hand."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.competition.submission import (
    Submission,
    check_submission,
    list_submissions,
    require,
    to_csv,
    write_submission,
)
from engine.errors import Refused
from engine.runs.predictions import UNKNOWN, Predictions, make_predictions

NOW = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
TWO, THREE = ("cat", "dog"), ("bird", "cat", "dog")


def table(
    p_dog: dict[str, float], paths: dict[str, str] | None = None, classes: tuple[str, ...] = TWO
) -> Predictions:
    p = np.array(list(p_dog.values()))
    where = [(paths or {}).get(id, f"test/{id}.jpg") for id in p_dog]
    columns = np.column_stack([1 - p, p])
    return make_predictions(list(p_dog), where, np.full(len(p), UNKNOWN), columns, classes)


def table_of_three(rows: dict[str, tuple[float, float, float]]) -> Predictions:
    paths = [f"test/{id}.jpg" for id in rows]
    return make_predictions(
        list(rows), paths, np.full(len(rows), UNKNOWN), np.array(list(rows.values())), THREE
    )


def check(predictions: Predictions, sample: Path | None = None, **options: object) -> Submission:
    k = len(predictions.class_names)
    settings = {"lower": 0.0, "upper": 1.0, "quarantined": [], "base_rate": np.full(k, 1 / k)}
    return check_submission(predictions, sample=sample, **(settings | options))  # type: ignore[arg-type]


def rows_of(submission: Submission) -> list[list[str]]:
    return list(csv.reader(io.StringIO(to_csv(submission).decode(), newline="")))


def failed(submission: Submission) -> list[str]:
    return [check.name for check in submission.checks if not check.passed]


@pytest.fixture
def sample(tmp_path: Path):
    def write(content: str | bytes) -> Path:
        path = tmp_path / "sample_submission.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# The reference case and the form of the file.


def test_the_reference_case_comes_out_as_the_sample_orders_it(sample):
    p = {"779": 0.99, "4392": 1e-5, "9292": 1e-9, "9688": 0.001, "12026": 0.44612}
    path = sample("id,label\n9292,0.5\n12026,0.5\n9688,0.5\n4392,0.5\n779,0.5\n")
    submission = check(table(p), path, lower=0.025, upper=0.975)
    assert to_csv(submission) == (
        b"id,label\n9292,0.02500\n12026,0.44612\n9688,0.02500\n4392,0.02500\n779,0.97500\n"
    )
    assert submission.ok and failed(submission) == [] and submission.flagged == ()
    assert [check.name for check in submission.checks] == [
        "rows",
        "ids",
        "order",
        "range",
        "bounds",
        "class direction",
        "missing pictures",
    ]


def test_without_a_sample_ids_are_in_natural_order():
    submission = check(table({"10": 0.1, "2": 0.2, "a10": 0.3, "a9": 0.4, "1": 0.5, "01": 0.6}))
    assert submission.header == ("id", "label")
    assert submission.ids == ["01", "1", "2", "10", "a9", "a10"]
    assert submission.values == [["0.60000", "0.50000", "0.20000", "0.10000", "0.40000", "0.30000"]]


def test_without_a_sample_many_classes_get_a_column_each():
    submission = check(table_of_three({"1": (0.2, 0.3, 0.5)}))
    assert rows_of(submission) == [
        ["id", "bird", "cat", "dog"],
        ["1", "0.20000", "0.30000", "0.50000"],
    ]


def test_without_a_sample_quarantined_ids_are_rows_too():
    submission = check(table({"1": 0.5, "10": 0.5}), quarantined=[("2", "test/2.jpg")])
    assert submission.ids == ["1", "2", "10"] and submission.flagged == ("2",)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfid,label\n001,0.5\nabc,0.5\n",
        b"id,label\r\n001,0.5\r\nabc,0.5\r\n",
        b'"id","label"\n"001","0.5"\n"abc","0.5"\n',
        b'"id", "label"\n"001", "0.5"\n"abc", "0.5"\n',
        b"id,label\n001, 0.5 \nabc,0.5",
        b"id,label\n001,0\nabc,1\n",
        b"id,label\n001,\nabc,\n",
    ],
)
def test_every_form_of_a_two_class_sample_gives_the_same_file(sample, content):
    submission = check(table({"abc": 0.25, "001": 0.75}), sample(content))
    assert to_csv(submission) == b"id,label\n001,0.75000\nabc,0.25000\n"
    assert submission.ok


def test_ids_with_spaces_match_and_stay_as_the_sample_has_them(sample):
    submission = check(table({"1": 0.25, "b c": 0.75}), sample("id,label\n 1,0\nb c,0\n"))
    assert to_csv(submission) == b"id,label\n 1,0.25000\nb c,0.75000\n"


def test_ids_that_need_quotes_get_them(sample):
    ids = ["a,b", 'say "x"', "two\nlines", "=1+1", "plain"]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["id", "label"], *([i, "0.5"] for i in ids)])
    submission = check(table(dict.fromkeys(ids, 0.5)), sample(text.getvalue()))
    assert [row[0] for row in rows_of(submission)] == ["id", *ids]
    assert to_csv(submission).decode() == text.getvalue().replace(",0.5\n", ",0.50000\n")


def test_an_unusual_header_is_kept(sample):
    submission = check(table({"1": 0.5}), sample("image name,target\n1,0\n"))
    assert submission.header == ("image name", "target")


# Which picture an id means.


def test_ids_are_matched_by_id_then_file_name_then_stem(sample):
    paths = {"1": "x/9.jpg", "9": "x/other.jpg", "k": "y/z.png", "m": "y\\w.png"}
    p = {"1": 0.1, "9": 0.2, "k": 0.3, "m": 0.4}
    by_id = check(table(p, paths), sample("id,label\n9,0\n1,0\nz.png,0\nw,0\n"))
    assert by_id.values == [["0.20000", "0.10000", "0.30000", "0.40000"]] and by_id.ok
    by_name = check(table(p, paths), sample("id,label\n9.jpg,0\nother,0\nz,0\nw.png,0\n"))
    assert by_name.values == [["0.10000", "0.20000", "0.30000", "0.40000"]] and by_name.ok


@pytest.mark.parametrize("asked", ["7.jpg", "7"])
def test_a_name_of_two_pictures_is_no_match(sample, asked):
    predictions = table({"a/7": 0.1, "b/7": 0.9}, {"a/7": "a/7.jpg", "b/7": "b/7.jpg"})
    submission = check(predictions, sample(f"id,label\n{asked},0\n"))
    assert "ids" in failed(submission) and submission.values == [[""]]
    assert f"more than one picture '{asked}'" in submission.checks[1].message


def test_a_name_shared_with_a_quarantined_picture_is_no_match(sample):
    predictions = table({"a/7": 0.1}, {"a/7": "a/7.jpg"})
    submission = check(predictions, sample("id,label\n7.jpg,0\n"), quarantined=[("b/7", "b/7.jpg")])
    assert "more than one picture '7.jpg'" in submission.checks[1].message


def test_two_ids_of_one_picture_fail(sample):
    submission = check(table({"1": 0.1}), sample("id,label\n1,0\n1.jpg,0\n"))
    assert failed(submission) == ["ids"]
    assert submission.checks[1].ids == ("1", "1.jpg")


def test_never_by_position(sample):
    submission = check(table({"1": 0.1, "2": 0.2}), sample("id,label\n3,0\n4,0\n"))
    assert failed(submission) == ["rows", "ids"]
    assert submission.values == [["", ""]]


def test_missing_extra_and_duplicate_ids_are_named(sample):
    path = sample("id,label\n1,0\n1,0\n5,0\n")
    submission = check(table({"1": 0.1, "2": 0.2}), path)
    found = submission.checks[1]
    assert failed(submission) == ["rows", "ids"] and found.ids == ("1", "5", "2")
    assert found.message == (
        f"{path} has ids there more than once '1'; ids without a prediction '5'; "
        "no row for the predicted ids '2'."
    )


def test_the_first_ten_offending_ids_are_kept(sample):
    many = "".join(f"{n},0\n" for n in range(100, 125))
    submission = check(table({"1": 0.1}), sample(f"id,label\n1,0\n{many}"))
    assert submission.checks[0].ids == tuple(str(n) for n in range(100, 110))
    assert "and 15 more" in submission.checks[0].message


def test_require_names_the_file_and_the_ids(sample):
    path = sample("id,label\n1,0\n2,0\n")
    with pytest.raises(Refused) as refusal:
        require(check(table({"1": 0.1}), path))
    assert str(refusal.value) == f"{path} has 2 rows, and 1 of them have no prediction: '2'."
    require(check(table({"1": 0.1, "2": 0.2}), path))


def test_without_any_picture_nothing_can_be_handed_in(sample):
    nothing = make_predictions([], [], np.empty(0), np.empty((0, 2)), TWO)
    assert failed(check(nothing)) == ["rows"]
    assert failed(check(nothing, sample("id,label\n1,0\n"))) == ["rows", "ids"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"id,label\n",
        b"id\n1\n",
        b"id,label\n1\n",
        b"id,label\n\xff\xfe,0\n",
        b'id,"a\n',
    ],
)
def test_an_unusable_sample_is_refused_by_name(sample, content):
    path = sample(content)
    with pytest.raises(Refused, match="sample_submission.csv"):
        check(table({"1": 0.1}), path)


def test_an_absent_sample_is_refused_by_name(tmp_path):
    with pytest.raises(Refused, match="nowhere.csv"):
        check(table({"1": 0.1}), tmp_path / "nowhere.csv")


# What a value means.


@pytest.mark.parametrize(
    ("column", "positive", "value", "said"),
    [
        ("label", None, "0.90000", "label is P(dog): 1 means dog, 0 means cat."),
        ("label", 0, "0.10000", "label is P(cat): 1 means cat, 0 means dog."),
        ("is_dog", None, "0.90000", "is_dog is P(dog): 1 means dog, 0 means cat."),
        ("P(Cat)", None, "0.10000", "P(Cat) is P(cat): 1 means cat, 0 means dog."),
        ("cat_or_dog", None, "0.90000", "cat_or_dog is P(dog): 1 means dog, 0 means cat."),
        ("category", None, "0.90000", "category is P(dog): 1 means dog, 0 means cat."),
    ],
)
def test_the_class_direction_is_said(sample, column, positive, value, said):
    submission = check(table({"1": 0.9}), sample(f"id,{column}\n1,0.5\n"), positive=positive)
    assert submission.values == [[value]]
    assert submission.checks[5].message == said and submission.ok


def test_a_class_within_another_classes_name_is_not_meant(sample):
    predictions = table({"1": 0.9}, classes=("dog", "not_dog"))
    assert check(predictions, sample("id,is_not_dog\n1,0\n"), positive=0).values == [["0.90000"]]
    assert check(predictions, sample("id,is_dog\n1,0\n")).values == [["0.10000"]]


def test_bounds_belong_to_the_positive_class_whatever_the_column(sample):
    path = sample("id,cat\n1,0\n2,0\n")
    submission = check(table({"1": 1.0, "2": 0.0}), path, lower=0.1, upper=0.975)
    assert submission.values == [["0.02500", "0.90000"]] and submission.ok


def test_class_names_in_the_sample_ask_for_the_predicted_class(sample):
    two = check(table({"1": 0.9, "2": 0.1}), sample("id,label\n1,cat\n2,cat\n"))
    assert two.values == [["dog", "cat"]] and two.ok
    rows = {"1": (0.2, 0.3, 0.5), "2": (0.6, 0.3, 0.1)}
    three = check(table_of_three(rows), sample("id,label\n1,cat\n2,dog\n"))
    assert three.values == [["dog", "bird"]] and three.ok
    blank = check(table_of_three(rows), sample("id,category\n1,\n2,\n"))
    assert blank.values == [["dog", "bird"]] and blank.ok


def test_whole_numbers_ask_for_the_index_of_many_classes_and_the_check_lists_them(sample):
    submission = check(table_of_three({"1": (0.2, 0.3, 0.5)}), sample("id,class\n1,0\n"))
    assert submission.values == [["2"]]
    assert submission.checks[5].message.endswith("names sorted: 0 is bird, 1 is cat, 2 is dog.")


def test_classes_that_are_numbers_are_written_by_name(sample):
    names = ("1", "2", "3")
    p = np.array([[0.1, 0.2, 0.7]])
    predictions = make_predictions(["a"], ["a.jpg"], np.array([UNKNOWN]), p, names)
    assert check(predictions, sample("id,Label\na,0\n")).values == [["3"]]
    two = table({"a": 0.7}, classes=("0", "1"))
    assert check(two, sample("id,Label\na,0\n")).values == [["0.70000"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,label\n1,0.5\n", "cannot hold 3 classes' probabilities"),
        ("id,label\n1,Cat\n", "holds 'Cat' in column 'label'"),
    ],
)
def test_a_column_that_fits_nothing_fails_the_direction(sample, content, said):
    submission = check(table_of_three({"1": (0.2, 0.3, 0.5)}), sample(content))
    assert failed(submission) == ["class direction"]
    assert said in submission.checks[5].message and submission.values == [[""]]


def test_columns_are_matched_to_classes_by_name_whatever_their_order(sample):
    path = sample("id, Dog ,bird,CAT\n1,0,0,0\n")
    submission = check(table_of_three({"1": (0.2, 0.3, 0.5)}), path)
    assert submission.values == [["0.50000"], ["0.20000"], ["0.30000"]] and submission.ok
    assert submission.header == ("id", " Dog ", "bird", "CAT")


def test_two_columns_of_two_classes_add_up(sample):
    submission = check(table({"1": 1.0}), sample("id,dog,cat\n1,0,0\n"), upper=0.975)
    assert submission.values == [["0.97500"], ["0.02500"]] and submission.ok


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("id,bird,cat,fish", "columns that are no class: 'fish' and no column for class 'dog'"),
        ("id,bird,cat", "no column for class 'dog'"),
        ("id,bird,cat,dog,Dog", "two columns for one class"),
        ("id,bird,cat,dog,Usage", "columns that are no class: 'Usage'"),
    ],
)
def test_columns_that_match_no_class_are_named(sample, header, said):
    path = sample(f"{header}\n1{',0' * header.count(',')}\n")
    submission = check(table_of_three({"1": (0.2, 0.3, 0.5)}), path)
    assert failed(submission) == ["class direction"]
    assert submission.checks[5].message == f"{path} has {said}."


def test_a_column_name_that_two_classes_share_but_for_case_is_no_match(sample):
    p = np.array([[0.2, 0.3, 0.5]])
    predictions = make_predictions(["1"], ["1"], np.array([-1]), p, ("Cat", "cat", "dog"))
    assert failed(check(predictions, sample("id,CAT,cat,dog\n1,0,0,0\n"))) == ["class direction"]
    assert check(predictions, sample("id,cat,Cat,dog\n1,0,0,0\n")).ok


# Numbers.


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.1])
def test_values_that_are_no_probabilities_fail_the_range(sample, bad):
    good = table({"1": 0.5, "2": 0.25})
    p = good.probabilities.copy()
    p[1] = bad
    submission = check(replace(good, probabilities=p), sample("id,label\n1,0\n2,0\n"))
    assert failed(submission) == ["range"] and submission.checks[3].ids == ("2",)
    assert submission.values == [["0.50000", ""]]


@pytest.mark.parametrize(
    ("lower", "upper"), [(0.5, 0.5), (0.9, 0.1), (-0.1, 1), (0, 1.1), (np.nan, 1)]
)
def test_bounds_that_are_none_are_refused(lower, upper):
    with pytest.raises(Refused, match="--(lower|upper)"):
        check(table({"1": 0.5}), lower=lower, upper=upper)


def test_a_probability_that_float32_rounded_to_one_is_clipped():
    p = float(np.float32(1 - 1e-9))
    assert p == 1.0
    assert check(table({"1": p}), upper=1 - 1e-7).values == [["0.9999999"]]


@pytest.mark.parametrize(
    ("p", "lower", "text"),
    [
        (0.0, 1e-7, "0.0000001"),
        (1.0, 1e-7, "0.9999999"),
        (1.23456789e-4, 1e-7, "0.000123457"),
        (1 - 1.23456789e-4, 1e-7, "0.999876543"),
        (0.446119999, 0.025, "0.44612"),
        (0.0, 0.0251234567, "0.0251235"),
        (0.0, 0.0251234321, "0.0251234321"),
        (0.0, 0.0, "0.00000"),
        (1.0, 0.0, "1.00000"),
        (1e-30, 0.0, "0." + "0" * 29 + "1"),
    ],
)
def test_values_have_the_digits_they_need_and_no_exponent(p, lower, text):
    submission = check(table({"1": p}), lower=lower, upper=1 - lower)
    assert submission.values == [[text]] and submission.ok


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.floats(0, 0.4),
    st.floats(0.6, 1),
    st.booleans(),
)
@example([0.0, 1.0], 0.02512345678, 0.97512345678, True)
def test_written_values_keep_bounds_order_and_six_digits(values, lower, upper, other):
    predictions = table({f"{i:02}": p for i, p in enumerate(values)})
    submission = check(predictions, lower=lower, upper=upper, positive=int(not other))
    assert submission.ok
    texts = submission.values[0]
    written = [Decimal(text) for text in texts]
    assert all(set(text) <= set("0123456789.") for text in texts)
    assert all(len(text.partition(".")[2]) >= 5 for text in texts)
    kept = predictions.probabilities[:, int(not other)].clip(lower, upper)
    assert all(lower <= float(value) <= upper for value in written)
    for value, p in zip(written, kept.tolist(), strict=True):
        for exact, shown in ((Decimal(p), value), (1 - Decimal(p), 1 - value)):
            assert abs(shown - exact) <= Decimal("5.1e-6") * exact
    in_order = np.argsort(kept, kind="stable")
    assert all(written[a] <= written[b] for a, b in zip(in_order[:-1], in_order[1:], strict=True))


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=9))
def test_many_classes_are_clipped_and_renormalised(rows):
    p = np.array(rows) + 1e-9
    p /= p.sum(axis=1, keepdims=True)
    ids = [f"{i}" for i in range(len(p))]
    submission = check(table_of_three(dict(zip(ids, map(tuple, p), strict=True))), lower=0.01)
    limited = p.clip(0.01, 1)
    expected = limited / limited.sum(axis=1, keepdims=True)
    written = np.array(submission.values, dtype=float).T
    np.testing.assert_allclose(written, expected, rtol=5.1e-6)
    assert submission.ok


def test_the_bounds_check_sees_a_value_written_past_its_bound(monkeypatch):
    rounded = lambda values, lower, upper: pa.array([f"{v:.5f}" for v in values])  # noqa: E731
    monkeypatch.setattr("engine.competition.submission._fixed_point", rounded)
    submission = check(table({"1": 0.0, "2": 0.5}), lower=1e-7, upper=1 - 1e-7)
    assert failed(submission) == ["bounds"] and submission.checks[4].ids == ("1",)


# Quarantined pictures.


@pytest.mark.parametrize("asked", ["bad", "bad.jpg", "b2"])
def test_a_quarantined_picture_gets_the_clipped_base_rate_and_is_flagged(sample, asked):
    quarantined = [("b2" if asked == "b2" else "test/bad", "test/bad.jpg")]
    submission = check(
        table({"1": 0.5}),
        sample(f"id,label\n1,0\n{asked},0\n"),
        quarantined=quarantined,
        base_rate=np.array([0.1, 0.9]),
        upper=0.8,
    )
    assert submission.values == [["0.50000", "0.80000"]] and submission.flagged == (asked,)
    found = submission.checks[6]
    assert submission.ok and found.ids == (asked,) and f"'{asked}'" in found.message


def test_a_quarantined_picture_that_the_sample_does_not_ask_for_is_left_out(sample):
    submission = check(
        table({"1": 0.5}), sample("id,label\n1,0\n"), quarantined=[("note", "test/note.jpg")]
    )
    assert submission.ok and submission.ids == ["1"] and submission.flagged == ()


def test_a_quarantined_picture_among_many_classes_gets_each_share(sample):
    submission = check(
        table_of_three({"1": (0.2, 0.3, 0.5)}),
        sample("id,dog,cat,bird\n9,0,0,0\n1,0,0,0\n"),
        quarantined=[("9", "test/9.jpg")],
        base_rate=np.array([0.6, 0.3, 0.1]),
    )
    assert [column[0] for column in submission.values] == ["0.10000", "0.30000", "0.60000"]


# On disk.


def test_a_written_submission_keeps_its_record(tmp_path, sample):
    submission = check(
        table({"1": 0.9}), sample("id,label\n1,0\n2,0\n"), quarantined=[("2", "test/2.jpg")]
    )
    out = tmp_path / "mine" / "out.csv"
    folder = tmp_path / "submissions"
    path = write_submission(folder, submission, run="r1", now=NOW, out=out)
    assert path == folder / "20260301T123005Z.csv"
    assert path.read_bytes() == out.read_bytes() == to_csv(submission)
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (record["rows"], record["lower"], record["upper"]) == (2, 0.0, 1.0)
    assert record["flagged"] == ["2"] and record["run"] == "r1" and record["out"] == str(out)
    assert record["kaggle"] == {"ref": None, "status": None, "score": None}
    assert [c["name"] for c in record["checks"]] == [c.name for c in submission.checks]


def test_no_earlier_submission_is_overwritten_and_the_newest_is_first(tmp_path):
    submission = check(table({"1": 0.9}))
    later = (NOW + timedelta(hours=1)).astimezone(timezone(timedelta(hours=9)))
    times = [NOW] * 11 + [later]
    written = [write_submission(tmp_path, submission, run="r", now=now).name for now in times]
    assert written[0] == "20260301T123005Z.csv" and written[1] == "20260301T123005Z-2.csv"
    assert written[11] == "20260301T133005Z.csv"
    assert [entry["file"] for entry in list_submissions(tmp_path)] == written[::-1]


def test_a_damaged_record_is_listed_with_its_reason(tmp_path):
    write_submission(tmp_path, check(table({"1": 0.9})), run="r", now=NOW)
    (tmp_path / "20250101T000000Z.json").write_text("{")
    (tmp_path / "20240101T000000Z.csv").write_text("id,label\n")
    good, damaged, alone = list_submissions(tmp_path)
    assert good["run"] == "r"
    assert damaged["file"] == "20250101T000000Z.csv" and "damaged" in damaged["reason"]
    assert alone["file"] == "20240101T000000Z.csv" and "could not be read" in alone["reason"]
    assert list_submissions(tmp_path / "nowhere") == []


def test_a_failed_submission_is_not_written(tmp_path, sample):
    submission = check(table({"1": 0.9}), sample("id,label\n2,0\n"))
    with pytest.raises(Refused, match="sample_submission.csv"):
        write_submission(tmp_path / "s", submission, run="r", now=NOW, out=tmp_path / "out.csv")
    assert not (tmp_path / "s").exists() and not (tmp_path / "out.csv").exists()


@given(st.binary(max_size=200))
@example(b"id,label\n1,0.5\n")
@example(b'id,"label\n1"\r2, "')
def test_any_bytes_as_a_sample_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "sample.csv"
    path.write_bytes(content)
    try:
        submission = check(table({"1": 0.5}), path)
    except Refused as refusal:
        assert str(path) in str(refusal) and "\n" not in str(refusal)
    else:
        width = 1 + len(submission.values)
        assert len(submission.header) == width
        assert all(len(column) == len(submission.ids) for column in submission.values)
        assert all(len(row) == width for row in rows_of(submission))
