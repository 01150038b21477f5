"""Reviewing labels on the Errors page: a verdict is kept at once, taken back and filtered by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.gallery import tiles
from dashboard.review import reviewer, standing, suspects, verdicts
from dashboard.selection.image_filter import REVIEWED, SUSPECTS, ImageFilter
from dashboard.shared import browser_sync, tables
from dashboard.views.errors import data as errors_data
from dashboard.views.errors.beside import beside_of
from dashboard.views.overview import data as overview_data
from engine.errors import UserError
from engine.runs.prediction_files import save_predictions
from engine.runs.triage import SPLIT, load_triage, reviewed_split, save_triage
from engine.runs.verdicts import Verdict, load_verdicts, save_verdict
from tests.support.pages import errors, sentence
from tests.support.run_folders import set_keys, suspected


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that says something of an image as the large view does."""

    def sends(table: tables.Table, **word: Any) -> None:
        sent = [{**word, "n": browser_sync.last_message() + 1}]
        monkeypatch.setattr(browser_sync, "component_value", lambda widget, event: sent)
        verdicts.keep_verdicts(table, "image")

    return sends


def large(table: tables.Table, id: str) -> dict[str, Any]:
    row = tables.row_of(table, id)
    shown: dict[str, Any] = tiles.large_of(table, np.array([row]), 0)["review"]
    return shown


def test_a_verdict_is_kept_shown_and_taken_back(make_run, send):
    table = tables.table(make_run(n=40).name)
    id, sha256 = "0000003", tables.facts(table, np.array([3]))["sha256"][0].as_py()
    label = table.predictions.class_names[table.predictions.y_true[3]]
    other = {"cat": "dog", "dog": "cat"}[label]
    before = large(table, id)
    assert before["verdict"] == before["label"] == before["cause"] == before["line"] == ""
    assert before["others"] == [other] and before["effect"] == ""

    send(table, id=id, verdict="wrong-label")
    kept = load_verdicts().standing[sha256, label]
    assert (kept.verdict, kept.label, kept.path) == ("wrong-label", other, "train/image.3.jpg")
    assert large(table, id)["effect"] == f"Saved; the next refit takes {other} as its label."
    send(table, id=id, cause="scale")
    assert large(table, id)["cause"] == "scale" and large(table, id)["label"] == other
    assert tiles.tiles_of(table, np.array([3, 4]))[0]["verdict"] == f"correct label: {other}"
    assert tiles.tiles_of(table, np.array([4]))[0]["verdict"] == ""
    send(table, id=id, undo=True)
    send(table, id=id, undo=True)
    assert large(table, id) == before and len(load_verdicts()) == 0
    send(table, id=id, undo=True)  # nothing left: nothing happens


def test_identical_images_have_a_verdict_for_each_label_and_are_shown(make_run, send):
    run = make_run(n=40, distinct=20)
    table = tables.table(run.name)
    y, ids = table.predictions.y_true, table.predictions.ids.to_pylist()
    row = int(np.flatnonzero(y[:20] != y[20:])[0])
    twin, names = row + 20, table.predictions.class_names
    send(table, id=ids[row], verdict="wrong-label")
    assert standing.reviewed_rows(table).tolist() == [row] and verdicts.count(run.name) == 1
    assert large(table, ids[twin])["verdict"] == ""
    right = f"correct label: {names[y[twin]]}"
    said = f"Identical: {ids[row]} (labelled {names[y[row]]}, {right})."
    assert large(table, ids[twin])["twins"] == said
    send(table, id=ids[twin], verdict="fine")
    assert standing.reviewed_rows(table).tolist() == [row, twin]
    send(table, id=ids[row], undo=True)
    assert standing.reviewed_rows(table).tolist() == [twin] and verdicts.count(run.name) == 1
    assert large(table, ids[row])["twins"].endswith(
        f"(labelled {names[y[twin]]}, label is correct)."
    )


@pytest.mark.parametrize(
    "word",
    [
        {"id": "no such image", "verdict": "fine"},
        {"verdict": "fine"},
        {"id": ["0000003"], "verdict": "fine"},
        {"id": "0000003", "verdict": "<script>"},
        {"id": "0000003", "verdict": "wrong-label", "label": "wolf"},
        {"id": "0000003", "cause": "bad luck"},
    ],
)
def test_what_is_no_verdict_keeps_nothing(make_run, send, word):
    table = tables.table(make_run(n=40).name)
    send(table, **word)
    assert len(load_verdicts()) == 0


