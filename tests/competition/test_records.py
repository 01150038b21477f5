"""Submissions on disk: the file, its record, and the list of them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from engine.competition.records import list_submissions, write_submission
from engine.competition.submission_csv import to_csv
from engine.errors import UserError
from tests.support.submission_tables import check, table

NOW = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)


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
    with pytest.raises(UserError, match="sample_submission.csv"):
        write_submission(tmp_path / "s", submission, run="r", now=NOW, out=tmp_path / "out.csv")
    assert not (tmp_path / "s").exists() and not (tmp_path / "out.csv").exists()
