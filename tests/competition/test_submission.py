"""The submission: each rule once, on tables small enough to check by hand."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from engine.competition.submission import require
from engine.competition.submission_csv import csv_blocks, to_csv
from engine.errors import UserError
from engine.runs.predictions import make_predictions
from tests.support.submission_tables import (
    TWO,
    check,
    failed,
    rows_of,
    table,
    table_of_three,
    values_of,
)

# The form of the file.


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
        "missing images",
        "sample",
    ]


def test_without_a_sample_ids_are_in_natural_order():
    submission = check(table({"10": 0.1, "2": 0.2, "a10": 0.3, "a9": 0.4, "1": 0.5, "01": 0.6}))
    assert submission.header == ("id", "label")
    assert submission.ids.to_pylist() == ["01", "1", "2", "10", "a9", "a10"]
    assert values_of(submission) == [
        ["0.60000", "0.50000", "0.20000", "0.10000", "0.40000", "0.30000"]
    ]


def test_without_a_sample_many_classes_get_a_column_each():
    submission = check(table_of_three({"1": (0.2, 0.3, 0.5)}))
    assert rows_of(submission) == [
        ["id", "bird", "cat", "dog"],
        ["1", "0.20000", "0.30000", "0.50000"],
    ]


def test_without_a_sample_quarantined_ids_are_rows_too():
    submission = check(table({"1": 0.5, "10": 0.5}), quarantined=[("2", "test/2.jpg")])
    assert submission.ids.to_pylist() == ["1", "2", "10"] and submission.flagged == ("2",)


def test_ids_that_need_quotes_get_them(sample):
    ids = ["a,b", 'say "x"', "two\nlines", "=1+1", "plain"]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["id", "label"], *([i, "0.5"] for i in ids)])
    submission = check(table(dict.fromkeys(ids, 0.5)), sample(text.getvalue()))
    assert [row[0] for row in rows_of(submission)] == ["id", *ids]
    assert to_csv(submission).decode() == text.getvalue().replace(",0.5\n", ",0.50000\n")


# The checks.


def test_missing_extra_and_duplicate_ids_are_named(sample):
    path = sample("id,label\n1,0\n1,0\n5,0\n")
    submission = check(table({"1": 0.1, "2": 0.2}), path)
    found = submission.checks[1]
    assert failed(submission) == ["rows", "ids"] and found.ids == ("1", "5", "2")
    assert found.message == (
        f"{path} has repeated ids '1'; ids without a prediction '5'; no row for predicted ids '2'."
    )


def test_the_first_ten_offending_ids_are_kept(sample):
    many = "".join(f"{n},0\n" for n in range(100, 125))
    submission = check(table({"1": 0.1}), sample(f"id,label\n1,0\n{many}"))
    assert submission.checks[0].ids == tuple(str(n) for n in range(100, 110))
    assert "and 15 more" in submission.checks[0].message


def test_require_names_the_file_and_the_ids(sample):
    path = sample("id,label\n1,0\n2,0\n")
    with pytest.raises(UserError) as refusal:
        require(check(table({"1": 0.1}), path))
    assert str(refusal.value) == f"{path} has 2 rows, and 1 of them have no prediction: '2'."
    require(check(table({"1": 0.1, "2": 0.2}), path))


def test_without_any_image_nothing_can_be_handed_in(sample):
    nothing = make_predictions([], [], np.empty(0), np.empty((0, 2)), TWO)
    assert failed(check(nothing)) == ["rows"]
    assert failed(check(nothing, sample("id,label\n1,0\n"))) == ["rows", "ids"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.1])
def test_values_that_are_no_probabilities_fail_the_range(sample, bad):
    good = table({"1": 0.5, "2": 0.25})
    p = good.probabilities.copy()
    p[1] = bad
    submission = check(replace(good, probabilities=p), sample("id,label\n1,0\n2,0\n"))
    assert failed(submission) == ["range"] and submission.checks[3].ids == ("2",)
    assert values_of(submission) == [["0.50000", ""]]


# Quarantined images.


@pytest.mark.parametrize("asked", ["bad", "bad.jpg", "b2"])
def test_a_quarantined_image_gets_the_clipped_base_rate_and_is_flagged(sample, asked):
    quarantined = [("b2" if asked == "b2" else "test/bad", "test/bad.jpg")]
    submission = check(
        table({"1": 0.5}),
        sample(f"id,label\n1,0\n{asked},0\n"),
        quarantined=quarantined,
        base_rate=np.array([0.1, 0.9]),
        upper=0.8,
    )
    assert values_of(submission) == [["0.50000", "0.80000"]] and submission.flagged == (asked,)
    found = submission.checks[6]
    assert submission.ok and found.ids == (asked,) and f"'{asked}'" in found.message


def test_a_quarantined_image_that_the_sample_does_not_ask_for_is_left_out(sample):
    submission = check(
        table({"1": 0.5}), sample("id,label\n1,0\n"), quarantined=[("note", "test/note.jpg")]
    )
    assert submission.ok and submission.ids.to_pylist() == ["1"] and submission.flagged == ()


def test_a_quarantined_image_among_many_classes_gets_each_share(sample):
    submission = check(
        table_of_three({"1": (0.2, 0.3, 0.5)}),
        sample("id,dog,cat,bird\n9,0,0,0\n1,0,0,0\n"),
        quarantined=[("9", "test/9.jpg")],
        base_rate=np.array([0.6, 0.3, 0.1]),
    )
    assert [column[0] for column in values_of(submission)] == ["0.10000", "0.30000", "0.60000"]


def test_the_file_of_many_columns_comes_in_pieces_of_whole_rows(monkeypatch):
    monkeypatch.setattr("engine.competition.submission._BLOCK_VALUES", 6)
    rows = {f"a,{n}": (0.2, 0.3, 0.5) if n % 2 else (0.7, 0.2, 0.1) for n in range(5)}
    submission = check(table_of_three(rows))
    header, *pieces = csv_blocks(submission)
    assert header == b"id,bird,cat,dog\n" and [piece.count(b"\n") for piece in pieces] == [2, 2, 1]
    assert pieces[2] == b'"a,4",0.70000,0.20000,0.10000\n'
    assert to_csv(submission) == b"".join([header, *pieces])