def test_an_image_without_a_label_has_no_verdict(make_run, send):
    table = tables.table(make_run(n=40).name, "test")
    assert tiles.large_of(table, np.arange(3), 0)["review"] is None
    send(table, id="1", verdict="fine")
    assert len(load_verdicts()) == 0


def test_suspects_in_their_order_with_their_reason(make_run):
    run = make_run(n=60, hostile=True)
    ids = run.predictions().ids.to_pylist()
    chosen = [ids[7], ids[50], ids[3]]
    suspected(run, chosen, "<b>hostile</b> ![x](http://evil.invalid/x)")
    table = tables.table(run.name)
    rows = errors_data.rows(table, ImageFilter(show=SUSPECTS))
    assert [ids[row] for row in rows] == chosen
    names = run.class_names
    label = names[table.predictions.y_true[7]]
    narrowed = errors_data.rows(table, ImageFilter(show=SUSPECTS, where={"true": label}))
    assert [ids[row] for row in narrowed][0] == ids[7]
    assert large(table, ids[7])["reason"].startswith("<b>hostile</b>")  # shown by textContent
    app = errors(show=SUSPECTS)
    assert not app.exception and sentence(app).startswith("**3** of 60")


def test_suspects_by_kind_and_a_leak_beside_its_other_image(make_run):
    run = make_run(n=40, n_test=8)
    suspected(run, ["0000001", "0000002", "0000003"])
    list_of = load_triage(run)
    list_of["kind"] = ["label", "leak", "label"]
    path = run.images.query("split == 'test' and id == '5'")["path"].iloc[0]
    list_of.loc[1, "reason"] = f"In valid, nearly the same as {path} in test."
    save_triage(run, list_of)
    app = errors(show=SUSPECTS, kind="leak")
    assert not app.exception and sentence(app).startswith("**1** of 40")
    (kinds,) = [each.options for each in app.selectbox if each.label == "Suspicion"]
    assert kinds == ["Any suspicion", "Wrong label? 2", "Leak 1"]
    table = tables.table(run.name)
    shown = ImageFilter(show=SUSPECTS, image="0000002")
    leaks = errors_data.gallery_of(table, replace(shown, where={"kind": "leak"}))
    (tile,) = errors_data.tiles(leaks, 1)
    assert tile["reason"] == list_of.loc[1, "reason"]
    other = beside_of(table, shown)
    assert other and (other.reference.kind, other.text) == ("test", "Compare with 5 (test)")
    assert beside_of(table, replace(shown, image="0000001")) is None


def test_without_a_list_there_is_one_button(make_run):
    make_run(n=40)
    app = errors(show=SUSPECTS)
    assert not app.exception
    assert "runs in the background" in app.info[0].value
    assert app.button(key="find").label == "Find suspects"


def test_a_failed_search_says_why(make_run):
    run = make_run(n=40)
    (run.folder / "triage.log").write_text("Error: run x has <b>no</b> model.\n")
    app = errors(show=SUSPECTS)
    assert "no" in app.error[0].value and "<b>" not in app.error[0].value
    assert app.button(key="find")


def test_before_the_search_no_count_of_suspects_is_shown(make_run):
    run = make_run(n=40)
    said = [element.value for element in errors(show=SUSPECTS).markdown]
    assert "The labels of 40 images have not been searched for suspects yet." in said
    assert not [text for text in said if "**0** of" in text]
    suspected(run, ["0000001"])
    assert sentence(errors(show=SUSPECTS)).startswith("**1** of 40")


def test_the_images_with_a_verdict(make_run):
    run = make_run(n=40)
    app = errors(show=REVIEWED)
    assert "press L, B, N, H or F" in app.info[0].value
    table = tables.table(run.name)
    sums = tables.facts(table, np.arange(40))["sha256"].to_pylist()
    for row in (9, 4):
        save_verdict(Verdict(sums[row], "hard"))
    assert errors_data.rows(table, ImageFilter(show=REVIEWED)).tolist() == [4, 9]
    looked_at = table.predictions.ids[6].as_py()  # say, its verdict was just taken back
    rows = errors_data.rows(table, ImageFilter(show=REVIEWED, image=looked_at))
    assert rows.tolist() == [4, 6, 9]
    app = errors(show=REVIEWED)
    assert not app.exception and sentence(app).startswith("**2** of 40")


