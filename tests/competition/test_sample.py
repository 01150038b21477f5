"""The sample file: which image each of its rows and which class each of its columns means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.competition.submission_csv import to_csv
from engine.errors import UserError
from engine.runs.predictions import UNKNOWN, make_predictions
from tests.support.submission_tables import check, failed, rows_of, table, table_of_three, values_of

# Reading it.


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


def test_an_unusual_header_is_kept(sample):
    submission = check(table({"1": 0.5}), sample("image name,target\n1,0\n"))
    assert submission.header == ("image name", "target")


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
    with pytest.raises(UserError, match="sample_submission.csv"):
        check(table({"1": 0.1}), path)


def test_an_absent_sample_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="nowhere.csv"):
        check(table({"1": 0.1}), tmp_path / "nowhere.csv")


@given(st.binary(max_size=200))
@example(b"id,label\n1,0.5\n")
@example(b'id,"label\n1"\r2, "')
def test_any_bytes_as_a_sample_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "sample.csv"
    path.write_bytes(content)
    try:
        submission = check(table({"1": 0.5}), path)
    except UserError as refusal:
        assert str(path) in str(refusal) and "\n" not in str(refusal)
    else:
        rows = rows_of(submission)
        assert len(rows) == 1 + len(submission.ids)
        assert all(len(row) == len(submission.header) for row in rows)


# Which image an id means.


def test_ids_are_matched_by_id_then_file_name_then_stem(sample):
    paths = {"1": "x/9.jpg", "9": "x/other.jpg", "k": "y/z.png", "m": "y\\w.png"}
    p = {"1": 0.1, "9": 0.2, "k": 0.3, "m": 0.4}
    by_id = check(table(p, paths), sample("id,label\n9,0\n1,0\nz.png,0\nw,0\n"))
    assert values_of(by_id) == [["0.20000", "0.10000", "0.30000", "0.40000"]] and by_id.ok
    by_name = check(table(p, paths), sample("id,label\n9.jpg,0\nother,0\nz,0\nw.png,0\n"))
    assert values_of(by_name) == [["0.10000", "0.20000", "0.30000", "0.40000"]] and by_name.ok


@pytest.mark.parametrize("asked", ["7.jpg", "7"])
def test_a_name_of_two_images_is_no_match(sample, asked):
    predictions = table({"a/7": 0.1, "b/7": 0.9}, {"a/7": "a/7.jpg", "b/7": "b/7.jpg"})
    submission = check(predictions, sample(f"id,label\n{asked},0\n"))
    assert "ids" in failed(submission) and values_of(submission) == [[""]]
    assert f"more than one image '{asked}'" in submission.checks[1].message


def test_a_name_shared_with_a_quarantined_image_is_no_match(sample):
    predictions = table({"a/7": 0.1}, {"a/7": "a/7.jpg"})
    submission = check(predictions, sample("id,label\n7.jpg,0\n"), quarantined=[("b/7", "b/7.jpg")])
    assert "more than one image '7.jpg'" in submission.checks[1].message


def test_two_ids_of_one_image_fail(sample):
    submission = check(table({"1": 0.1}), sample("id,label\n1,0\n1.jpg,0\n"))
    assert failed(submission) == ["ids"]
    assert submission.checks[1].ids == ("1", "1.jpg")


def test_never_by_position(sample):
    submission = check(table({"1": 0.1, "2": 0.2}), sample("id,label\n3,0\n4,0\n"))
    assert failed(submission) == ["rows", "ids"]
    assert values_of(submission) == [["", ""]]


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
    assert values_of(submission) == [[value]]
    assert submission.checks[5].message == said and submission.ok


def test_a_class_within_another_classes_name_is_not_meant(sample):
    predictions = table({"1": 0.9}, classes=("dog", "not_dog"))
    assert values_of(check(predictions, sample("id,is_not_dog\n1,0\n"), positive=0)) == [
        ["0.90000"]
    ]
    assert values_of(check(predictions, sample("id,is_dog\n1,0\n"))) == [["0.10000"]]


def test_bounds_belong_to_the_positive_class_whatever_the_column(sample):
    path = sample("id,cat\n1,0\n2,0\n")
    submission = check(table({"1": 1.0, "2": 0.0}), path, lower=0.1, upper=0.975)
    assert values_of(submission) == [["0.02500", "0.90000"]] and submission.ok


def test_class_names_in_the_sample_ask_for_the_predicted_class(sample):
    two = check(table({"1": 0.9, "2": 0.1}), sample("id,label\n1,cat\n2,cat\n"))
    assert values_of(two) == [["dog", "cat"]] and two.ok
    rows = {"1": (0.2, 0.3, 0.5), "2": (0.6, 0.3, 0.1)}
    three = check(table_of_three(rows), sample("id,label\n1,cat\n2,dog\n"))
    assert values_of(three) == [["dog", "bird"]] and three.ok
    blank = check(table_of_three(rows), sample("id,category\n1,\n2,\n"))
    assert values_of(blank) == [["dog", "bird"]] and blank.ok


def test_whole_numbers_ask_for_the_index_of_many_classes_and_the_check_lists_them(sample):
    submission = check(table_of_three({"1": (0.2, 0.3, 0.5)}), sample("id,class\n1,0\n"))
    assert values_of(submission) == [["2"]]
    assert submission.checks[5].message.endswith("names sorted: 0 is bird, 1 is cat, 2 is dog.")


def test_classes_that_are_numbers_are_written_by_name(sample):
    names = ("1", "2", "3")
    p = np.array([[0.1, 0.2, 0.7]])
    predictions = make_predictions(["a"], ["a.jpg"], np.array([UNKNOWN]), p, names)
    assert values_of(check(predictions, sample("id,Label\na,0\n"))) == [["3"]]
    two = table({"a": 0.7}, classes=("0", "1"))
    assert values_of(check(two, sample("id,Label\na,0\n"))) == [["0.70000"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,label\n1,0.5\n", "cannot hold the probabilities of 3 classes"),
        ("id,label\n1,Cat\n", "holds 'Cat' in column 'label'"),
    ],
)
def test_a_column_that_fits_nothing_fails_the_direction(sample, content, said):
    submission = check(table_of_three({"1": (0.2, 0.3, 0.5)}), sample(content))
    assert failed(submission) == ["class direction"]
    assert said in submission.checks[5].message and values_of(submission) == [[""]]


def test_columns_are_matched_to_classes_by_name_whatever_their_order(sample):
    path = sample("id, Dog ,bird,CAT\n1,0,0,0\n")
    submission = check(table_of_three({"1": (0.2, 0.3, 0.5)}), path)
    assert values_of(submission) == [["0.50000"], ["0.20000"], ["0.30000"]] and submission.ok
    assert submission.header == ("id", " Dog ", "bird", "CAT")


def test_two_columns_of_two_classes_add_up(sample):
    submission = check(table({"1": 1.0}), sample("id,dog,cat\n1,0,0\n"), upper=0.975)
    assert values_of(submission) == [["0.97500"], ["0.02500"]] and submission.ok


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("id,bird,cat,fish", "columns that are not a class: 'fish' and no column for class 'dog'"),
        ("id,bird,cat", "no column for class 'dog'"),
        ("id,bird,cat,dog,Dog", "two columns for one class"),
        ("id,bird,cat,dog,Usage", "columns that are not a class: 'Usage'"),
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
