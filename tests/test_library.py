"""`import engine` from a script or a notebook: quick, typed, and with any framework's arrays."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.metrics import log_loss as scikit_log_loss

import engine
from engine.analysis import recommendation
from engine.analysis.calibration import expected_calibration_error
from engine.analysis.grouped import folds_of_groups, grouped_mean_interval
from engine.runs.fit_options import FIT_OPTIONS
from tests.support.paths import ROOT
from tests.support.synthetic_runs import synthetic_run

TABLES = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]]
LABELS = [0, 1, 1, 0]


def drawn(n: int, n_classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities of which about four in five are right."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), y] += 2
    return y, softmax(logits, axis=1)


def test_importing_it_loads_nothing_and_using_arrays_loads_no_torch():
    code = """
        import sys, time
        start = time.process_time()  # of this process alone: the machine may be busy
        import engine
        took = time.process_time() - start
        light = sorted({"numpy", "pandas", "torch", "streamlit"} & set(sys.modules))
        import engine.analysis.report, engine.data.image_groups
        light += ["scipy"] * ("scipy" in sys.modules)  # a report is written without it
        found = engine.metrics([0, 1], [[0.9, 0.1], [0.2, 0.8]])
        engine.fit, engine.submit, engine.slices, engine.compare
        print(took, light, "torch" in sys.modules, found.n)
    """
    done = subprocess.run(
        [sys.executable, "-c", inspect.cleandoc(code)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    took, *rest = done.stdout.split(maxsplit=1)
    assert float(took) < 0.15
    assert rest == ["[] False 2\n"]


def test_help_is_shown_before_any_table_library_is_imported():
    code = "import sys, engine.cli.main; print(sorted({'numpy', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_its_names_are_one_sorted_list_that_types_know_too():
    assert engine.__all__ == sorted(engine.__all__)
    assert set(dir(engine)) == {*engine.__all__, "__version__"}
    tree = ast.parse((ROOT / "engine" / "__init__.py").read_text("utf-8"))
    imported = {
        (alias.name, node.module) for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("engine.")
        for alias in node.names
    }  # fmt: skip
    loaded = {(name, module) for module, names in engine._MODULES.items() for name in names}
    assert imported == loaded and {name for name, _ in loaded} == set(engine.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fti'"):
        engine.fti  # noqa: B018


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        np.array,
        lambda values: pd.DataFrame(values) if np.ndim(values) == 2 else pd.Series(values),
        torch.tensor,
        lambda values: torch.tensor(values).float().requires_grad_().to(torch.bfloat16),
    ],
    ids=["list", "tuple", "numpy", "pandas", "torch", "bfloat16"],
)
def test_arrays_of_any_framework_are_read(make):
    found = engine.metrics(make(LABELS), make(TABLES))
    assert (found.n, found.accuracy) == (4, 0.75)
    assert found.log_loss == pytest.approx(0.4004, abs=2e-3)  # bfloat16 keeps two to three digits
    assert engine.log_loss(make(LABELS), make(TABLES)) == found.log_loss


@pytest.mark.parametrize("n_classes", [2, 10])
def test_labels_may_be_names_and_two_classes_one_column(n_classes):
    rng = np.random.default_rng(0)
    y, p = np.arange(40) % n_classes, rng.dirichlet(np.ones(n_classes), 40)
    found, plain = engine.metrics([f"class {i}" for i in y], p), engine.metrics(y, p)
    assert found.log_loss == plain.log_loss and found.confusion_matrix.shape == (n_classes,) * 2
    low, high = found.log_loss_interval
    assert low < found.log_loss < high and found.accuracy_interval == plain.accuracy_interval
    assert (
        0 < found.calibration_error_expected.mean < found.calibration_error_expected.percentile_95
    )
    if n_classes == 2:
        assert engine.metrics(y, p[:, 1]).log_loss == pytest.approx(plain.log_loss)
        one = engine.recommend(y, p[:, 1])
        assert one.apply(p[:, 1]) == pytest.approx(one.apply(p)[:, 1])


@pytest.mark.parametrize(
    ("y_true", "probabilities", "groups", "sentence"),
    [
        (LABELS, [["a"]] * 4, None, "probabilities must have shape (n, n_classes), one "
         "column per class, not (4, 1)."),
        (LABELS, [0.1, 0.8, 1.4, 0.3], None, "probabilities has a value outside 0 to 1 in row 2"),
        (LABELS, [[1.0]] * 4, None, "probabilities must have shape"),
        (LABELS, np.zeros((0, 2)), None, "probabilities is empty"),
        (LABELS, [[0.9, 0.1], [0.2]] * 2, None, "probabilities cannot be read as an array"),
        (LABELS, [["a", "b"]] * 4, None, "probabilities contains values that are not numbers."),
        (LABELS, [[0.9, 0.1], [np.nan, 1], [0.6, 0.4], [0.7, 0.3]], None,
         "probabilities has NaN or infinity in row 1 (the first is 0)."),
        (LABELS, [[0.9, 0.1], [1.2, -0.2], [0.6, 0.4], [0.7, 0.3]], None,
         "probabilities has a value outside 0 to 1 in row 1 (the first is 0)."),
        (LABELS, [[0.9, 0.2], [0.5, 0.6], [0.6, 0.4], [0.7, 0.3]], None,
         "probabilities has a sum other than 1 in rows 0, 1 (the first is 0)."),
        ([0, 1], TABLES, None, "y_true must have shape (4,), as probabilities has 4 rows, not (2"),
        ([0, 1, 2, -1], TABLES, None, "y_true has a label outside 0 to 1 in rows 2, 3 (the first"),
        (["cat", "dog", "eel", "cat"], TABLES, None, "y_true names 3 classes ('cat', 'dog', 'eel'"
         "), and probabilities has 2 columns; give class indices."),
        ([0.5, 1, 1, 0], TABLES, None, "y_true must hold class indices"),
        (LABELS, TABLES, ["a", "b"], "groups must have shape (4,), one name or number per image"),
        (LABELS, TABLES, ["a", None, "b", "b"], "groups holds a missing value"),
        (LABELS, TABLES, [1.0, np.nan, 2, 2], "groups holds a missing value"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("call", ["metrics", "recommend"])
def test_what_cannot_be_scored_is_refused_by_the_name_of_the_argument(
    call, y_true, probabilities, groups, sentence
):
    with pytest.raises(engine.UserError) as error:
        getattr(engine, call)(y_true, probabilities, groups)
    said = str(error.value)
    assert said.startswith(sentence) and said.endswith(".") and "\n" not in said


@pytest.mark.parametrize("n_classes", [2, 7])
def test_metrics_are_scikit_learns(n_classes):
    y, p = drawn(400, n_classes)
    found = engine.metrics(y, p)
    assert found.log_loss == pytest.approx(scikit_log_loss(y, p))
    assert found.accuracy == pytest.approx(accuracy_score(y, p.argmax(axis=1)))
    np.testing.assert_array_equal(found.confusion_matrix, confusion_matrix(y, p.argmax(axis=1)))
    exact = binomtest(int((p.argmax(axis=1) == y).sum()), 400).proportion_ci(method="exact")
    assert found.accuracy_interval == pytest.approx(tuple(exact))
    low, high = found.log_loss_interval
    assert low < found.log_loss < high
    assert found.calibration_error == expected_calibration_error(y, p)


def test_the_expected_calibration_error_is_that_of_labels_drawn_from_the_probabilities():
    _, p = drawn(300, 4)
    rng = np.random.default_rng(9)
    uniform = rng.random((400, 300, 1))
    labels = (p.cumsum(axis=1)[None] < uniform).sum(axis=2)  # (draws, n)
    errors = [expected_calibration_error(y, p) for y in labels]
    expected = engine.metrics(labels[0], p).calibration_error_expected
    assert expected.mean == pytest.approx(np.mean(errors), rel=0.08)
    assert expected.percentile_95 == pytest.approx(np.quantile(errors, 0.95), rel=0.12)
    assert tuple(expected) == (expected.mean, expected.percentile_95)


def test_copies_of_an_image_in_one_group_count_once():
    y, p = drawn(120)
    once = engine.metrics(y, p)
    copied = engine.metrics(np.repeat(y, 5), np.repeat(p, 5, axis=0), np.repeat(np.arange(120), 5))
    alone = engine.metrics(np.repeat(y, 5), np.repeat(p, 5, axis=0))
    assert copied.log_loss == pytest.approx(once.log_loss)

    def width(interval: tuple[float, float]) -> float:
        return interval[1] - interval[0]

    assert width(copied.log_loss_interval) == pytest.approx(width(once.log_loss_interval), rel=0.1)
    assert width(copied.log_loss_interval) > 2 * width(alone.log_loss_interval)


def test_the_interval_of_groups_is_the_bootstraps_and_the_normal_one_close_to_it(monkeypatch):
    rng = np.random.default_rng(1)
    groups = np.sort(rng.integers(300, size=2000))
    _, groups = np.unique(groups, return_inverse=True)
    values = rng.exponential(size=2000) + rng.exponential(size=300)[groups]
    drawn_again = []
    rows_of = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    for _ in range(1500):
        chosen = rng.integers(len(rows_of), size=len(rows_of))
        drawn_again.append(values[np.concatenate([rows_of[group] for group in chosen])].mean())
    expected = np.quantile(drawn_again, [0.025, 0.975])
    assert grouped_mean_interval(values, groups) == pytest.approx(expected, rel=0.02)
    monkeypatch.setattr("engine.analysis.grouped._RESAMPLED_UP_TO", 10)
    assert grouped_mean_interval(values, groups) == pytest.approx(expected, rel=0.02)


def test_folds_divide_no_group():
    groups = np.random.default_rng(0).integers(40, size=300)
    _, groups = np.unique(groups, return_inverse=True)
    folds = folds_of_groups(groups, 5, np.random.default_rng(1))
    assert sorted(np.concatenate(folds).tolist()) == list(range(300))
    owners = [set(groups[fold].tolist()) for fold in folds]
    assert sum(map(len, owners)) == groups.max() + 1 and set().union(*owners) == {*groups.tolist()}


def test_a_recommendation_is_the_comparisons_and_applies():
    y, p = drawn(600, 2, 4)
    sharp = softmax(8 * np.log(p), axis=1)  # far too sure
    found = engine.recommend(y.tolist(), sharp.tolist())
    compared = recommendation.compare_corrections(y, sharp)
    chosen = compared.choice
    assert found.name == chosen.name
    assert found.log_loss == pytest.approx(chosen.log_loss)
    assert found.interval == pytest.approx(chosen.gain.interval)
    assert found.interval[1] < 0 and found.difference < 0
    assert found.log_loss_without == pytest.approx(engine.log_loss(y, sharp))
    assert found.sentence.startswith("Apply ") and "submission" not in found.sentence
    corrected = found.apply(torch.tensor(sharp[:50]))
    np.testing.assert_allclose(corrected.sum(axis=1), 1)
    assert engine.log_loss(y[:50], corrected) < engine.log_loss(y[:50], sharp[:50])
    with pytest.raises(engine.UserError, match=r"probabilities must have shape \(n, 2\)"):
        found.apply(np.full((3, 3), 1 / 3))


def test_groups_are_scored_by_corrections_that_have_not_seen_them():
    """Noise that each group shares is learned from its other images unless groups stay whole."""
    y, p = drawn(60, 2, 5)
    groups = np.repeat(np.arange(60), 10)
    y, p = np.repeat(y, 10), np.repeat(p, 10, axis=0)
    divided, whole = (
        {s.name: s.log_loss for s in found.scored}
        for found in (
            recommendation.compare_corrections(y, p),
            recommendation.compare_corrections(y, p, groups=groups),
        )
    )
    assert divided["isotonic"] < whole["isotonic"]
    assert divided["none"] == pytest.approx(whole["none"])
    names = [f"patient {number}" for number in groups]
    assert engine.recommend(y, p, groups=names).log_loss in whole.values()
    with pytest.raises(engine.UserError, match="9 groups of images are too few .* 10 are needed"):
        engine.recommend(y, p, groups=np.arange(600) % 9)


def test_a_run_is_given_as_a_run_or_by_name(tmp_path):
    made = synthetic_run(tmp_path, n=80, name="One")
    synthetic_run(tmp_path, n=80, name="Other", state="failed")
    run = engine.open_run("latest")
    assert run.name == made.name and isinstance(run, engine.Run)
    assert {each.name for each in engine.list_runs()} > {run.name}
    assert all(isinstance(each, engine.Run) for each in engine.list_runs())
    for given in (run, made, run.name, "latest"):
        assert engine.compare(given, run).n == 80
    with pytest.raises(engine.UserError, match="run must be a Run or the name of one, not float"):
        engine.compare(0.5, run)
    with pytest.raises(engine.UserError, match="other must be a Run or the name of one"):
        engine.compare(run, None)


def test_a_report_has_fields_and_shows_itself_as_the_page(tmp_path):
    run = engine.open_run(synthetic_run(tmp_path, n=80, name="<b>One").name)
    report = run.report(n=2)
    assert report.run is run and report.split == "valid" and len(repr(report)) < 200
    table = run.predictions().to_pandas()
    assert report.accuracy == pytest.approx((table["label"] == table["predicted"]).mean())
    assert np.allclose(table[["p_cat", "p_dog"]].sum(axis=1), 1)
    assert run.predictions("test").to_pandas()["label"].isna().all()
    assert report.clip(0.1, 0.9).log_loss_after != report.clip().log_loss_after
    shown = report._repr_html_()
    assert shown.startswith("<iframe") and "&lt;b&gt;" not in shown.split("srcdoc")[0]
    assert "&amp;lt;b&amp;gt;One" in shown  # escaped in the page, and the page in its frame
    file = report.write_html(str(tmp_path / "page.html"))
    assert "Confusion matrix" in file.read_text("utf-8")
    with pytest.raises(engine.UserError, match="on='train' is unknown; choose one of folds, valid"):
        run.report(on="train")
    with pytest.raises(engine.UserError, match="test images without labels"):
        run.report(on="test")
    with pytest.raises(engine.UserError, match="no sealed images"):
        run.report(on="sealed")


def test_results_are_typed_and_have_tables(tmp_path):
    run = synthetic_run(tmp_path, n=120)
    other = synthetic_run(tmp_path, n=120, wrong=0.4)
    compared = engine.compare(run, other.name)
    table = compared.to_pandas()
    assert table["outcome"].value_counts().get("fixed", 0) == len(compared.fixed)
    assert (table["log_loss"].mean(), table["other_log_loss"].mean()) == pytest.approx(
        compared.log_loss
    )
    sliced = engine.slices(run.name, on="valid")
    assert sliced.n == sliced.of == 120 and len(sliced.to_pandas()) == len(sliced.slices) > 0
    made = engine.submit(run, lower=0.1, upper=0.8, out=str(tmp_path / "out.csv"))
    assert made.file == tmp_path / "out.csv" and (made.lower, made.upper) == (0.1, 0.8)
    written = pd.read_csv(made.file, dtype=str)
    pd.testing.assert_frame_equal(made.to_pandas(), written, check_dtype=False)
    assert written["label"].astype(float).between(0.1, 0.8).all()
    for result in (compared, sliced, made, run):
        assert dataclasses.is_dataclass(result)
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.n = 1
        json.dumps(result.as_json()) if hasattr(result, "as_json") else None


def test_what_a_script_reads_names_arguments_not_options(tmp_path):
    run = synthetic_run(tmp_path, n=30)
    for call, said in (
        (
            lambda: engine.submit(run, lower=0.9, upper=0.1),
            "lower bound 0.9 must be smaller than the upper 0.1",
        ),
        (lambda: engine.submit(run, send="redux"), "message is missing"),
        (lambda: engine.fit(tmp_path, folds=1), "folds=1 must lie between"),
        (lambda: engine.draw_demo(tmp_path / "few", train=3), "train=3 is too few"),
        (lambda: engine.load_dataset(str(tmp_path / "gone")), "gone"),
        (lambda: engine.blend([run]), "two or more runs"),
    ):
        with pytest.raises(engine.UserError) as error:
            call()
        assert said in str(error.value) and "--" not in str(error.value)


def test_fit_knows_the_options_of_the_command_line(tmp_path):
    names = list(inspect.signature(engine.fit).parameters)
    assert names == ["data", *(option.name for option in FIT_OPTIONS), "progress"]
    with pytest.raises(TypeError, match=r"fit\(\) has no option 'epoch'; it has backbone, "):
        engine.fit(Path("nowhere"), epoch=3)