def test_a_verdict_renames_only_the_pages_that_show_it(make_run):
    table = tables.table(make_run(n=60).name)
    shown = errors_data.gallery_of(table, ImageFilter())
    first, second = shown.tag(1), shown.tag(2)
    sha256 = tables.facts(table, shown.order[:1])["sha256"][0].as_py()
    assert sha256 not in tables.facts(table, shown.page(2))["sha256"].to_pylist()
    save_verdict(Verdict(sha256, "hard"))
    assert shown.tag(1) != first and shown.tag(2) == second


def test_the_reviewer_is_remembered_for_the_session(make_run):
    make_run(n=40)
    app = errors(show=REVIEWED)
    app.text_input(key=reviewer.REVIEWER).set_value("Ada").run()
    app.segmented_control[0].set_value("all").run()
    assert not [box for box in app.text_input if box.key == reviewer.REVIEWER]
    app.segmented_control[0].set_value(REVIEWED).run()
    assert app.text_input(key=reviewer.REVIEWER).value == "Ada"


def test_all_labelled_images_can_be_reviewed(make_run):
    run = make_run(n=40)
    selected = tables.table(run.name)
    assert errors_data.table_of(selected, SUSPECTS).key[1] == "valid"
    save_predictions(run.predictions_path(SPLIT), run.predictions())
    assert reviewed_split(run) == "valid"  # without its list it is left over
    suspected(run, ["0000001"])
    assert reviewed_split(run) == SPLIT
    table = errors_data.table_of(selected, SUSPECTS)
    assert table.key[1] == SPLIT and large(table, "0000001")["reason"] == "because"
    assert errors_data.table_of(selected, "all") is selected
    assert not errors(show=SUSPECTS, picture="0000001").exception


def test_the_overview_says_what_the_verdicts_changed_and_what_is_hard(make_run):
    run = make_run(n=40)
    table = tables.table(run.name)
    sums = tables.facts(table, np.arange(40))["sha256"].to_pylist()
    for row in range(3):
        save_verdict(Verdict(sums[row], "hard", cause="occlusion"))
    change = {
        "against": "run*bold*", "split": "valid", "n": 37, "excluded": 3,
        "log_loss_before": 0.2, "log_loss_after": 0.1, "difference": 0.1, "interval": [0.05, 0.15],
    }  # fmt: skip
    set_keys(run, change=change, corrections={"relabelled": 2, "dropped": 1})
    app = AppTest.from_file(str(errors.__globals__["APP"]), default_timeout=60).run()
    assert not app.exception
    said = next(m.value for m in app.markdown if "With verdicts" in m.value)
    assert "better" in said and "from 0.2000 to 0.1000" in said and "*bold*" not in said
    assert any("Log loss by cause" in head.value for head in app.subheader)
    by_cause = overview_data.loss_by_causes(table)
    assert [each.cause for each in by_cause] == ["occlusion", ""]
    assert by_cause[0].log_loss == pytest.approx(table.loss[:3].mean())


def test_a_damaged_list_is_said(make_run):
    run = make_run(n=40)
    pd.DataFrame({"id": ["x"]}).to_parquet(run.folder / "triage.parquet")
    app = errors(show=SUSPECTS)
    assert "triage&#46;parquet is damaged" in app.error[0].value
    with pytest.raises(UserError):
        suspects.reasons(run.name)


def test_messages_that_are_repeated_are_received_once(monkeypatch):
    sent: Any = None
    session: dict[str, Any] = {}
    monkeypatch.setattr(browser_sync.st, "session_state", session)
    monkeypatch.setattr(browser_sync, "component_value", lambda widget, event: sent)
    first, second, third = ({"n": n, "id": str(n), "verdict": "fine"} for n in (5, 6, 9))
    for nonsense in (None, "fine", {"n": 1}, [None, {"id": "1"}, {"n": "7"}, {"n": 0}, {"n": 6.5}]):
        sent = nonsense
        assert browser_sync.new_messages("image") == [] and browser_sync.last_message() == 0
    sent = [first, second]
    assert (
        browser_sync.new_messages("image") == [first, second] and browser_sync.last_message() == 6
    )
    assert browser_sync.new_messages("image") == []
    sent = [second, third]
    assert browser_sync.new_messages("image") == [third] and browser_sync.last_message() == 9
