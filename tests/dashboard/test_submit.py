from __future__ import annotations

import csv
import hashlib
import io
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine.analysis.fitted import FittedCorrection
from engine.competition.correction import choose_correction
from engine.competition.prepare import prepare_submission
from engine.competition.records import list_submissions, write_submission
from engine.competition.submission_csv import to_csv
from engine.runs.predicted import note_predicted
from engine.runs.prediction_files import save_predictions
from engine.runs.run import Run
from tests.support import pages
from tests.support.pages import assert_harmless, html
from tests.support.submission_tables import clipped


def opened(run: Run | None = None) -> AppTest:
    return pages.opened("submit", run)


def button(app: AppTest):
    return app.button(key="submit_button")


def sent(app: AppTest) -> dict[str, str] | None:
    """Return the file that is on its way to the browser."""
    return (
        app.session_state["download_waiting"] if "download_waiting" in app.session_state else None
    )


def put_sample(run: Run, ids: list[str], header: str = "id,label") -> Path:
    path = run.data_root / "sample_submission.csv"
    path.write_text(header + "\n" + "".join(f"{id},0.5\n" for id in ids))
    return path


def test_every_check_is_said_in_words_and_the_button_is_ready(make_run) -> None:
    app = opened(make_run(n_test=30))
    assert not app.exception
    said = html(app)
    for name in ("Rows", "Ids", "Order", "Range", "Bounds", "Class direction", "Missing images"):
        assert f"<b>{name}</b> · passed" in said
    assert not button(app).disabled
    assert "<b>Sample</b> · not possible" in said
    assert "No check failed; 1 is not possible" in [each.value for each in app.subheader]
    assert app.code[0].value.splitlines()[0] == "id,label"
    assert len(app.code[0].value.splitlines()) == 9


def test_a_sample_file_elsewhere_can_be_named(make_run, tmp_path: Path) -> None:
    run = make_run(n_test=3)
    sample = tmp_path / "elsewhere.csv"
    sample.write_text("id,dog\n3,0\n1,0\n2,0\n")

    def typed(path: str) -> AppTest:
        app = AppTest.from_file(str(pages.APP), default_timeout=60)
        app.query_params["run"] = run.name
        app.session_state[f"submit_sample_{run.name}"] = path
        return pages.at_page(app, "submit").run()

    app = typed(str(sample))
    assert not app.exception and "All checks passed" in [each.value for each in app.subheader]
    assert app.code[0].value.splitlines()[1].startswith("3,")
    for wrong in (str(tmp_path / "none.csv"), str(tmp_path), "a\0b"):
        app = typed(wrong)
        assert not app.exception and "does not exist" in app.error[0].value


def test_the_bounds_of_the_clip_page_are_used(make_run) -> None:
    run = make_run(n=200, n_test=30, wrong=0.02)
    run.set_bounds(0.3, 0.7)
    app = opened(run)
    assert button(app).disabled  # worse beyond noise
    assert "tick the box above" in " ".join(caption.value for caption in app.caption)
    app.checkbox[0].check().run()
    assert not button(app).disabled
    said = unescape(" ".join(m.value for m in app.markdown))
    everything = unescape(html(app)) + said
    assert everything.count("expected log loss") == 1 and "--accept-cost" not in everything
    assert "Clip bounds 0.3 to 0.7 (set on the Clip page)" in said and "without it" in said
    p = run.predictions("test").probabilities[:, 1]
    ids = run.predictions("test").ids.to_pylist()
    rows = list(csv.reader(io.StringIO(app.code[0].value)))[1:]
    for id, value in rows:
        assert float(value) == pytest.approx(np.clip(p[ids.index(id)], 0.3, 0.7), abs=1e-6)
    app.button(key="submit_recommended").click().run()
    assert run.kept_bounds is None and not button(app).disabled and not app.checkbox
    assert "(recommended)" in unescape(" ".join(m.value for m in app.markdown))


def test_failed_checks_name_the_ids_and_hold_the_button(make_run) -> None:
    run = make_run(n_test=5)
    put_sample(run, ["1", "2", "3", "4", "77"])
    app = opened(run)
    assert "<b>Ids</b> · failed" in html(app) and "&#39;77&#39;" in html(app)
    assert button(app).disabled
    assert any("checks failed" in s.value for s in app.subheader)


def test_another_sample_file_of_the_folder_can_be_chosen(make_run) -> None:
    run = make_run(n_test=3)
    put_sample(run, ["1", "2", "9"])
    (run.data_root / "other.csv").write_text("id,dog\n3,0\n1,0\n2,0\n")
    app = opened(run)
    assert button(app).disabled
    box = app.selectbox(key=f"submit_sample_{run.name}")
    assert box.options == ["sample_submission.csv", "other.csv"]
    box.select("other.csv").run()
    assert not button(app).disabled
    lines = app.code[0].value.splitlines()
    assert lines[0] == "id,dog" and [line.split(",")[0] for line in lines[1:]] == ["3", "1", "2"]


def test_a_quarantined_test_image_must_be_acknowledged(make_run) -> None:
    run = make_run(n_test=5, quarantined=3)  # the third is a test image
    app = opened(run)
    assert button(app).disabled and "bad2" in html(app) and "please confirm" in html(app)
    said = [each.value for each in app.subheader]
    assert "No check failed; 1 needs confirmation, 1 is not possible" in said
    app.checkbox[0].check().run()
    assert not button(app).disabled
    assert "bad2,0.50000" in app.code[0].value  # 500 of each class in training


