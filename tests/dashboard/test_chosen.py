"""Choosing images on Errors, a verdict on all of them, its undoing, and their CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dashboard.review.standing import reviewed_rows
from dashboard.selection import rows as selection_rows
from dashboard.selection.image_filter import ImageFilter
from dashboard.shared import browser_sync, tables
from dashboard.views.errors import bulk, chosen, copies
from dashboard.views.errors.images_csv import csv_of
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import UNKNOWN
from engine.runs.verdicts import Verdict, load_verdicts, save_verdict, verdicts_path

ALL = ImageFilter()


@pytest.fixture
def session(monkeypatch) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    monkeypatch.setattr(browser_sync.st, "session_state", kept)
    return kept


def test_clicks_ranges_and_all_of_the_filter(make_run, session):
    table = tables.table(make_run(n=120).name)
    order = selection_rows.rows(table, ALL)
    ids = [table.predictions.ids[int(row)].as_py() for row in order]
    messages: list[dict[str, Any]] = []
    session["gallery"] = SimpleNamespace(get=lambda _: messages)

    def sent(**message: Any) -> list[int]:
        messages.append({"n": len(messages) + 1, **message})
        chosen.choice_changed(table, ALL, order, "gallery")
        at = {int(row): place for place, row in enumerate(order)}
        return sorted(at[row] for row in chosen.chosen_rows(table, ALL).tolist())

    assert sent(ids=[ids[3]], on=True) == [3]
    assert sent(**{"from": ids[3], "to": ids[60]}) == list(range(3, 61))  # over a page's end
    assert sent(ids=[ids[5], "nobody"], on=False) == [3, 4, *range(6, 61)]
    assert sent(**{"from": ids[2], "to": "nobody"}) == [3, 4, *range(6, 61)]
    assert sent(ids="nonsense") == [3, 4, *range(6, 61)]
    assert sent(all=True) == list(range(120))
    assert not len(chosen.chosen_rows(table, ImageFilter(where={"true": "cat"})))
    chosen.cleared(table, ALL)
    assert not len(chosen.chosen_rows(table, ALL))


def test_one_verdict_on_many_images_and_its_undoing(make_run, session):
    run = make_run(n=40, classes=3, distinct=40)
    p = run.predictions()
    y_true = p.y_true.copy()
    y_true[0] = UNKNOWN
    save_predictions(run.predictions_path("valid"), replace(p, y_true=y_true))
    table, rows = tables.table(run.name), np.arange(10)
    facts = tables.facts(table, rows).to_pylist()
    save_verdict(Verdict(facts[1]["sha256"], "hard", cause="scale", given=facts[1]["given"]))

    bulk.judge(table, rows, "both")
    assert session["bulk_said"] == "9 verdicts saved. 1 image has no label."
    assert {each.verdict for each in load_verdicts().standing.values()} == {"both"}
    assert verdicts_path().read_text().count("\n") == 10
    right = p.class_names[int(y_true[2])]
    bulk.judge(table, rows, "wrong-label", right)  # not those that have this label already
    others = [int(row) for row in rows if y_true[row] not in (y_true[2], UNKNOWN)]
    said = load_verdicts()
    for row in others:
        verdict = said.of(facts[row]["sha256"], facts[row]["given"])
        assert verdict and (verdict.verdict, verdict.label) == ("wrong-label", right)

    later = facts[others[0]]
    save_verdict(Verdict(later["sha256"], "fine", given=later["given"]))
    bulk.undo()  # which leaves the later verdict alone
    said = load_verdicts()
    assert session["bulk_said"].startswith(f"{len(others) - 1} verdict")
    kept = said.of(later["sha256"], later["given"])
    assert kept and kept.verdict == "fine"
    bulk.undo()
    assert reviewed_rows(table).tolist() == sorted({1, others[0]})
    kept = load_verdicts().of(facts[1]["sha256"], facts[1]["given"])
    assert kept and (kept.verdict == "fine" if others[0] == 1 else kept.cause == "scale")
    bulk.undo()  # nothing is left
    assert session["bulk_history"] == []


def test_the_csv_has_every_column(make_run):
    run = make_run(n=12, distinct=12)
    table = tables.table(run.name)
    fact = tables.facts(table, np.array([4])).to_pylist()[0]
    verdict = Verdict(fact["sha256"], "wrong-label", "dog", "scale", given="cat", reviewer="=Ada")
    save_verdict(replace(verdict, given=fact["given"]))
    read = list(csv.DictReader(io.StringIO(csv_of(table, np.array([4, 2])).decode())))
    assert list(read[0]) == [
        "id", "path", "split", "label", "predicted", "p_cat", "p_dog", "log_loss",
        "verdict", "correct_label", "cause", "reviewer", "time", "suspicion", "tags", "note",
    ]  # fmt: skip
    assert [row["id"] for row in read] == ["0000004", "0000002"]
    assert [read[0][name] for name in ("split", "verdict", "correct_label", "cause")] == [
        "valid", "wrong-label", "dog", "scale",
    ]  # fmt: skip
    assert read[0]["reviewer"] == "'=Ada" and read[0]["time"]
    assert {read[1][name] for name in ("verdict", "correct_label", "reviewer", "suspicion")} == {""}


def test_files_are_copied_by_given_or_corrected_label(make_run, session):
    run = make_run(n=6, n_test=0, distinct=6)
    table, rows = tables.table(run.name), np.arange(3)
    facts = tables.facts(table, rows).to_pylist()
    names = table.predictions.class_names
    given = [names[label] for label in table.predictions.y_true[rows]]
    other = {"cat": "dog", "dog": "cat"}
    save_verdict(Verdict(facts[0]["sha256"], "wrong-label", other[given[0]], given=given[0]))
    save_verdict(Verdict(facts[1]["sha256"], "neither", given=given[1]))
    assert copies.labels_of(table, rows, corrected=False) == given
    assert copies.labels_of(table, rows, True) == [other[given[0]], "neither", given[2]]
    copies.copy(table, rows, corrected=True)
    folder = next((run.folder / "exports").iterdir())
    assert session["copies_said"] == f"3 images copied to {folder}."
    assert [each.name for each in (folder / "neither").iterdir()] == ["image.1.jpg"]
