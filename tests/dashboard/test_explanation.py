"""Why: what the large view is told while the worker looks, when it found, and when it cannot."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dashboard.explanation import answers
from dashboard.shared import commands, tables
from engine.errors import UserError
from engine.runs.explanations import explanations_folder, load_explanation, save_explanation
from engine.runs.maps import making, save_map, write_progress
from engine.runs.run import Run
from tests.support.explanations import explained


class Stand:
    """A worker that answers when it is let."""

    def __init__(self, answer: dict | UserError) -> None:
        self.answer, self.asked, self.may = answer, [], threading.Event()

    def ask(self, question: dict) -> dict:
        self.asked.append(question)
        assert self.may.wait(20)
        if isinstance(self.answer, UserError):
            raise self.answer
        return self.answer


@pytest.fixture
def run(make_run) -> Run:
    run = make_run(n=40)
    run.update_config(head_sha256="0" * 64)
    return run


@pytest.fixture
def stand(run, monkeypatch) -> Stand:
    stand = Stand(explained(run))
    monkeypatch.setattr(answers, "_WORKER", stand)
    monkeypatch.setattr(answers, "_WAIT", 0.02)
    monkeypatch.setattr(answers, "_waiting", {})
    monkeypatch.setattr(answers, "_QUEUE", ThreadPoolExecutor(1))
    yield stand
    stand.may.set()


def answer(run: Run, row: int = 0) -> dict:
    table = tables.table(run.name)
    return answers.answer(table, row, table.predictions.ids[row].as_py())


def test_it_looks_and_then_it_found(run, stand, monkeypatch):
    image = stand.answer["id"]
    assert answer(run) == {"id": image, "state": "looking"}
    assert answer(run)["state"] == "looking"
    stand.may.set()
    monkeypatch.setattr(answers, "_WAIT", 20)
    found = answer(run)
    assert found["state"] == "found" and len(stand.asked) == 1
    assert stand.asked[0] == {"run": run.name, "id": image, "split": "valid"}
    first, second = found["maps"]
    assert first["src"].startswith("data:image/png;base64,") and first["role"] == "predicted"
    assert second["src"] == ""  # nothing spoke for it
    (near,) = found["neighbours"]
    assert near["src"].startswith("data:image/jpeg;base64,") and near["distance"] == "0.12"
    assert near["known"] is False and near["other"] is True


def test_what_is_kept_is_not_asked_again(run, stand):
    save_explanation(run, stand.answer)
    assert answer(run)["state"] == "found"
    assert stand.asked == []


def test_missing_features_are_computed_by_a_button_and_the_image_is_explained_again(
    run, stand, monkeypatch
):
    started = []
    monkeypatch.setattr("engine.runs.maps.start_command", lambda to, _: started.append(to))
    monkeypatch.setattr(answers, "_without_features", {})
    monkeypatch.setattr(answers, "_WAIT", 20)
    stand.may.set()
    whole = stand.answer
    stand.answer = {**whole, "note": "The features are not available.", "neighbours": []}
    save_map(run, "pca", ["valid"], ["a"], np.zeros((1, 2)))  # a map that exists starts it, too
    found = answer(run)
    assert found["neighbours"] == [] and found["missing"]["button"] == "Compute the features"
    commands.start_features(run)
    commands.start_features(run)
    assert started == [["embed", run.name, "--method", "pca", "--json"]]
    write_progress(run, "pca", "features", 1200, 3000)
    with making(run, "pca"):
        for _ in range(3):
            missing = answer(run)["missing"]
            assert missing["running"] and "1,200 of 3,000 images" in missing["text"]
    assert len(stand.asked) == 1
    assert "without reporting an error" in answer(run)["missing"]["text"]
    assert answer(run)["missing"]["button"] == "Try again"
    save_map(run, "pca", ["valid"], ["a"], np.zeros((1, 2)))
    stand.answer = whole
    found = answer(run)
    assert found["missing"] is None and len(found["neighbours"]) == 1 and len(stand.asked) == 2


def test_an_image_passed_over_gives_way_to_the_one_looked_at(run, stand, monkeypatch):
    assert [answer(run, row)["state"] for row in (0, 1, 2)] == ["looking"] * 3
    stand.may.set()
    monkeypatch.setattr(answers, "_WAIT", 20)
    assert answer(run, 2)["state"] == "found"
    ids = tables.table(run.name).predictions.ids.to_pylist()
    assert [question["id"] for question in stand.asked] == [ids[0], ids[2]]


def test_a_refusal_is_its_sentence_and_may_be_asked_again(run, stand, monkeypatch):
    stand.answer = UserError("vit_b_16 has attention layers.")
    stand.may.set()
    monkeypatch.setattr(answers, "_WAIT", 20)
    for _ in range(2):
        found = answer(run)
        assert (found["state"], found["message"]) == ("failed", "vit_b_16 has attention layers.")
    assert len(stand.asked) == 2


def test_two_runs_are_explained_side_by_side(run, make_run, stand):
    other = make_run(n=40, seed=1)
    save_explanation(run, stand.answer)
    of = [tables.table(each.name) for each in (run, other)]
    found = answers.answer_of_two(of, stand.answer["id"], ("first", "second"))
    assert found["state"] == "found" and stand.asked == []
    predicted, true = found["maps"]
    own, without = predicted["panes"]
    assert own["src"].startswith("data:image/png;base64,")
    assert own["text"] == f"first: evidence for {stand.answer['predicted']}"
    assert without["src"] == "" and "second: run" in without["text"]
    assert "has no model" in without["text"]
    assert true["name"] == f"True class: {stand.answer['true']}"
    assert true["panes"][0]["text"] == f"first: no area is evidence for {stand.answer['true']}"
    found = answers.answer_of_two(of[1:], stand.answer["id"], ("second",))
    assert found["state"] == "failed" and "has no model" in found["message"]


def test_a_run_without_a_model_says_so(make_run, stand):
    run = make_run(n=30, seed=1)
    found = answer(run)
    assert found["state"] == "failed" and "has no model" in found["message"]
    assert stand.asked == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format_version": 9}', '{"maps": 3}'])
def test_a_damaged_kept_answer_counts_as_none(run, content):
    found = explained(run)
    save_explanation(run, found)
    arguments = (run, "valid", found["id"], found["sha256"])
    assert load_explanation(*arguments) == found
    assert load_explanation(run, "test", *arguments[2:]) is None
    (file,) = explanations_folder(run).glob("*.json")
    file.write_text(content)
    assert load_explanation(*arguments) is None
    assert load_explanation(run, "../..", "../../x", "\0") is None