def test_what_is_written_is_what_is_handed_over_and_what_is_recorded(make_run) -> None:
    run = make_run(n_test=7)
    app = opened(run)
    assert sent(app) is None
    button(app).click().run()
    records = list_submissions(run.folder / "submissions")
    file = sent(app)
    correction = choose_correction(run).fitted
    assert file is not None and file["name"].startswith(f"submission-{run.name}-{correction.name}")
    assert unescape(app.success[0].value).startswith(f"Wrote 7 rows to {file['name']}")
    assert "7 rows with the columns id,label" in " ".join(unescape(c.value) for c in app.caption)
    content = file["text"].encode()
    assert content == to_csv(prepare_submission(run, choose_correction(run)))
    assert len(records) == 1 and records[0]["sha256"] == hashlib.sha256(content).hexdigest()
    kept = records[0]["correction"]
    fitted = FittedCorrection.from_summary(kept["fitted"])
    assert kept["source"] == "recommended" and fitted == choose_correction(run).fitted
    assert kept["expected"]["log_loss_without"] > 0
    assert (run.folder / "submissions" / records[0]["file"]).read_bytes() == content

    again = app.button(key=f"again_{records[0]['file']}").click().run()
    resent = sent(again)
    assert resent is not None and resent["text"].encode() == content
    assert resent["token"] != file["token"] and resent["name"] == records[0]["file"]
    assert len(list_submissions(run.folder / "submissions")) == 1


def test_nothing_is_written_without_the_word_that_is_asked_for(make_run) -> None:
    run = make_run(n_test=5, quarantined=3)
    app = opened(run)
    app.checkbox[0].check().run()
    app.checkbox[0].uncheck()
    button(app).click().run()  # both reach the server at once
    assert sent(app) is None and list_submissions(run.folder / "submissions") == []


def test_a_folder_that_cannot_be_written_is_said(make_run) -> None:
    run = make_run(n_test=3)
    (run.folder / "submissions").write_text("in the way")
    app = opened(run)
    button(app).click().run()
    assert not app.exception and sent(app) is None
    assert len(app.error) == 1 and "submissions" in app.error[0].value


def test_earlier_submissions_beyond_ten_are_folded(make_run) -> None:
    run = make_run(n_test=3)
    for minute in range(12):
        write_submission(
            run.folder / "submissions", prepare_submission(run, clipped(0.1, 0.9)), run=run.name,
            now=datetime(2026, 3, 1, 12, minute, tzinfo=UTC),
        )  # fmt: skip
    app = opened(run)
    assert len([b for b in app.button if b.label == "Download"]) == 12
    assert any(e.label == "2 more" for e in app.expander)


@pytest.mark.parametrize("variable", [None, "KAGGLE_API_TOKEN"])
def test_kaggle_credentials_are_looked_for(
    make_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "x")
    app = opened(make_run(n_test=3))
    explained = any("Submit predictions" in m.value for m in app.markdown)
    found = any(b.label == "Send to Kaggle" for b in app.button)
    assert (explained, found) == ((True, False) if variable is None else (False, True))


@pytest.mark.parametrize("classes", [5, 120])
def test_many_classes(make_run, classes: int) -> None:
    app = opened(make_run(n_test=12, classes=classes, images=False))
    assert not app.exception
    assert app.code[0].value.splitlines()[0].count(",") >= min(classes, 5)


def test_nothing_there(home: Path) -> None:
    app = opened()
    assert not app.exception and "no finished run" in app.markdown[0].value


def test_without_test_images(make_run) -> None:
    run = make_run(n_test=0)
    run.predictions_path("test").unlink()
    app = opened(run)
    assert not app.exception and any("nothing to submit" in m.value for m in app.markdown)


def test_what_predict_made_can_be_picked(make_run) -> None:
    run = make_run(n_test=5)
    other = run.predictions("valid")
    for name, folder in (("photos-0a", "/jan/photos"), ("photos-0b", "/feb/photos")):
        save_predictions(run.predictions_path(name), other)
        note_predicted(run, name, Path(folder))
    app = opened(run)
    picker = app.selectbox(key=f"submit_table_{run.name}")
    assert picker.value == "test" and "5 rows" in [c.value for c in app.caption]
    assert [text.split(",")[0] for text in picker.options] == [
        "test: the run's 5 test images",
        r"photos-0a: 60 images of /jan/photos",
        r"photos-0b: 60 images of /feb/photos",
    ]
    app = picker.select("photos-0b").run()
    assert not app.exception and "60 rows" in [c.value for c in app.caption]
    run.predictions_path("test").unlink()
    run.predictions_path("photos-0a").unlink()
    assert "60 rows" in [c.value for c in opened(run).caption]


def test_hostile_names_are_text(make_run) -> None:
    run = make_run(hostile=True, classes=9, quarantined=9)
    for name in ("<img src=x>.csv", "![x](http:__evil.invalid).csv"):
        (run.data_root / name).write_text("id,label\n1,0.5\n")
    app = opened(run)
    assert not app.exception
    assert_harmless(app)
